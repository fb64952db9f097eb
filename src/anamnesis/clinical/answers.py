"""What kind of answer a message is: yes, none, not known, not told, a command, a correction, a question back.

Every one of these is about the whole message. A word that merely begins one is none of them: "Complete loss of
vision" is no command, and "No, but I am allergic to penicillin" is not a no.
"""

# ruff: noqa: SIM905 - a pattern and a list of words are read as a whole
import re
from typing import Final

from anamnesis.clinical.findings import fold

_NEGATIVE: Final = re.compile(
    r"\b(?:no|none|nope|nah|nothing|nobody|never|nil|not|negative|zero|n/?a|hapana|hakuna|la|sina|nedda|tewali|sirina|"
    r"(?:i|he|she|they|we|it|there)(?:'m|'s| am| is| are)? (?:do not|don't|dont|does not|doesn't|doesnt|have no|has no|have not|"
    r"haven't|hasn't|have never|has never|had no|never|not|no|isn't|aren't|am not|can't|cannot))\b"
)
#: Words that add nothing to a no: "no known allergies to any medicine or food, thank you".
_NEUTRAL: Final = frozenset(
    """no none nope nah nil zero negative n/a na la sina nedda si nothing nobody never not any anything anybody anyone other others known of these those them this that i he she they
    we it its my our the a an have had has take takes taken taking using use been be am is are on to from for in at all with or and
    medicine medicines medication medications drug drugs tablet tablets pill pills herb herbs herbal remedies allergy allergies
    allergic allergys illness illnesses disease diseases sickness sick ill operation operations surgery surgeries records
    record results result letters letter papers prescription prescriptions test tests documents document family illnesses runs
    run really thanks thank you more else problem problems condition conditions history food foods ever so far readings reading
    measurement measurements thermometer machine device here now there do does did know think everything else fine far
    mine anymore such kind hapana hakuna nedda nothing's spread spreads spreading move moves moving anywhere yet also
    measure measured measuring vitals vital signs regular currently admitted hospital before birth pregnant special sir doctor
    he's she's i'm don't dont doesn't can't cannot haven't hasn't isn't aren't them. bado kitu dawa mzio tewali
    eddagala sirina""".split()
)
_LONGEST_NONE_WORDS: Final = 14
_NOT_NONE: Final = re.compile(r"\b(?:but|except|only|apart|however)\b")
_UNKNOWN: Final = re.compile(
    r"(?:(?:sorry|well|hmm+|uh+)[\s,.]+)?(?:i|we|he|she|they)? ?(?:really )?(?:(?:do not|don't|dont|doesn't|does not|can't|cannot|do n't) "
    r"(?:really )?(?:know|remember|recall|tell|say)(?: (?:that|it|this|for sure|exactly|yet|now|about (?:that|it)))*|not sure|am not sure|'m not sure|"
    r"unsure|no idea|have no idea|dunno|idk|dk|forgot|have forgotten|not certain)[\s.!?]*(?:sorry[\s.!]*)?"
    r"|(?:sijui|hatujui|sikumbuki|simanyi|tetumanyi|sijjukira|hard to say|no clue|who knows)[\s.!]*"
)
_YES: Final = re.compile(
    r"(?:yes|yeah|yep|yah|yea|ya|yup|sure|correct|right|true|exactly|ok|okay|ndiyo|ndio|naam|yee|ye)"
    r"(?:[\s,.!]+(?:please|it is|it's|this is|that is|that's|i am|she is|he is|i do|all|right|correct|true|yes|thank you|thanks|sir|doctor|"
    r"everything is right|all of it|i think so))*[\s.!]*"
)
_REFUSAL: Final = re.compile(
    r"\b(?:rather not|prefer not|don't want to (?:say|tell|answer|give|share)|do not want to (?:say|tell|answer|give|share)|won't (?:say|tell)|none of your business|"
    r"that is private|that's private|not comfortable (?:saying|telling))\b"
)
_SKIP: Final = re.compile(r"(?:skip|skip this|next question|ruka)[\s.!]*")
_DONE: Final = re.compile(
    r"(?:(?:please|ok|okay|sorry|no|look)[\s,]+)*(?:"
    r"done|finish(?:ed)?|stop|stop now|end|(?:i am|i'm|im|we are) (?:done|finished)|nimemaliza|acha|"
    r"(?:i (?:want|would like|'d like|need|have) to|let me|can (?:i|we)|let us|let's) (?:stop|finish|end)(?: (?:now|here|this|it|there))*|"
    r"(?:stop|finish|end|enough|no more)(?: asking)?(?: me)?(?: with)?(?: (?:so many|these|the|all|of|this|your|any more|more))* (?:questions?|asking(?: me)?)|"
    r"stop asking(?: me)?|(?:i am|i'm|im) (?:so )?tired of (?:these |the |all |your |answering )*questions?"
    r")(?:[\s,]+(?:please|now|thank you|thanks|finish|stop|enough))*[\s.!?]*"
)
_SOMEBODY: Final = (
    r"(?:(?:a|the|my|any|some)? ?(?:real |human |live |actual )*(?:person|human(?: being)?|doctor|nurse|health worker)|"
    r"(?:someone|somebody|anyone|anybody)(?: (?:real|human|else|there))?)"
)
_PERSON: Final = re.compile(
    r"(?:(?:please|ok|okay|sorry|no|but|hello)[\s,]+)*(?:"
    r"(?:i (?:want|need|would like|wish|prefer)|i'd like|i just want|let me|can i|could i|may i|connect me|put me|get me|give me|i would rather|i'd rather|we want|we need)"
    rf"(?: (?:to|through|please))*(?: (?:talk|speak|chat|see|meet))?(?: (?:to|with))* {_SOMEBODY}|"
    rf"(?:talk|speak) (?:to|with) {_SOMEBODY}|is there (?:a (?:real )?person|(?:someone|somebody)) i can (?:talk|speak) to|"
    r"nataka (?:kuongea na |kumuona |kuona )?(?:mtu|daktari)|njagala (?:okwogera n'?)?omusawo"
    r")(?:[\s,]+(?:please|now|instead|directly|on the phone|not a (?:computer|machine|robot|bot)|thank you|thanks|here|today))*[\s.!?]*"
)
_GREETING: Final = re.compile(
    r"(?:hi+|hello+|hey+|good (?:morning|afternoon|evening|day)|thanks?|thank you|asante|habari|jambo|gyebale(?: ko)?|webale|"
    r"are you there)(?:[\s,]+(?:doctor|there|sir|madam|again|so much|very much|ssebo|nnyabo))*[\s.!?]*"
)
_CORRECTION: Final = re.compile(
    r"^(?:(?:no|sorry|oops|wait|actually|correction)[\s,.:–-]+)*(?:i meant(?: to (?:say|write))?|i mean|correction|actually|sorry,? (?:it is|it's|that is)|"
    r"i made a mistake|that (?:is|was) (?:wrong|a mistake)|(?:it is|it's) not [\w ]{1,20}, (?:it is|it's))[\s,.:;–-]*"
)
_ASKING: Final = re.compile(
    r"^(?:(?:but|so|and|please|doctor)[\s,]+)*(?:what|why|when|is (?:it|this|that)|should|can (?:i|you|it|this)|could|will|would|do (?:i|you)|am i|"
    r"how (?:long|much|serious|bad|do)|does (?:it|this)|which|who|where)\b"
)
_VAGUE: Final = re.compile(
    r"(?:it(?:'s| is) )?(?:about )?(?:me|myself|my child|somebody else)[\s.!]*|"
    r"(?:(?:i|he|she|we|they)(?:'m| am| is|'s| feel| feels| don't feel| do not feel| doesn't feel)? ?|my body |just |feeling )*(?:feel|feels|am|not|very|so|really|just|a bit|bit|too|"
    r"feeling|sick|unwell|ill|bad|well|good|okay|ok|fine|terrible|awful|weak|pain|in pain|it hurts|hurts|it|help|help me|please|pains)"
    r"(?: (?:feel|feels|am|not|very|so|really|just|bit|too|feeling|sick|unwell|ill|bad|well|good|okay|ok|terrible|awful|pain|hurts|today|these days|please|help|me|now|doctor))*[\s.!]*"
)
_FILLER: Final = re.compile(
    r"(?:well|so|ok|okay|oh|ah|eh|hmm+|sorry|please|doctor|by the way|also|and|yes|i forgot(?: to (?:say|tell you))?|thank you|thanks|that is how it is|"
    r"you know|let me see|i think|i see)(?: (?:doctor|sir|madam|please))?"
)
_ASIDE: Final = re.compile(
    r"(?:oh|also|and|sorry|wait|doctor|yes)?[\s,]*(?:by the way|btw|i (?:also )?forgot(?: to (?:say|tell|mention)(?: you)?)?|before i forget|one more thing|"
    r"i (?:should|did not|didn't) (?:also )?(?:say|tell|mention)|let me also)\b"
)
_WORD: Final = re.compile(r"[\w'/]+")


def is_none(text: str) -> bool:
    """Whether the whole message says that there is none: a no, and nothing beside it that could be a fact."""
    folded = fold(text).strip(" .,!;:–-\n")
    words = _WORD.findall(folded)
    if not 0 < len(words) <= _LONGEST_NONE_WORDS or _NOT_NONE.search(folded) or is_unknown(text):
        return False
    return _NEGATIVE.search(folded) is not None and all(word in _NEUTRAL for word in words)


def is_unknown(text: str) -> bool:
    """Whether the whole message says that the patient does not know."""
    return _UNKNOWN.fullmatch(fold(text).strip()) is not None


def is_refused(text: str) -> bool:
    """Whether the patient does not want to answer."""
    return _REFUSAL.search(fold(text)) is not None


def is_yes(text: str) -> bool:
    """Whether the whole message says yes and nothing more."""
    return _YES.fullmatch(fold(text).strip()) is not None


def begins_with_yes(text: str) -> bool:
    """Whether the message says yes first and may say more."""
    return re.match(r"(?:yes|yeah|yep|ndiyo|ndio|yee)\b", fold(text).strip()) is not None


def begins_with_no(text: str) -> bool:
    """Whether the message says no first and may say more."""
    return re.match(r"(?:no|nope|none|not really|hapana|nedda)\b\s*(?:[,.;:–-]|but|$)", fold(text).strip()) is not None


_OUT_OF_DANGER: Final = re.compile(
    r"\b(?:not|no longer|never) in (?:any )?danger\b|\bno danger\b|\b(?:not|no longer) (?:afraid|scared)\b"
)
_NOT_SAFE: Final = re.compile(
    r"\b(?:not|never|isn't|aren't|don't feel|do not feel|can't be) (?:\w+ ){0,3}safe\b|\bunsafe\b|\bin danger\b|\b(?:scared|afraid|terrified)\b|"
    r"\bsi salama\b|\b(?:he|she|they)(?:'s| is| are|'re) (?:\w+ )?(?:here|outside|coming|back|home|inside|near|drunk|angry)\b"
)
_SAFE: Final = re.compile(r"\b(?:i am|i'm|im|we are|we're|feel) (?:\w+ )?(?:safe|ok|okay|fine)\b")
_FIRST_NO: Final = re.compile(r"(?:no|nope|nah|not|never|hapana|nedda|sio|si)\b")
_IN_DOUBT: Final = re.compile(r"(?:maybe|perhaps|sometimes|for now|not sure|i think so\?)\W*")


def says_not_safe(text: str) -> bool:
    """Whether an answer to "Are you safe right now?" says no, or leaves it in doubt."""
    folded = _OUT_OF_DANGER.sub("i am safe", fold(text).strip())
    if _NOT_SAFE.search(folded):
        return True
    if _SAFE.search(folded):
        return False
    return _FIRST_NO.match(folded) is not None or is_unknown(text) or _IN_DOUBT.fullmatch(folded) is not None


_ATTACHED: Final = re.compile(
    r"\[?(?:(?:here(?: is|'s| are)|this is|these are|(?:i am |i'm )?sending|(?:please )?(?:see|look at)) )?(?:(?:a|an|the|my|some) )?"
    r"(?:photos?|pictures?|images?|documents?|picha|ekifaananyi|ebifaananyi)\]?[\s.!]*"
)


def is_attachment(text: str) -> bool:
    """Whether the whole message says only that a photo or a document comes with it; it answers nothing."""
    return _ATTACHED.fullmatch(fold(text).strip()) is not None


def is_greeting(text: str) -> bool:
    """Whether the message is a greeting or thanks and nothing more; it is never a symptom."""
    return _GREETING.fullmatch(fold(text).strip()) is not None


def is_filler(text: str) -> bool:
    """Whether a piece of a message says nothing: "well doctor", "by the way"."""
    return _FILLER.fullmatch(fold(text).strip(" .,!;:")) is not None


def begins_aside(text: str) -> bool:
    """Whether the message begins as something that is said besides: "by the way", "I forgot to tell you"."""
    return _ASIDE.match(fold(text).strip()) is not None


_PUZZLED: Final = re.compile(
    r"(?:(?:sorry|please|but|doctor|hmm+|i am sorry|i'm sorry)[\s,.]+)*(?:"
    r"(?:i )?(?:do not|don't|dont|did not|didn't|can't|cannot) (?:really )?(?:understand|get|follow)(?: (?:you|it|this|that|the question|your question|what you (?:mean|say|are asking)|the words?))?|"
    r"what (?:do you mean|does (?:that|it|this) mean|is that|do you want to know|are you asking)(?: by (?:that|this|\w+))?|"
    r"(?:explain|repeat)(?: (?:that|it|the question))?(?: again)?|pardon|come again|sorry|huh|eh|what|sielewi|sijaelewa|sitegeera|sitegedde"
    r")(?:[\s,]+(?:please|doctor|again))*[\s.!?]*"
)


def is_puzzled(text: str) -> bool:
    """Whether the whole message says that the question was not understood; it answers nothing."""
    return _PUZZLED.fullmatch(fold(text).strip()) is not None


def is_vague(text: str) -> bool:
    """Whether the message says only that somebody is unwell."""
    return _VAGUE.fullmatch(fold(text).strip()) is not None


def is_question(text: str) -> bool:
    """Whether the patient asks something instead of answering."""
    folded = fold(text).strip()
    return folded.endswith("?") and _ASKING.match(folded) is not None


def corrected(text: str) -> str | None:
    """What stands after "no, I meant" or "actually", verbatim; None when the message corrects nothing."""
    found = _CORRECTION.match(fold(text))
    if found is None:
        return None
    return text[found.end() :].strip() or None


def command(text: str) -> str | None:
    """Answer "skip", "done" or "person" when the whole message asks for that; a word that merely begins one is not.

    "I want to stop now" and "I want to talk to a real person" are no complaint and no detail of one.
    """
    words = fold(text).strip()
    commands = (("skip", _SKIP), ("done", _DONE), ("person", _PERSON))
    return next((name for name, pattern in commands if pattern.fullmatch(words)), None)
