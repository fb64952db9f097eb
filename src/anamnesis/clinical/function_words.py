"""Small words that tell tense, person and reference: closed classes, which no lexicon widens.

What grows with experience (cues, idioms, kin) is content and stands in ``content/lexicon``.
"""

from typing import Final

FIRST_PERSON: Final = frozenset({"i", "me", "mine", "myself", "ni", "nze"})
THIRD_PERSON: Final = frozenset({"he", "she", "they", "his", "her", "him", "their", "it"})
OF_BODY: Final = frozenset({"hand", "leg", "arm", "face"})
#: Of a person or a person's body, where an animal might be meant.
OF_PEOPLE: Final = OF_BODY | {
    "him", "her", "us", "my", "our", "his", "person", "people", "child", "son", "daughter",
}  # fmt: skip
#: Said of people and of animals.
OF_ANYBODY: Final = frozenset({"him", "her", "his"})
PERSONS: Final = (FIRST_PERSON | THIRD_PERSON | {"baby"}) - {"it"}
#: One person, or one animal.
OF_ONE: Final = frozenset({"he", "she", "his", "her", "him"})
#: What ends in s after one animal: "cow is", "dog has".
VERBS_IN_S: Final = frozenset({"is", "was", "has", "keeps", "gets", "seems", "refuses", "this", "his"})
#: After these a sentence may turn to somebody else.
TURNING: Final = frozenset({"but", "however", "although", "though", "whereas"})
#: A thing or an illness that was named before.
THINGS: Final = frozenset({"it", "them", "this", "that"})
SUBJECTS: Final = frozenset({"i", "he", "she", "they", "we", "my", "his", "her", "now"})
#: With these the next sentence goes on about what was asked: "… hasn't kicked? Nothing since last night".
GOING_ON: Final = SUBJECTS | THIRD_PERSON | {"nothing", "none", "because", "mine"}
#: With these a clause says who does or has something, and whose.
DOERS: Final = frozenset({"i", "he", "she", "they", "we", "my", "this"})
#: A clause that begins with one of these after "and" has a subject of its own, which a denial before it leaves alone.
OWN_SUBJECT: Final = frozenset({"the", "my", "his", "her", "their", "our", "i", "he", "she", "they", "we", "it"})
TO_SELF: Final = frozenset({"himself", "herself", "themselves", "themself"})
#: Between a person and a deed, these say that the person suffered it.
SUFFERED: Final = frozenset({"was", "were", "been", "being", "got", "gets", "get"})
#: "Should I take him …" is no word of one's own state.
HELPED: Final = frozenset({"him", "her", "them", "he", "she", "they"})
#: "What do I put …" neither.
HELPING: Final = frozenset(
    {"do", "give", "put", "tie", "press", "use", "apply", "hold", "call", "bring", "help", "rush", "carry", "stop"}
)

ARTICLES: Final = frozenset({"a", "an"})
LIKENESS: Final = frozenset({"like", "as", "than"})
AND: Final = frozenset({"and", "n", "nd"})
JOINING: Final = frozenset({"and", "n", "nd", "so", "then", "because", "while", "cos", "coz", "plus", "na", "era"})
ADDING: Final = frozenset({"and", "n", "nd", "with"})
PREPOSITIONS: Final = frozenset({"of", "with", "from", "for", "after", "during"})
LISTING: Final = frozenset({"or", "nor"})
HAVING: Final = frozenset({"has", "have", "had"})
#: What somebody is when ill: "not" before it denies that, and what follows with "or".
ILLS: Final = frozenset(
    {
        "tired", "sleepy", "sick", "ill", "hot", "cold", "weak", "dizzy", "drowsy", "confused", "breathless", "thirsty",
        "pale", "wheezy", "feverish", "shaky", "swollen", "sore", "stiff", "floppy",
    }
)  # fmt: skip
FURTHER: Final = frozenset({"had", "been"})
MODAL: Final = frozenset({"can", "could", "may", "might", "does", "do", "will", "would", "to", "did"})
DETERMINERS: Final = frozenset({"no", "more", "zero", "hakuna", "bila"})
UNABLE: Final = frozenset({"can't", "not", "never", "hardly", "barely"})
NEVER: Final = frozenset({"never", "not", "no", "none", "nothing", "nor"})
#: "She denies …" speaks of all that follows in its sentence, however each item begins.
DENIES: Final = frozenset({"denies", "denied", "denying", "deny"})
#: How a sentence begins to say of a thing that it is no trouble.
SAID_OF: Final = frozenset({"is", "goes"})
#: Words after which something else is spoken of.
BEGINNING_ANEW: Final = JOINING | TURNING | DOERS | THIRD_PERSON | {"now", "all", "everything"}
#: Denials of a thing, which no adjective can follow; and adjectives that say how somebody is.
LACKING: Final = frozenset({"no", "without"})
STATES: Final = frozenset(
    {
        "sweaty",
        "shaky",
        "dizzy",
        "drowsy",
        "sleepy",
        "confused",
        "pale",
        "grey",
        "clammy",
        "limp",
        "floppy",
    }
)

FINITE: Final = frozenset({"is", "are", "was", "were", "has", "have"})
PRESENT: Final = frozenset({"am", "is", "are", "has", "have", "can't", "won't", "keeps", "cannot"})
_NO_PRESENT: Final = frozenset({"was", "has", "does", "is", "always", "sometimes", "perhaps", "his", "this", "'s"})
#: Of these, what tells of another as they are: "has had fits" and "has diabetes" do not.
RIGHT_NOW: Final = frozenset({"is", "are", "can't", "cannot", "won't", "keeps"})
_PAST_VERBS: Final = frozenset(
    {
        "was", "were", "had", "did", "got", "fell", "took", "gave", "came", "went", "felt", "became", "began", "broke",
        "lost", "bled", "ate", "drank", "caught", "grew", "ran", "stood", "woke", "threw", "bit", "burnt", "hurt",
        "shook", "spat", "couldn't", "found", "told", "saw", "made", "sent", "kept", "brought",
    }
)  # fmt: skip
#: Who may be or do something, and of these one alone, whose verb ends in s.
ACTORS: Final = frozenset({"i", "he", "she", "it", "they", "we"})
ONE_PERSON: Final = frozenset({"he", "she", "it"})
#: After "has" these tell of the past: "in 2019 she has had fits".
PERFECT: Final = frozenset({"had", "been"})
#: After a "no" these are a verb, as in "hernia no go back": the "no" denies it alone, and no list after it.
BARE_VERBS: Final = frozenset(
    {
        "go", "come", "eat", "drink", "dey", "gree", "work", "move", "stop", "sleep", "wake", "breathe", "talk",
        "answer", "enter", "cry", "suck", "walk", "stand", "see", "hear", "open", "reach", "finish", "wan", "want",
    }
)  # fmt: skip
#: An animal that does this to young ones is pregnant.
CARRYING: Final = frozenset({"carrying", "expecting"})
#: What asks in writing, and how an answer to it is named.
FORMS: Final = frozenset({"box", "question", "questions", "questionnaire", "form", "checklist", "survey", "screening"})
#: Of these to have nothing is well: "blood: nothing". Of urine, kicks or a voice it is not.
GOOD_AS_NOTHING: Final = frozenset({"blood", "bleeding", "fever", "pain", "cough", "rash", "discharge", "swelling"})
ANSWERS: Final = frozenset({"answer", "answers", "reply", "response"})
UNTIL: Final = frozenset({"until", "till", "before"})
OF_LATE: Final = frozenset({"today", "tonight", "yesterday", "this"})
DURING: Final = frozenset({"over", "during", "middle", "while", "after", "before", "at", "end"})
AT_ONCE: Final = frozenset({"now", "today", "tonight", "suddenly"})
AWAKE: Final = frozenset({"woke", "wake", "wakes", "awoke", "waking", "awake"})
#: With these a clause speaks of all that was listed before it: "burns, wrecks, all of that ended in 2010".
SUMMING: Final = frozenset({"all", "that", "this", "these", "those", "which", "both", "everything", "it"})
#: Before a time, these leave it all there is: ", some fifteen years back".
ROUGHLY: Final = frozenset(
    {
        "some",
        "about",
        "around",
        "nearly",
        "almost",
        "over",
        "roughly",
        "maybe",
        "a",
        "few",
        "many",
        "several",
        "way",
        "back",
        "long",
        "just",
    }
)
#: "Can't deny" is no denial.
DISPUTING: Final = frozenset({"deny", "dispute"})
#: Where nobody is any patient any more.
BURIED: Final = frozenset({"buried"})
RECENT: Final = frozenset({"yesterday", "last", "since"})
RELAPSING: Final = frozenset({"again", "back", "returned", "restarted"})
#: Words of asking for help, which tell no time.
ASKING: Final = frozenset({"here", "help", "please", "pls", "plz"})
#: Who comes back and is no illness; where one is back and well.
GOERS: Final = frozenset({"i", "he", "she", "we", "you", "to", "should", "will", "could"})
#: Before a thing that is named, and what names no thing of its own.
NAMING: Final = frozenset({"the", "my", "his", "her", "our", "their", "these", "those"})
VAGUE: Final = frozenset(
    {
        "same",
        "thing",
        "things",
        "problem",
        "problems",
        "trouble",
        "illness",
        "sickness",
        "disease",
        "symptoms",
        "pain",
        "pains",
        "attack",
        "attacks",
        "feeling",
        "feelings",
        "thought",
        "thoughts",
        "urge",
        "urges",
        "whole",
        "lot",
    }
)
PLACES_TO_BE_BACK: Final = frozenset({"to", "home", "at", "in", "from", "with", "for"})
#: After "has gone", these leave it gone; what else follows is what it became.
AFTER_GONE: Final = frozenset(
    {
        "away",
        "now",
        "completely",
        "since",
        "by",
        "after",
        "and",
        "but",
        "already",
        "down",
        "again",
        "today",
        "with",
        "when",
    }
)
#: Who stops doing something, which ends no illness unless it is a doing: "she stopped vomiting".
STOPPERS: Final = frozenset({"i", "he", "she", "they", "we"})
STOPPED_ELSE: Final = frozenset(
    {
        "taking", "his", "her", "my", "the", "all", "eating", "drinking", "feeding", "sucking", "breathing", "moving",
        "kicking", "talking", "answering", "responding", "passing", "growing", "working", "breastfeeding", "trying",
        "using", "walking", "playing", "speaking", "suckling", "crying", "being",
    }
)  # fmt: skip
#: After these nothing counts as dealt with.
UNSETTLED: Final = frozenset({"now", "today", "again", "still", "since", "worse", "yesterday", "tonight", "but", "not"})
#: With these a sentence goes on about what the one before it told: "It has now gone".
REFERRING: Final = frozenset(
    {
        "it", "this", "that", "these", "they", "he", "she", "i", "we", "all", "everything", "both", "now", "then",
        "has", "have", "had", "is", "are", "was", "were", "been", "am", "feel", "feels", "felt", "feeling", "by",
        "completely", "fully", "already", "just", "mostly", "quickly", "soon", "later", "after", "itself", "much",
        "so", "a", "bit", "little", "today", "since", "the", "his", "her", "my", "pain", "and", "but", "thankfully",
        "luckily", "very", "quite", "no",
    }
)  # fmt: skip
#: With these a story of another has ended, or others look after them.
OVER: Final = frozenset(
    {
        "fine", "ok", "okay", "well", "better", "home", "hospital", "icu", "ward", "dead", "alive", "recovering",
        "normal", "working", "back", "if", "healthy", "grown", "doctor", "doctors", "medicine", "medication",
        "tablets", "treatment", "specialist", "clinic", "school", "diagnosed",
    }
)  # fmt: skip

#: "Mine" after a question for animals is one; whose an animal is.
OWNED: Final = frozenset({"mine", "ours", "its"})
OWNING: Final = frozenset({"my", "our", "mine"})
#: What animals do to people; whatever such a clause tells of is the person's.
DEEDS: Final = frozenset(
    {
        "kicked", "kick", "bit", "bite", "bites", "biting", "scratched", "scratch", "attacked", "knocked", "butted",
        "gored", "stung", "struck", "hit", "licked", "stepped", "threw", "dragged", "crushed", "trampled", "pushed",
        "charged", "jumped", "allergy", "trod", "chased", "ran", "rammed", "pecked", "clawed",
        "overturned", "opened", "tore", "grabbed", "seized", "lifted", "tossed", "hooked", "flung",
    }
)  # fmt: skip
#: What who owns an animal does or thinks about it: "she won't wake when I call", "it ate rat poison I think".
TENDING: Final = frozenset(
    {
        "call", "called", "shout", "shouted", "shake", "touch", "touched", "try", "tried", "pet", "poke", "pick",
        "picked", "offer", "offered", "feed", "think", "guess", "believe", "suppose", "reckon", "fear",
    }
)  # fmt: skip
#: "It bit me, him": the person is in the verb, in Swahili and Luganda, and may stand after the animal's owner.
BIT_SOMEBODY: Final = frozenset(
    {
        "ameniuma", "amemuuma", "aliniuma", "alimuuma", "kaniuma", "ameningata", "amemngata", "yannuma", "yamuluma",
        "ennumye", "emulumye", "yannumye", "yamulumye",
    }
)  # fmt: skip
#: After an animal, these say that it is food or a matter of people: "the goat stew", "my horse riding accident".
MADE_OF: Final = frozenset(
    {
        "meat", "stew", "soup", "milk", "muchomo", "liver", "curry", "bone", "bones", "feed", "dung", "farm", "market",
        "riding", "ride", "cart", "accident", "owner", "house", "shed", "skin", "horn", "hoof",
        "rope", "chain", "pond", "farmer", "keeper",
    }
)  # fmt: skip
#: Before an animal, these say that it was eaten, carried or met: "I ate fish and got a rash".
OBJECT_OF: Final = frozenset(
    {
        "ate", "eat", "eats", "eating", "eaten", "cooked", "bought", "with", "by", "from", "at",
        "handled", "carrying", "chased", "chasing", "chases", "herding", "herds",
        "riding", "rides", "plucking", "holding", "hit", "slaughtered", "to", "like", "away", "sprayed", "spraying",
        "washed", "washing", "milking", "milked", "feeding", "fed", "sold", "selling", "dipping", "dipped",
        "on", "into", "off", "onto", "over", "behind", "under", "near",
    }
)  # fmt: skip


def is_present_verb(word: str) -> bool:
    """Whether a word after "she" is what she does now: it ends in s, and is no "was", "does" or "always"."""
    return word.endswith("s") and not word.endswith("ss") and word not in _NO_PRESENT


def is_past_verb(word: str) -> bool:
    """Whether a word is surely a verb of the past; many more are, and are not known."""
    return word in _PAST_VERBS or (len(word) > 4 and word.endswith("ed"))
