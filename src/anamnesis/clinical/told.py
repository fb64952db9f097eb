"""Facts a message states, whoever asked: who it is about, since when, how bad, medicines, allergies, illnesses.

Each comes with the verbatim words it was read from, and nothing is read that the words do not say of the patient.
"""

# ruff: noqa: E501, SIM905 - a pattern and a list of words are read as a whole
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from anamnesis.clinical.findings import fold
from anamnesis.clinical.numerals import in_digits, is_number, whole
from anamnesis.clinical.terms import Age, Sex, Speaker
from anamnesis.clinical.vocabulary import Vocabulary

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Told(Generic[Value]):
    """A value and the verbatim words it was read from."""

    value: Value
    quote: str


NONE: Final = "none"

# -- who ---------------------------------------------------------------------------------------------------------

_AGE: Final = re.compile(
    r"\b(\d{1,3}(?:\.5)?)[\s-]*(years?|yrs?|yo|y/o|months?|mths?|weeks?|wks?|days?)(?:[\s-]*(?:old|of age))?\b"
    r"(?!\s*(?:pregnant|of pregnancy|gestation|along|ago|post|after|now))"
)
_AGE_SW_LG: Final = re.compile(r"\b(?:miaka|emyaka)\s+(\d{1,3})\b")
_AGE_OLD: Final = re.compile(r"(?:old|of age|yo|y/o)$")
_AGED: Final = re.compile(
    r"\b(?:aged?|i am|i'm|im|she is|he is|she's|he's|am)\s+(\d{1,3})\b(?!\s*(?:[/%.,]\d|/|%|weeks|months|days|kg|times|degrees|hours|minutes))"
)
_AGE_LETTER: Final = re.compile(r"\b(\d{1,3})\s?[mf]\b")
_BARE: Final = re.compile(r"(?<![\d/.,])\b(\d{1,3})\b(?!/|[.,]\d|\s*(?:%|kg|weeks|months|days|hours))")
_UNIT_DAYS: Final = {"y": 365.25, "m": 30.4375, "w": 7.0, "d": 1.0}
_OLDEST_YEARS: Final = 120
_A_DURATION: Final = re.compile(r"\b(?:for|since|past|last|about|over)\s+(?:the\s+)?(?:past\s+|last\s+|about\s+)?$")


def read_age(text: str, *, is_asked: bool) -> Told[Age] | None:
    """An age the text states. A bare number counts only when an age was asked for; a duration ("for 3 weeks") never."""
    said = fold(text)
    folded = in_digits(said, small=True)
    for match in _AGE.finditer(folded):
        is_stated = bool(_AGE_OLD.search(match.group()))
        if is_stated or (is_asked and not _A_DURATION.search(folded[: match.start()])):
            return _age(float(match.group(1)) * _UNIT_DAYS[match.group(2)[0]], text[match.start() : match.end()])
    folded = folded if is_asked else in_digits(said)
    patterns = (_AGE_SW_LG, _AGED, _AGE_LETTER, _BARE) if is_asked else (_AGE_SW_LG, _AGED)
    for pattern in patterns:
        found = pattern.search(folded)
        if found:
            end = whole(said, found.start(), found.end())
            return _age(float(found.group(1)) * _UNIT_DAYS["y"], text[found.start() : end])
    return None


def _age(days: float, quote: str) -> Told[Age] | None:
    return Told(Age(days), quote) if 0 <= days <= _OLDEST_YEARS * _UNIT_DAYS["y"] else None


_SEX_WORDS: Final = "female|male|woman|man|girl|boy|lady|gentleman|mwanamke|mwanaume|msichana|mvulana|mukazi|musajja"
_SEX: Final = re.compile(rf"\b({_SEX_WORDS})\b")
_SEX_LETTER: Final = re.compile(r"(?:(?<=\d)|\b)([mf])\b(?!')")
_SEX_STATED: Final = re.compile(rf"\b(?:i am|i'm|im|am) an? (?:[\w-]+ ){{0,4}}?({_SEX_WORDS})\b")
_SEX_OF_KIN: Final = re.compile(
    r"\bmy (?:\d[\w.-]* ?(?:years?|months?|weeks?|days?)?[\s-]*(?:old)? ?|little |baby |young |old |elder |newborn )*"
    r"(daughter|son|wife|husband|mother|mum|mom|father|dad|sister|brother|grandmother|grandfather|girl|boy|aunt|uncle)\b"
)
_SEX_NEAR_AGE: Final = re.compile(
    rf"\b\d{{1,3}}[\s,-]*(?:years?|yrs?|yo|y/o)?[\s,-]*(?:old)?[\s,]*(?:and )?({_SEX_WORDS}|[mf])\b"
)
_FEMALE: Final = frozenset(
    "female woman girl lady f daughter wife mother mum mom sister grandmother aunt mwanamke msichana mukazi".split()
)


def read_sex(text: str, *, is_asked: bool) -> Told[Sex] | None:
    """A sex the text states of the patient; other people's only count when it was asked for."""
    folded = fold(text)
    found = _SEX_STATED.search(folded) or _SEX_NEAR_AGE.search(folded)
    if not found and is_asked:
        found = _SEX.search(folded) or _SEX_LETTER.search(folded)
    if not found and read_speaker(text, is_asked=False) is not None and _is_for_kin(folded):
        found = _SEX_OF_KIN.search(folded)
    if not found:
        return None
    sex = Sex.FEMALE if found.group(1) in _FEMALE else Sex.MALE
    return Told(sex, text[found.start(1) : found.end(1)])


_THREE_WORDS: Final = r"([^\W\d_][\w'-]*(?:[^\S\n]+[^\W\d_][\w'-]*){0,2})"
_NAME: Final = re.compile(
    r"\b(?:(?:my|his|her|their|child's|baby's|patient's) name(?: is|'s)|i am called|i'm called|am called|jina langu ni|nnyitibwa|erinnya lyange)\s+"
    + _THREE_WORDS,
    re.IGNORECASE,
)
#: What names somebody only where a name was asked for: "this is very painful", "a clinic called Mulago".
_NAME_ASKED: Final = re.compile(
    r"\b(?:name is|name's|is called|called|call me|this is|names?:)\s+" + _THREE_WORDS, re.IGNORECASE
)
_NOT_A_NAME: Final = frozenset(
    """i am is was my it's years year old male female man woman boy girl yes no none months the a an and have has it me he she name
    aged im i'm his her he's she's years. months. this for about who with but since because of him mimi nze what why hello hi
    patient's patient child's child baby babys pain fever sick unwell eh hmm ok okay what's not sure don't know mwanamke mwanaume
    miaka mukazi musajja emyaka jina langu ni na""".split()
)


#: Words of a sentence: with one of these, what begins a message is no name.
_OF_A_SENTENCE: Final = frozenset(
    """i'd i'll i've rather want wants need needs give giving gave say saying tell telling prefer private do does did don't doesn't not can can't
    cannot could may would should call calls you your yours are to its that that's of on in at there then some any have has had having
    feel feels feeling get gets getting got why what how when where which who who's if or but so very really please help real
    doctor nurse thanks fine well good question answer secret anonymous matter matters urgent serious nothing pain pains paining fever cough headache sick ill""".split()
)
_TITLE: Final = re.compile(r"^\s*(?:mr|mrs|ms|miss|madam|sir)\b\.?\s+", re.IGNORECASE)
_KIN_NAMED: Final = frozenset(
    "son daughter child baby boy girl mother father wife husband sister brother friend".split()
)


def read_name(text: str, *, is_asked: bool) -> Told[str] | None:
    """A name: after "my name is", or, when it was asked for, the first words of the message if they can be one."""
    found = _NAME.search(text) or (_NAME_ASKED.search(text) if is_asked else None)
    words = found.group(1).split() if found else []
    if not found and is_asked:
        first = re.split(r"[,;.\n\d]", _TITLE.sub("", text).strip(), maxsplit=1)[0]
        words = re.findall(r"[^\W\d_][\w'’-]*", first)
        if any(word.lower().replace("’", "'") in _OF_A_SENTENCE for word in words):
            return None
        while words and (words[0].lower() in _NOT_A_NAME | _KIN_NAMED or is_number(words[0].lower())):
            words = words[1:]
    kept: list[str] = []
    for word in words:
        if word.lower() in _NOT_A_NAME | _OF_A_SENTENCE or is_number(word.lower()):
            break
        kept.append(word)
    name = " ".join(kept)
    return Told(name, name) if 1 <= len(kept) <= 3 and name in text else None


_KIN_CHILD: Final = r"(?:son|daughter|child|baby|kid|boy|girl|newborn|infant|toddler|twins?)"
_KIN_OTHER: Final = (
    r"(?:wife|husband|mother|father|mum|mom|dad|sister|brother|grandmother|grandfather|grandma|grandpa|friend|neighbour|partner|aunt|auntie|"
    r"uncle|cousin|niece|nephew|mother-in-law)"
)
_FILLERS: Final = r"(?:[\w.-]+ ){0,5}?"
_HIS_STORY: Final = r"\b(?:has|is|was|had|have|having|been|fell|can't|cannot|won't|keeps?|started|feels?|complains?|started|got|vomits?|coughs?|refuses?|suddenly)\b"
_OF_OLD: Final = re.compile(r"\b(?:died|passed away|years? ago|last year|in the past|runs in)\b")


def _is_for_kin(folded: str) -> bool:
    return re.search(rf"\bmy {_FILLERS}(?:{_KIN_CHILD}|{_KIN_OTHER})\b", folded) is not None


def read_speaker(text: str, *, is_asked: bool) -> Told[Speaker] | None:
    """Who is writing, as far as the text says. Somebody's illness told of kin is about kin only when told of now."""
    folded = fold(text)
    child = re.search(rf"\bmy {_FILLERS}{_KIN_CHILD}\b|\bmtoto wangu\b|\bomwana wange\b", folded)
    other = re.search(rf"\bmy {_FILLERS}{_KIN_OTHER}\b|\b(?:an)?other person\b|\bsome(?:body|one) else\b", folded)
    if child and (is_asked or re.search(_HIS_STORY, folded[child.end() :])):
        return Told(Speaker.PARENT, text[child.start() : child.end()])
    is_story = other and re.match(rf"\s*(?:who |,? ?\w+ )?{_HIS_STORY}", folded[other.end() :])
    if other and (
        is_asked or (is_story and not _OF_OLD.search(folded) and not re.search(r"\bi (?:have|am)\b", folded))
    ):
        return Told(Speaker.OTHER, text[other.start() : other.end()])
    own = re.search(
        r"\b(?:it is about me|about me|for me|me|myself|mimi|nze|i(?:'m| am| have|'ve| feel| had| got| keep| can't| was| take)?)\b",
        folded,
    )
    if own and (is_asked or re.match(r"i\b.", own.group() + " ")):
        return Told(Speaker.SELF, text[own.start() : own.end()])
    return None


# -- the complaint -----------------------------------------------------------------------------------------------

_NUMBER: Final = (
    r"(?:\d+|an?|one|two|three|four|five|six|seven|eight|nine|ten|many|few|some|several|a few|a couple of|couple of)"
)
_UNIT: Final = r"(?:minutes?|mins?|hours?|hrs?|days?|nights?|weeks?|months?|years?)"
_ONSET: Final = re.compile(
    rf"\b(?:since (?:(?:last|this|the|early|about|around) )*\w+(?: (?:morning|night|evening|afternoon|week|month|year|ago))?|"
    rf"for (?:(?:the|last|past|about|over|almost|nearly|more than|around) )*{_NUMBER} {_UNIT}|"
    rf"{_NUMBER} {_UNIT} (?:ago|now|back)|(?:started|began|came on|happened) (?:suddenly |slowly |about |around )*"
    rf"(?:(?:{_NUMBER} {_UNIT} ago|yesterday|today|this \w+|last \w+|on (?:the \d+\w*|\w+day)|in (?:\d{{4}}|january|february|march|april|may|june|july|august|september|october|november|december)|after \w+|at \d+)(?: (?:morning|night|evening|afternoon|week|month|year|am|pm))?|suddenly|slowly|all at once|gradually)|"
    rf"(?:this|yesterday|last) (?:morning|night|evening|afternoon|week|month|year)|yesterday|today|"
    rf"tangu (?:jana|leo|juzi|asubuhi|jumatatu|wiki \w+)|okuva (?:jjo|leero|ku \w+))\b"
)
_ONSET_OF_IT: Final = re.compile(r"\b(?:it|this|the pain|the \w+) (?:all )?(?:started|began)\b")


def read_onset(text: str) -> Told[str] | None:
    """When a complaint began or how long it has lasted, in the patient's words."""
    return _first(_ONSET, text)


def _first(pattern: re.Pattern[str], text: str) -> Told[str] | None:
    """The first words of the text that are of this form, as they stand there."""
    found = pattern.search(fold(text))
    return Told(text[found.start() : found.end()], text[found.start() : found.end()]) if found else None


_SPAN: Final = (
    r"(?:\d+|an?|half an?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|twenty|thirty|many|few|"
    r"several|some) (?:few )?(?:minutes?|mins?|hours?|hrs?|days?|nights?|weeks?|wks?|fortnights?|months?|years?|yrs?)"
)
_LASTING: Final = re.compile(
    rf"\b(?:(?:the |these )?(?:last|past) {_SPAN}|(?:going on|it(?: has|'s| is) been|been|coming to) (?:(?:for|about|around|nearly|almost|over|close to) )*{_SPAN}|"
    rf"from (?:about |around )?(?:\w+ )?(?:morning|night|evening|afternoon|week|month|year|easter|christmas|eid|january|february|march|april|may|june|july|"
    rf"august|september|october|november|december|\w+day))\b"
)
_SPAN_ALONE: Final = re.compile(
    rf"\b{_SPAN}\b|\b(?:little by little|bit by bit|out of the blue|overnight|in a flash)\b"
)


def read_lasting(text: str) -> Told[str] | None:
    """How long it has lasted or from when, told together with a complaint to the question for both."""
    return _first(_LASTING, text)


def is_span(text: str) -> bool:
    """Whether a piece of an answer names a length of time, or how something came on."""
    return _SPAN_ALONE.search(fold(text)) is not None


def is_about_onset(text: str) -> bool:
    """Whether the text says that the complaint itself began then, and not only that something happened then."""
    return _ONSET_OF_IT.search(fold(text)) is not None


_SEVERITY: Final = re.compile(r"\b(10|\d)\s*(?:/|out of|over|of)\s*(?:10|ten)\b")
_SEVERITY_BARE: Final = re.compile(
    rf"(?<![\d/.,:])\b(10|[0-9])\b(?![\d/:]|[.,]\d|\s*(?:{_UNIT}|times|mg|kg|%|am|pm|weeks|of them|tablets|pads)\b)"
)
_TENS: Final[Mapping[str, int]] = {
    name: number
    for names in (
        "zero one two three four five six seven eight nine ten",
        "sifuri moja mbili tatu nne tano sita saba nane tisa kumi",
        "zeero emu bbiri ssatu nnya ttaano mukaaga musanvu munaana mwenda kkumi",
    )
    for number, name in enumerate(names.split())
}
_SEVERITY_NAMED: Final = re.compile(
    rf"\W*(?:a |an |about |around |maybe |like |(?:i'?d|i would|i) (?:give it|say|rate it) )*(?:a |an )?({'|'.join(_TENS)})\b"
    r"(?=\W*$|\s*[,.;!]|,? (?:out of|or|maybe|i (?:guess|think)|for me|right now|at (?:night|most|worst)))"
)
_SEVERITY_WORD: Final = re.compile(
    r"\b(mild|moderate|severe|very bad|so bad|too bad|really bad|unbearable|not bad|not so bad|not too bad|terrible|worst|quite bad|bad)\b"
)


def read_severity(text: str, *, is_asked: bool) -> Told[str] | None:
    """How bad it is: a number out of ten, or a number or word when it was asked for."""
    folded = fold(text)
    found = _SEVERITY.search(folded)
    if not found and is_asked and (named := _SEVERITY_NAMED.match(folded)):
        value = f"{_TENS[named.group(1)]} of 10"
        return Told(value, text[named.start(1) : named.end(1)])
    if not found and is_asked:
        found = _SEVERITY_BARE.search(folded) or _SEVERITY_WORD.search(folded)
    if not found:
        return None
    value = f"{found.group(1)} of 10" if found.group(1).isdigit() else found.group(1)
    return Told(value, text[found.start() : found.end()])


# -- the history -------------------------------------------------------------------------------------------------

_TO_END: Final = (
    r"([^.;\n]{2,90}?)(?=[.;\n]|$|,? (?:but|and (?:i|my|he|she|it|no)|since|for (?:the|my|his|her|a|an))\b|"
    r"(?<!\bif)(?<!\bwhen)(?<!\bthat)(?<!\bas)(?<!\bfor),? (?:i|he|she|my)\b|, (?:no|not)\b)"
)
_VACCINES: Final = re.compile(r"[^.,;!?\n]*\b(?:vaccin\w*|immuni[sz]\w*|jabs?|chanjo|okugem\w*)\b[^.,;!?\n]*")
_OTHER_VACCINES: Final = re.compile(
    r"\b(?:dog|cat|animal|rabies|tetanus|since the|after the|(?:my|his|her) (?:mother|father|wife|husband|brother|sister))\b|\?"
)


def read_vaccines(text: str) -> Told[str] | None:
    """What the text says of vaccines a child had, in its own words; not those of an animal, nor an illness after one."""
    found = _VACCINES.search(fold(text))
    if found is None or _OTHER_VACCINES.search(found.group()):
        return None
    quote = text[found.start() : found.end()].strip()
    return Told(quote, quote)


_ALLERGY: Final = re.compile(rf"\b(?:allerg(?:ic|y) (?:to|is|are|:)|react(?:s|ed)? (?:badly )?to) {_TO_END}")
_ALLERGY_NAMED: Final = re.compile(r"\b([\w-]+) allergy\b")
_NO_ALLERGY: Final = re.compile(
    r"\bno (?:known )?(?:drug |food |medicine )?allerg\w+|\bnot allergic(?: to (?:anything|any \w+))?|\b(?:has|have) no allerg\w+|\bno allergy\b"
)
_MEDICINE: Final = re.compile(rf"\b(?:takes?|taking|am on|is on|i'm on|he's on|she's on|using|uses?) {_TO_END}")
#: What goes on about a medicine where its sentence seemed to end: who makes it, how it is called, that there is no other.
_ABOUT_MEDICINE: Final = re.compile(
    r"(?:[,\s]+(?:(?:that|which) )?(?:my|the|our|his|her|an?) \w+(?: \w+)? (?:boil|give|gave|make|made|buy|bought|prepare|mix|cook|brew|send|sent|bring|brought|prescribe)\w*(?: (?:for|to) (?:me|him|her|us))?"
    r"|,? (?:i )?(?:don'?t|do not|can'?t|cannot) (?:know|remember|recall) (?:the|its|their|what) (?:names?|it is called)"
    r"|,? (?:nothing|none|no other|not) (?:(?:else|other|more|medicine|prescribed|given) )?(?:from|by|at|for) (?:a |an |any |the )?(?:doctor|hospital|clinic|pharmacy|chemist|moment|now|time being)"
    r"|,? and (?:a|an|another|the other|some) [\w ]{2,30}?(?:daily|a day|every day|each (?:day|morning|night|evening)|at night|in the (?:morning|evening)|when needed)"
    r")+"
)
#: How a medicine is taken, whatever it is called.
_DOSED: Final = re.compile(
    r"\b\d+ ?(?:mg|mcg|ml|units|puffs?)\b|\b(?:daily|once|twice|three times|(?:a|every|each) (?:day|night|morning|evening|week)|at (?:night|bedtime)|"
    r"in the (?:morning|evening)|when needed|(?:some|most) days|before (?:breakfast|meals|bed)|after (?:meals|food))\b"
)
_NO_MEDICINE_BUT: Final = re.compile(
    r"(?:\w+ ){0,2}?(?:tea|coffee|alcohol|beer|wine|waragi|water|milk|food|meals?|lunch|supper|breakfast|a break|care|time|rest|him|her|it|them|me|us|a (?:bus|taxi|boda|walk|bath|shower|nap)|"
    r"(?:my|his|her|the|our) (?:child|children|kids?|son|daughter|baby|mother|father|wife|husband|phone|car)|walks?|naps?|long|so|off|too)\b"
)
_NO_MEDICINE: Final = re.compile(
    r"\bno (?:regular |other )?(?:medicines?|medications?|drugs|tablets)\b|\b(?:not|don't|doesn't|do not|does not) (?:on|taking|take|use) any (?:regular )?(?:medic\w+|drugs|tablets)\b"
)
_OPERATION: Final = re.compile(
    r"\b(?:i|he|she) (?:had|have had|has had) (?:a |an |my |his |her )?((?:\w+ )?(?:operation|surgery|c-section|caesarean|appendix (?:out|removed)|appendicectomy|hysterectomy)(?: (?:in|last|for|on) [\w ]{2,20})?)\b"
)
_FAMILY: Final = re.compile(
    r"\bmy (?:late )?((?:mother|father|mum|mom|dad|sister|brother|grand\w+|uncle|aunt|parents?|parents both)(?: and (?:mother|father|mum|dad|sister|brother|grand\w+))? (?:\w+ )?"
    r"(?:had|has|have|died (?:of|from)|suffered from|suffers from|is|was|were|are|died) [^.;,\n]{2,50})"
)
#: What kin do that is no illness of theirs: "my sister is here", "my father is the one who sent me".
_NO_ILLNESS: Final = re.compile(
    r"\b(?:says|said|told|thinks|brought|is worried|gave)\b|"
    r"\b(?:is|are|was|were) (?:\w+ )?(?:here|there|with (?:me|us)|around|at|coming|going|away|outside|home|fine|ok|okay|alive|"
    r"safe|asleep|the one|in (?:the|town|\w+ house)|looking|helping|waiting)\b"
)
_SOCIAL: Final = re.compile(
    r"\b(?:i|he|she|we) (?:do not |don't |never |used to |quit |stopped |only |also |still |sometimes |often )*(?:smoke|smokes|drink (?:alcohol|beer|waragi|a lot|heavily)|drinks? (?:alcohol|beer|waragi)|smoking|drinking alcohol|live with|live alone|lives with|work (?:as|in|at)|am a (?:teacher|farmer|driver|student|nurse|trader|mechanic|tailor|boda rider))[^.;,\n]{0,40}"
)


#: When an illness was, or that it is treated: an old tuberculosis is another thing than one of this year.
_OF_ILLNESS: Final = re.compile(
    r",? (?:in (?:19|20)\d\d|since (?:(?:the age of|about|last|i was) )?\w+|(?:about |some )?\w+ (?:years?|months?|weeks?) ago|as a child|"
    r"last (?:year|month)|at birth|when i was \w+|for (?:\w+ )?\w+ (?:years?|months?))\b"
)


def read_allergy(text: str, words: Vocabulary) -> Told[str] | None:
    """An allergy the text states; the value "none" when it says there is none."""
    folded = fold(text)
    for found in _ALLERGY.finditer(folded):
        if not re.search(r"\b(?:not|no|never|n't) (?:\w+ )?$|n't $", folded[: found.start()]) and not found.group(
            1
        ).startswith("any"):
            after = words.reaction.match(folded, found.end())
            end = after.end() if after else found.end()
            return Told(text[found.start(1) : end].strip(" ,"), text[found.start() : end].strip(" ,"))
    named = _ALLERGY_NAMED.search(folded)
    if named and named.group(1) not in ("no", "any", "known", "an", "drug", "food", "my", "the", "of", "other", "have"):
        return Told(text[named.start(1) : named.end(1)], text[named.start() : named.end()])
    none = _NO_ALLERGY.search(folded)
    return Told(NONE, text[none.start() : none.end()]) if none else None


def read_medicine(text: str, words: Vocabulary) -> Told[str] | None:
    """Medicines the text states the patient takes; the value "none" when it says there are none."""
    folded = fold(text)
    for found in _MEDICINE.finditer(folded):
        is_denied = re.search(
            r"\b(?:not|never|don't|doesn't|didn't|stopped|without) (?:\w+ )?$", folded[: found.start()]
        )
        more = _ABOUT_MEDICINE.match(folded, found.end())
        is_named = words.medicine.search(found.group(1)) is not None
        is_told = (more or _DOSED.search(found.group(1))) and not _NO_MEDICINE_BUT.match(found.group(1))
        if not is_denied and (is_named or is_told):
            end = more.end() if more else found.end()
            return Told(text[found.start(1) : end].strip(" ,"), text[found.start() : end].strip(" ,"))
    none = _NO_MEDICINE.search(folded)
    return Told(NONE, text[none.start() : none.end()]) if none else None


def read_illnesses(text: str, words: Vocabulary) -> Iterator[Told[str]]:
    """Illnesses and operations the text states of the patient."""
    folded = fold(text)
    for pattern in (words.illness, _OPERATION):
        for found in pattern.finditer(folded):
            when = _OF_ILLNESS.match(folded, found.end())
            end = when.end() if when else found.end()
            yield Told(text[found.start(1) : end], text[found.start() : end])


def read_family(text: str) -> Told[str] | None:
    """An illness of the family the text tells of."""
    found = _FAMILY.search(fold(text))
    if found is None or _NO_ILLNESS.search(found.group()):
        return None
    return Told(text[found.start(1) : found.end(1)].strip(), text[found.start() : found.end()].strip())


def read_social(text: str) -> Told[str] | None:
    """Tobacco, alcohol, work or home the text tells of."""
    found = _SOCIAL.search(fold(text))
    return Told(text[found.start() : found.end()].strip(), text[found.start() : found.end()].strip()) if found else None
