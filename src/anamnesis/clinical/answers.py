"""What a patient's message says in answer to a question, and what it tells besides."""

import re
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from anamnesis.clinical.findings import fold
from anamnesis.clinical.terms import Age, Sex, Speaker

Value = TypeVar("Value")

_NONE: Final = re.compile(
    r"(?:no|none|nope|nah|nothing|nil|negative|not really|not that i know(?: of)?|n/?a|hapana|hakuna|nedda|"
    r"i (?:do not|don't) have any|i have none|none of these|nothing else|no,? thank you|"
    r"(?:no|i have no|i don't have any|i don't take any|not taking any) (?:known |other |such |more )?"
    r"(?:allerg\w+|medic\w+|drugs?|records?|results?|illness\w*|famil\w+ illness\w*|operations?|problems?|of these|more|"
    r"documents?|readings?|vitals?)(?: at all)?)[\s.!]*"
)
_UNKNOWN: Final = re.compile(
    r"(?:i (?:do not|don't|dont) know|don't know|dont know|idk|not sure|i'?m not sure|unsure|no idea|i can'?t remember|"
    r"i (?:do not|don't) remember|sijui|simanyi)[\s.!]*"
)
_YES: Final = re.compile(
    r"(?:yes|yeah|yep|yes please|ndiyo|ndio|yee|correct|right|yes,? (?:this|that|it) is right|ok(?:ay)?)[\s.!]*"
)
_SKIP: Final = re.compile(r"skip[\s.!]*")
_DONE: Final = re.compile(r"(?:done|finish)[\s.!]*")
_PERSON: Final = re.compile(r"i want (?:a|to talk to a) person[\s.!]*")


def is_none(text: str) -> bool:
    """Whether the whole message says that there is none. "No, but …" does not."""
    return _NONE.fullmatch(fold(text).strip()) is not None


def is_unknown(text: str) -> bool:
    """Whether the whole message says that the patient does not know."""
    return _UNKNOWN.fullmatch(fold(text).strip()) is not None


def is_yes(text: str) -> bool:
    """Whether the whole message says yes and nothing more."""
    return _YES.fullmatch(fold(text).strip()) is not None


def command(text: str) -> str | None:
    """Answer "skip", "done" or "person" when the message is exactly that command; a word that merely begins one is not."""
    words = fold(text).strip()
    commands = (("skip", _SKIP), ("done", _DONE), ("person", _PERSON))
    return next((name for name, pattern in commands if pattern.fullmatch(words)), None)


@dataclass(frozen=True, slots=True)
class Told(Generic[Value]):
    """A value and the verbatim words it was read from."""

    value: Value
    quote: str


_AGE: Final = re.compile(
    r"\b(\d{1,3}(?:\.5)?)[\s-]*(years?|yrs?|yo|y/o|months?|mths?|weeks?|wks?|days?)(?:[\s-]*(?:old|of age))?\b"
)
_AGE_OLD: Final = re.compile(r"(?:old|of age|yo|y/o)$")
_AGED: Final = re.compile(
    r"\b(?:aged?|i am|i'm|she is|he is|am)\s+(\d{1,3})\b(?!\s*(?:/|%|weeks|months|days|kg|times|degrees))"
)
_BARE: Final = re.compile(r"(?<![\d/.])\b(\d{1,3})\b(?!/|[.,]\d|\s*(?:%|kg|weeks|months|days|hours))")
_UNIT_DAYS: Final = {"y": 365.25, "m": 30.4375, "w": 7.0, "d": 1.0}
_OLDEST_YEARS: Final = 120


def read_age(text: str, *, is_asked: bool) -> Told[Age] | None:
    """An age the text states. A bare number counts only when an age was asked for; a duration ("for 3 weeks") never."""
    folded = fold(text)
    for match in _AGE.finditer(folded):
        is_stated = bool(_AGE_OLD.search(match.group()))
        if is_stated or (
            is_asked and not re.search(r"\b(?:for|since|past|last)\s+(?:the\s+)?$", folded[: match.start()])
        ):
            return _age(float(match.group(1)) * _UNIT_DAYS[match.group(2)[0]], text[match.start() : match.end()])
    patterns = (_AGED, _BARE) if is_asked else (_AGED,)
    for pattern in patterns:
        found = pattern.search(folded)
        if found:
            return _age(float(found.group(1)) * _UNIT_DAYS["y"], text[found.start() : found.end()])
    return None


def _age(days: float, quote: str) -> Told[Age] | None:
    return Told(Age(days), quote) if 0 <= days <= _OLDEST_YEARS * _UNIT_DAYS["y"] else None


_SEX: Final = re.compile(r"\b(female|male|woman|man|girl|boy|lady|gentleman)\b")
_SEX_LETTER: Final = re.compile(r"(?:(?<=\d)|\b)([mf])\b")
_FEMALE: Final = frozenset({"female", "woman", "girl", "lady", "f", "daughter", "wife", "mother"})


def read_sex(text: str, *, is_asked: bool) -> Told[Sex] | None:
    """A sex the text states of the patient; other people's only count when it was asked for."""
    folded = fold(text)
    stated = re.search(r"\b(?:i am|i'm|am) an? (?:\w+ ){0,3}?(female|male|woman|man|girl|boy)\b", folded)
    asked = (_SEX.search(folded) or _SEX_LETTER.search(folded)) if is_asked else None
    found = stated or asked or re.search(r"\bmy (daughter|son|wife|husband)\b", folded)
    if not found:
        return None
    sex = Sex.FEMALE if found.group(1) in _FEMALE else Sex.MALE
    return Told(sex, text[found.start() : found.end()])


_NAME: Final = re.compile(
    r"\b(?:my name is|name is|i am called|called|this is)\s+([^\W\d_][\w'-]*(?:\s+[^\W\d_][\w'-]*){0,2})", re.IGNORECASE
)
_NOT_A_NAME: Final = frozenset(
    {
        "i",
        "am",
        "is",
        "was",
        "my",
        "years",
        "year",
        "old",
        "male",
        "female",
        "man",
        "woman",
        "boy",
        "girl",
        "yes",
        "no",
        "none",
        "months",
        "the",
        "a",
        "an",
        "and",
        "have",
        "has",
        "it",
        "me",
        "he",
        "she",
        "name",
        "aged",
    }
)


def read_name(text: str, *, is_asked: bool) -> Told[str] | None:
    """A name: after "my name is", or, when it was asked for, the first words of the message that can be one."""
    found = _NAME.search(text)
    if found:
        words = [word for word in found.group(1).split() if word.lower() not in _NOT_A_NAME]
        return Told(" ".join(words), " ".join(words)) if words else None
    if not is_asked:
        return None
    first = re.split(r"[,;.\n\d]", text.strip(), maxsplit=1)[0]
    words = [word for word in re.findall(r"[^\W\d_][\w'-]*", first) if word.lower() not in _NOT_A_NAME]
    return Told(" ".join(words), " ".join(words)) if 1 <= len(words) <= 3 and " ".join(words) in text else None


def read_speaker(text: str) -> Told[Speaker] | None:
    """Who is writing, as far as the text says."""
    folded = fold(text)
    parent = re.search(r"\bmy (?:\w+ ){0,2}?(?:son|daughter|child|baby|kid|boy|girl|newborn|infant|toddler)\b", folded)
    if parent:
        return Told(Speaker.PARENT, text[parent.start() : parent.end()])
    other = re.search(
        r"\b(?:about (?:an)?other person|somebody else|someone else|my (?:wife|husband|mother|father|mum|dad|sister|brother|"
        r"grandmother|grandfather|friend|neighbour|partner|aunt|uncle))\b",
        folded,
    )
    if other:
        return Told(Speaker.OTHER, text[other.start() : other.end()])
    own = re.search(r"\b(?:me|myself|i|my|i'm|it is about me)\b", folded)
    return Told(Speaker.SELF, text[own.start() : own.end()]) if own else None


_ONSET: Final = re.compile(
    r"\b(?:since (?:last |this |the )?[\w]+(?: \w+)?|for (?:the (?:last|past) )?(?:about |over |almost )?"
    r"(?:\d+|a|an|one|two|three|four|five|six|seven|many|few|some|several) (?:few )?(?:minutes?|hours?|days?|weeks?|months?|years?)|"
    r"(?:\d+|a|an|one|two|three|four|five|six|seven|few) (?:minutes?|hours?|days?|weeks?|months?|years?) ago|"
    r"(?:started|began) [\w ]{3,30}|(?:this|yesterday|last) (?:morning|night|evening|afternoon|week|month)|yesterday|today)\b"
)


def read_onset(text: str) -> Told[str] | None:
    """When a complaint began or how long it has lasted, in the patient's words."""
    found = _ONSET.search(fold(text))
    return Told(text[found.start() : found.end()], text[found.start() : found.end()]) if found else None


_SEVERITY: Final = re.compile(r"\b(10|\d)\s*(?:/|out of|over)\s*(?:10|ten)\b")
_SEVERITY_BARE: Final = re.compile(r"\b(10|\d)\b")
_SEVERITY_WORD: Final = re.compile(r"\b(mild|moderate|severe|very bad|unbearable|not bad|terrible|worst)\b")


def read_severity(text: str, *, is_asked: bool) -> Told[str] | None:
    """How bad it is: a number out of ten, or a word when it was asked for."""
    folded = fold(text)
    found = _SEVERITY.search(folded)
    if not found and is_asked:
        found = _SEVERITY_BARE.search(folded) or _SEVERITY_WORD.search(folded)
    if not found:
        return None
    value = f"{found.group(1)} of 10" if found.group(1).isdigit() else found.group(1)
    return Told(value, text[found.start() : found.end()])


_ALLERGY: Final = re.compile(r"\ballerg(?:ic|y) to ([^.;,\n]{2,60})")
_NO_ALLERGY: Final = re.compile(r"\bno (?:known )?(?:drug |food )?allerg\w+|\bnot allergic to anything\b")
_MEDICINE: Final = re.compile(
    r"\b(?:i take|i am taking|i'm taking|taking|i am on|i'm on) ((?!off|a break|care)[^.;,\n]{3,80})"
)
_NO_MEDICINE: Final = re.compile(
    r"\bno (?:regular )?(?:medicines?|medications?|drugs|tablets)\b|\bnot (?:on|taking) any (?:medic\w+|drugs)\b"
)
_LOOKS_LIKE_MEDICINE: Final = re.compile(
    r"mg\b|tablet|pill|insulin|inhaler|\w+(?:cillin|pine|olol|pril|artan|formin|azole|mycin|statin|zepam)\b|arv|aspirin|paracetamol|panadol|ibuprofen|septrin"
)


def read_allergy(text: str) -> Told[str] | None:
    """An allergy the text states; the value "none" when it says there is none."""
    folded = fold(text)
    found = _ALLERGY.search(folded)
    if found and not re.search(r"\bnot $|n't $", folded[: found.start()]):
        return Told(text[found.start(1) : found.end(1)].strip(), text[found.start() : found.end()].strip())
    none = _NO_ALLERGY.search(folded)
    return Told("none", text[none.start() : none.end()]) if none else None


def read_medicine(text: str) -> Told[str] | None:
    """Medicines the text states the patient takes; the value "none" when it says there are none."""
    folded = fold(text)
    found = _MEDICINE.search(folded)
    if found and _LOOKS_LIKE_MEDICINE.search(found.group(1)):
        return Told(text[found.start(1) : found.end(1)].strip(), text[found.start() : found.end()].strip())
    none = _NO_MEDICINE.search(folded)
    return Told("none", text[none.start() : none.end()]) if none else None
