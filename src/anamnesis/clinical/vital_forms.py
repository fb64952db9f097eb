"""The words, units and forms that make a number in a patient's text a vital sign, and those that make it none."""

# ruff: noqa: E501 - a pattern is read as a whole
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from anamnesis.clinical.vitals import PLAUSIBLE

_MG_DL_PER_MMOL_L: Final = 18.0
_MMOL_L_PER_G_L: Final = 5.551
_KG_PER_LB: Final = 0.45359237
CM_PER_INCH: Final = 2.54
#: Up to here a bare number of sugar is mmol/L, from there on mg/dL; between them nobody can tell, and it is asked again.
_SUGAR_MMOL_L, _SUGAR_MG_DL = 33.4, 70.0
#: A number that can only be a body's temperature, in degrees Celsius and Fahrenheit.
_WARM_C, _WARM_F = (34.0, 43.5), (93.0, 110.0)
_N: Final = r"(?<![\d.,/])(?!0\d)(\d{1,4}(?:[.,]\d{1,2})?)(?!\d|/(?!\s*[a-z])|[.,]\d)"
#: What may stand between the name of a reading and its number.
_FILLED_IN: Final = (
    r"(?:'s)?(?:\.(?=\s*[:=\-]?\s*\d))?(?:\s*\([^)\d\n]{0,12}\))?(?:\s*(?:[:=\-~*,(@%]+|\.{2,})\s*|\s+|\b)(?:(?:too|which|leo|sasa|lilikuwa|ilikuwa|yalikuwa|beeped|doing|back|jumping|bouncing|hovering|sitting|holding|like|mad|crazy|wild|wrist|neck|this|that|man|woman|boy|girl|child|baby|patient|of|he|she|nyuzi|ya|mama|baba|mtoto|mm ?hg|bpm|/ ?min|kgs?|cms?|celsius|thready|weak|racing|steady|strong|bounding|faint|la|wa|cha|is|was|are|were|of|at|a|an|the|it|to|on|in|for|my|his|her|reads?|reading|says?|said|saying|show(?:s|ed|ing)?|gave|"
    r"counted|measured|checked|about|around|approx\w*|roughly|almost|nearly|over|above|under|below|only|just|still|now|today|tonight|currently|this|morning|evening|afternoon|night|yesterday|last|home|clinic|"
    r"ni|up|down|has|have|had|been|gone|went|goes|going|come|came|comes|coming|rose|risen|rising|dropp(?:ed|ing)|drops?|fell|fallen|fall|between|from|high|low|normal|slow|fast|"
    r"rate|level|number|test|result|random|fasting|machine|watch|i|and|that|bought|yake|yangu|kwa|mara|usual\w*|normally|before|taken|stands?|hit|hits|got|minute|regular|irregular|keeps?|kept|beating|blood|reached|reaches)(?:\s*[:=\-,]\s*|\s+)){0,7}?"
)
#: "the oxygen clip I bought says 96"
_SAYS: Final = r"(?:\s+[a-z]+){0,5}?\s+(?:says?|said|reads?|showed|shows?|gave|counted)\s+(?:it (?:is|was) |about )?"
_LINK: Final = rf"(?:{_FILLED_IN}|{_SAYS})"
_RANGE: Final = r"(?:\s*(?:-|to|and|/)\s*(\d{1,3}(?:[.,]\d)?)(?![\d/]|[.,]\d|\s*(?:mm|for\b)))?"
_RANGED: Final = r"(?<![\d.,/])(?!0\d)(\d{1,4}(?:[.,]\d{1,2})?)(?!\d|[.,]\d)" + _RANGE

_DRUG: Final = (
    r"(?:coartem|artemether|lumefantrine|lumartem|co-?trimoxazole|septrin|bactrim|augmentin|symbicort|seretide|losartan|valsartan|amlodipine|lisinopril|hct\w*|insulin|mixtard|humulin|"
    r"tab(?:let)?s?|pills?|caps(?:ules?)?|dose[sd]?|dosage|inhaler|fansidar|\w+cillin|\w+pril|\w+artan)"
)
_TIME: Final = (
    r"(?:sec(?:ond)?s?|min(?:ute)?s?|mins|hours?|hrs?|days?|nights?|weeks?|wks?|months?|mths?|years?|yrs?|yr)"
)
#: Numbers that are no readings, whatever stands beside them.
OTHER_NUMBERS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?:\+?256|\b0\d{2,3})[\s\-/]?\d{2,3}[\s\-/]?\d{3}(?:[\s\-/]?\d{1,3})?\b|\b(?:tel|phone|call|whatsapp|mobile)\b[^a-z\n]{0,6}\d[\d\s\-/+]{6,}|\b\d{5,}\b",
        r"\b\d{1,2}[/.\-]\d{1,2}[/.\-](?:19|20)?\d{2}\b|\b(?:19|20)\d{2}\b(?!\s*(?:mm|g\b|gram))|\b(?:lmp|edd|since|dated?|on|due|until|from)\s+(?:the\s+)?\d{1,2}[/.]\d{1,2}\b(?!\s*mm)",
        r"\b\d{1,2}:\d{2}(?:\s*[ap]m)?\b|\b\d{1,2}\s*[ap]\.?m\b|\b\d{1,2} o'?clock\b",
        rf"\b\d+(?:[.,]\d+)?[ \t]*-?[ \t]*{_TIME}\b(?!\s*[,:=/|]?\s*\d)(?:\s*(?:old|ago))?|\b\d+(?:[.,]\d+)?[ \t]*(?!hr\s*[,/|]\s*\d){_TIME}\b(?!\s*[:=]?\s*\d)|\b[1-5]?\d/(?:7|12|52)\b|\b24/7\b",
        r"\b\d+\s*(?:st|nd|rd|th|x)\b|\b\d+\s*times?\b(?!\s*(?:a|an|per|in|every|each|/)\s*(?:one |1 )?(?:min|second))",
        r"(?<!temp )(?<!temperature )\b(?:aged?|age is|i am|am|is|he's|she's|i'm)\s+\d{1,3}(?:\s*(?:y/?o|yrs?|years?|[mf]\b(?!ahr)))|\b\d{1,3}\s*(?:y/?o|years?|yrs?)\b|(?<![\d.,])(?:[1-8]?\d|9[0-2])\s*[mf]\b(?!ahr)|(?<!['°\d])\b(?:m|f|male|female)\s*/?\s*\d{1,2}\b(?![.,/]\d)|\b\d{1,2}\s+(?:year|yr)\b",
        r"\b\d+(?:[.,]\d+)?(?:/\d+(?:[.,]\d+)?)?\s*(?:mcg|µg|ml|iu|units?|tabs?|tablets?|pills?|caps\w*|puffs?|drops?|spoons?|bottles?|cups?|sachets?|steps?|children|kids|people|sisters?|brothers?|pads?|shillings?|ugx|/=)\b",
        r"(?<!bs )(?<!sugar )(?<!glucose )\b\d+(?:[.,]\d+)?(?:/\d+(?:[.,]\d+)?)?\s*mgs?\b(?!\s*(?:/|per|%|d))",
        rf"\b{_DRUG}\b[^.,;\n\d]{{0,12}}\d+(?:[.,]\d+)?(?:/\d+(?:[.,]\d+)?)?(?:\s*mg)?|\b\d+/\d+(?:[.,]\d+)?\s*{_DRUG}\b|\b(?:take|took|taking|half|swallow\w*)\s+(?:a |one |my )?\d+(?:[.,]\d+)?(?:/\d+(?:[.,]\d+)?)?(?![\d/]|[.,]\d|\s*breath)",
        r"\b(?:10|\d)\s*(?:/|out of)\s*10\b|\bpain\s*(?:is|of|at|:|=|score)?\s*\d{1,2}\b",
        r"\b(?:vision|acuity|eyesight|va)\b[^.;\n\d]{0,12}\d{1,2}/\d{1,2}\b|\b20/20\b|\b6/\d{1,2}\b",
        r"\b(?:room|bed|ward|plot|house|flat|block|road|street|lane|page|psalm|verse|chapter|size|(?<!top )(?<!upper )(?<!lower )(?<!bottom )number|no|cost|costs|price|paid|account|code|table|form|exam|marks?|scored?|appointment|ticket|route|bus|car|file|opd|line|question)\b\.?\s*(?:no\.?|number|is|was|in|:|#)?\s*\d+(?:[/.]\d+)?(?:\s*(?:by|over)\s*\d+)?",
        r"\b(?:hb|hgb|ha?emoglobin|cd4|viral load|wbc|platelets?|creatinine|urea|psa|esr|crp|hba1c|inr|muac|cholesterol|ldl|hdl|potassium|sodium|lactate)\b[^.,;\n\d]{0,12}\d+(?:[.,]\d+)?\s*(?:%|g/dl|g)?|\b\d+(?:[.,]\d+)?\s*g/dl\b|\b(?:covid|h1n1|b\s?12|vitamin [a-z]|hep(?:atitis)? [a-e]|hpv)[\s\-]*\d*",
        r"\b\d+\s*%\s*(?:of|burn\w*|better|sure|off|worse|discount|attendance|cure\w*)\b",
        r"\b(?:lost|lose|losing|loss of|gained?|gaining|dropped|shed|put on(?! (?:the|a) )|lift\w*|carry\w*|carried|bag|sack|bought|sold|sell|ate|eat)\b[^.;\n\d]{0,24}\d+(?:[.,]\d+)?\s*(?:kgs?|kilos?|kilograms?|lbs?|pounds?)\b|\b\d+(?:[.,]\d+)?\s*(?:kgs?|kilos?)\s*(?:of\b|bag|sack|jerrycan|box)",
        r"\b\d+(?:[.,]\d+)?\s*(?:l|lit(?:re|er)s?)\b(?:\s*(?:/|per|a)\s*min\w*)?",
        r"\b\d+\s*-?\s*c[\s\-]?section|\b\d+\s*degrees?\s*(?:outside|weather|market|turn|angle|in (?!(?:the |his |her |my )?(?:arm|mouth|ear|morning|evening|night|body)))[^.,;\n]*|\b(?:weather|outside|bend|bends|turns?|turned|boil\w*|oven|water)\b[^.,;\n\d]{0,30}\d+(?:[.,]\d+)?\s*(?:°|degrees?|c\b)?|\broom temp\w*\s*\d+",
        r"\b(?:kids|children|twins|babies)\b[^.;\n]*\d+(?:[.,]\d+)?\s*kgs?\b",
        r"\bon \d{2,3}\s*(?:%|percent)\s*(?:oxygen|o2)\b",
        r"\bbaby'?s? heart(?: ?rate| ?beat)?\b[^.;\n\d]{0,12}\d+(?=[^\n]{0,30}\b(?:doppler|ctg|scan)\b)",
        r"\bfundal height\W*\d+\s*(?:cm)?",
        r"\b(?:fo?etal heart(?: ?rate| ?beats?| sounds?)?|fhr|fhs)\b[^.;\n\d]{0,12}\d+",
        r"\b\d+(?:[.,]\d+)?\s*(?:-|to|and)\s*\d+(?:[.,]\d+)?\s*(?:is|are|was|as)\s*(?:fine|ok|okay|good|all right|(?:the |a )?normal)\b",
    )
)
#: Limits somebody was told, what is usual, what sport does, and an animal's: no reading of now, alone or beside one.
NO_READING: Final = re.compile(
    r"\bi heard\b|\bis it\s*$|\banything (?:above|over|below|under)\b|\b(?:leaflet|poster|book|website|google|internet|chart)s? says?\b|\b(?:should|must|supposed|target|aim\w*|goal|ideal\w*|advised)\b|\bwants?\b(?! (?:an? (?:second|other)|another |to (?:know|see|ask|tell|say|report))(?:[^.;?!\n\d]*[.;?!\n]|[^.;?!\n\d]*$))|\bif\b[^.;?!\n]*\b(?:above|over|goes|go|gets|reach\w*|exceed\w*|rises?|below|under|more than|less than|higher|lower|drops?|falls?)\b|"
    r"\bnormal (?:bp|blood|pressure|temp\w*|sugar|pulse|heart|oxygen|sats?|spo2|range|reading|value|is|are)\b|\b(?:usual|usually|normally)\b|"
    r"\b(?:in|during|on|at the end of) (?:(?:the|my|a|last|final|hard) ){0,3}(?:spin(?:ning)?(?: class)?|treadmill|sprints?|race|zumba|hiit|workout|exercise bike|rowing machine)\b|"
    r"\b(?:puppy|dog|cat|kitten|horse|pony|hamster|rabbit|parrot)(?:'?s)?(?: (?:breath|pants|pulse|heart|has|had|was|is)| *$)"
)
#: What was long ago: no reading in the same clause, and none told as past in the same sentence.
LONG_AGO: Final = re.compile(
    r"\b(?:last|past) (?:year|month)\b|\b(?:years?|months?|yrs) (?:ago|back)\b|\b(?:long ago|back then|at that time|that year)\b|\b(?:in|last|back in) (?:january|february|march|april|june|july|august|september|october|november|december)\b|\bduring (?:my|the|her) (?:\w+ )?pregnancy\b|\bat christmas\b|\bin (?:\w+ )?(?:19|20)\d\d\b|\bwhen i was\b|\bas a (?:child|kid|baby|boy|girl)\b|\bin my (?:last|first|previous) pregnancy\b"
)
#: From the oldest time to the latest; what says no time stands between earlier today and now.
TIMES: Final = tuple(
    (when, re.compile(pattern))
    for when, pattern in (
        (3, r"\b(?:now|today|tonight|currently|at the moment|just now|right now|sasa|leo|kati|leero)\b"),
        (0, r"\b(?:yesterday|jana|last night|last week|before|previous\w*|initially|(?:days?|weeks?|wks?) ago)\b"),
        (1, r"\b(?:earlier|at first|in the morning|this morning|at noon|(?:hours?|hrs?) ago|was)\b"),
    )
)
AS_TOLD: Final = 2
ANOTHERS: Final = -1
NOT_NOW: Final = -2
RELATIVE: Final = re.compile(
    r"\b(?:mother|mum|mom|father|dad|husband|wife|sister|brother|uncle|aunt|auntie|cousin|neighbour|neighbor|friend|colleague|grand(?:mother|father|ma|pa)|late \w+)(?:'?s)?\b"
)
WAS: Final = re.compile(r"\b(?:had|was|were|died|used to|got)\b")
BREAK: Final = re.compile(
    r"[.;!?\n(](?!\d)|,(?=\s|[a-z])|\b(?:but|and|then|while|whereas)\b(?=[^\d]{0,40}\b(?:now|today|tonight|mine|it|it's|then|this|my)\b)|\b(?:but|then)\b"
)
FROM: Final = re.compile(r"\bfrom\s*$")
SENTENCE: Final = re.compile(r"[.;!?\n](?!\d)|\b(?:but|now|today|however|currently|since then)\b")
MINE: Final = re.compile(r"\bmine\b")
#: Who writes of themselves, and told another's reading beside it.
MYSELF: Final = re.compile(r"\b(?:my own|myself|mine)\b")


@dataclass(frozen=True, slots=True)
class Form:
    """One way to write readings: the field of each number, and how the number becomes its unit."""

    pattern: re.Pattern[str]
    fields: tuple[str, ...]
    convert: Callable[[float], float | None] = float
    is_asked: bool = False  # read only in an answer to the question for vital signs
    is_short: bool = False  # read only beside another reading: "P 88"


def _fahrenheit(value: float) -> float:
    return (value - 32) * 5 / 9


def bare_temperature(value: float) -> float:
    """A bare temperature from 90 to 110 is Fahrenheit."""
    return _fahrenheit(value) if 90 <= value <= 110 else value


def _if_warm(value: float) -> float | None:
    """A number that can only be a body's temperature."""
    return bare_temperature(value) if _WARM_C[0] <= value <= _WARM_C[1] or _WARM_F[0] <= value <= _WARM_F[1] else None


def _asked_warm(value: float) -> float | None:
    """A bare answer: a temperature, or one without its point, which is refused."""
    return value if 340 <= value <= 435 else _if_warm(value)


def _if_fahrenheit(value: float) -> float | None:
    return _fahrenheit(value) if value >= 90 else None


def _sugar(value: float) -> float:
    """Between the two units it is left as it is beyond the gate, so that it is refused and asked for again."""
    if value >= _SUGAR_MG_DL:
        return value / _MG_DL_PER_MMOL_L
    return value if value <= _SUGAR_MMOL_L else value + PLAUSIBLE["glucose_mmol_l"][1]


def _metres(value: float) -> float:
    return value * 100 if value < 3 else value


def _within(low: float, high: float) -> Callable[[float], float | None]:
    return lambda value: value if low <= value <= high else None


_T, _HR, _RR, _O2 = "temperature_celsius", "heart_rate_per_min", "respiratory_rate_per_min", "spo2_percent"
SYSTOLIC, DIASTOLIC, _SUGAR, _KG, HEIGHT = "systolic_mmhg", "diastolic_mmhg", "glucose_mmol_l", "weight_kg", "height_cm"
_BP: Final = r"(?<![a-z])(?:b\s?/?\.?p\.?|blood\s*pressure|pressure|presha|presure|tension|puleesa)"
_TEMP: Final = r"(?<![a-z])(?:te?mp(?:eratures?|erture|rature|reture|reature|s)?|tmep|tepm|thermometer|joto(?: la mwili)?|t°|a?febrile|a?pyrexial)"
_PULSE: Final = (
    r"(?<![a-z])(?:pulse(?! ?ox)|plse|pluse|pusle|puls?|pls|h/?r|p\.?r|p/r|h(?:ea?|a)rt ?rate|heart ?beats?|heart|tachy(?:cardi\w*)?(?!pn)|(?<!\d)(?<!\d )bpm|mapigo(?: ya moyo)?)"
    r"(?: ?bpm)?"
)
_BREATH: Final = r"(?<![a-z])(?:r\.?r|r/r|tachypn\w*|resps?|respirations?|respiratory|breathing rate|breath rate|breaths?\s*(?:/|per|a|in)\s*min(?:ute)?)"
_OXYGEN: Final = r"(?<![a-z])(?:sp?[o0](?:2| two)|o2(?:\s*sats?)?|sats?|sa[o0]2|sat[au]?ra?t\w*|oxy|ox(?=\s*[:=])|oxegen|[o0]x[iy]?gen|pulse ?ox\w*|oximeter|oxymeter|oks[iy]jeni|oksijini)"
_GLUCOSE: Final = (
    r"(?<![a-z])(?:(?:blood)?sug[ae]rs?|finger ?(?:prick|stick)|cbg|bgl?|bsl|g?rbs|[rf]bg|fbs|ppbs|bs|bm|gluc?|glucos\w*|cgm|sukari|glucometer"
    r"|strip(?= (?:read|reads|says|said|showed|shows|gave) \d{1,2}[.,]\d))"
)
#: "the finger peg says 84": what is worn on a finger reads oxygen, unless it names the pulse.
_ON_FINGER: Final = (
    r"\b(?:finger[ \-]?(?:peg|clip|clamp|probe|sensor|monitor|gadget|meter|machine|device|reader)|"
    r"(?:peg|clip|clamp|probe|sensor|monitor|gadget|meter|machine|device|thing) on (?:(?:the|my|his|her|our|mum's|dad's) )?finger)"
)
#: "Sugar patient here. The machine reads 18.5": a diabetic's machine reads sugar, unless it names something else.
_DIABETIC: Final = (
    r"\b(?:diabetic|diabetes|(?:sugar|glucose) (?:patient|disease|sickness|person|problem|sufferer))\b[^\d]{0,60}?"
    r"(?:(?<!bp )(?<!pressure )(?<!oxygen )(?<!pulse )(?<!tv )\b(?:machine|meter|device|gadget|screen|display|finger[ \-]?prick|prick)"
    r"\s+(?:test )?(?:says?|said|reads?|shows?|showed|showing|gave|gives)|\breading (?:is|was|of))\s+(?:it (?:is|was) |about )?"
)
_DIABETIC_ENDS: Final = (
    r"(?=\s*(?:$|[,;:!?)\n]|\.(?!\d)|mmol|(?:today|now|this|before|after|and|but|at|just|when|fasting|tonight)\b))"
)
_A_MINUTE: Final = (
    r"\s*(?:times?\s*|x\s*|c)?(?:/|per|a|to the|in|in a|in one|every|kwa)?\s*(?:one |1 )?(?:min(?:ute)?s?|dakika)\b"
)
_PAIR_END: Final = r"(?![\d])"
_PAIR: Final = r"(?<![\d/.,])(\d{1,4})(?:\s*-\s*(\d{2,3}))?\s*(?:/|\\|\||\bover\b|\bby\b|\bon\b|-)\s*(\d{1,3})(?:\s*-\s*(\d{2,3}))?"
_FILLED: Final = r"(?:\s*\([^)\d]{0,30}\)\s*)?"
_PULSE_AFTER: Final = rf"(?:{_PULSE}|(?<![a-z])bpm|(?<![a-z])b/min|(?<![a-z])beats?)"
_BREATH_AFTER: Final = rf"(?:{_BREATH}|(?<![a-z])rpm|(?<![a-z])breaths?|(?<![a-z])breathing)"
#: A name after a number is of the number that follows it, if one does: "PR 68 spo2 98".
_OWN_NUMBER_NEXT: Final = r"(?!\s*(?:[:=]\s*|(?:is|was|at|of) )?\d)"


def _form(pattern: str, *fields: str, **how: object) -> Form:
    return Form(re.compile(pattern), fields, **how)  # type: ignore[arg-type]  # the keywords are Form's own


FORMS: Final = (
    _form(r"(\d{2,3}) (?:for|as|on) (?:the |my |his |her )?(?:top|upper)[^.;\n\d]{0,16}(\d{2,3}) (?:for|as|on) (?:the |my |his |her )?(?:bottom|lower)", SYSTOLIC, DIASTOLIC),
    _form(rf"{_BP}{_FILLED}{_LINK}(?:(?:left|right) arm\s*)?{_PAIR}(?:\s*mm\s*hg)?(?:(?:\s*/\s*|\s+)(\d{{2,3}})(?=\s*(?:$|[,;.]\s|\n)))?", SYSTOLIC, SYSTOLIC, DIASTOLIC, DIASTOLIC, _HR),
    _form(r"\b(?:sys(?:tolic)?|sbp|upper|(?<!on )top(?: number| one)?)\b[^.;\n\d]{0,12}(\d{2,3})\W{1,24}(?:and )?(?:the )?(?:dia(?:s|stolic)?|dbp|lower|bottom(?: number| one)?)\b[^.;\n\d]{0,12}(\d{2,3})(?![\d/])", SYSTOLIC, DIASTOLIC),
    _form(r"\b(?:sys(?:tolic)?|sbp|upper|(?<!on )top(?: number)?)\b[^.;\n\d]{0,12}(\d{2,3})(?![\d/])", SYSTOLIC),
    _form(r"(?<![\d/.,])(\d{2,3})\s*(?:/|\bover\b)\s*(\d{2,3})(?![\d/.,]\d)\s*mm\s*hg", SYSTOLIC, DIASTOLIC),
    _form(r"(?<![\d/.,\-])([7-9]\d|1\d\d|2[0-7]\d)\s*(?:/|\bover\b)\s*([4-9]\d|1[0-5]\d)(?!\d|[/.,]\d)(?!\s*[a-z]*(?:road|street|mg|km|sh))", SYSTOLIC, DIASTOLIC),
    _form(rf"{_BP}{_FILLED}{_LINK}(\d{{2,3}})\s*/\s*p(?:alp\w*)?\b", SYSTOLIC),
    _form(rf"{_BP}{_FILLED}{_LINK}([7-9]\d|1\d\d|2[0-7]\d)\s+([3-9]\d|1[0-5]\d)(?!\d|[.,/]\d|\s*(?:years?|yrs?|kg|mg|%))", SYSTOLIC, DIASTOLIC),
    _form(rf"{_BP}{_FILLED}{_LINK}(\d{{2,3}})(?![\d/\\|]|[.,]\d|\s*(?:over|by|on|-|/|mg)\b|\s*[/\-])", SYSTOLIC, convert=_within(60, 999)),
    _form(r"(?<![\d/.,\-\w])([7-9]\d|1\d\d|2[0-7]\d)[\s\-]+([4-9]\d|1[0-5]\d)(?=\s*(?:$|[,;.\n]))", SYSTOLIC, DIASTOLIC, is_asked=True),
    _form(rf"{_N}\s*(?:°|º|degrees?|deg)?\s*(?:f|fahrenheit)\b", _T, convert=_if_fahrenheit),
    _form(rf"(?:{_TEMP}{_LINK}|\bt\s*[:=]?\s*|(?<![a-z]))(?<!\d-){_N}\s*(?:°|º|degrees?|deg)?\s*(?:celsius|centigrade|c)\b(?![/\-])", _T, convert=_if_warm),
    _form(rf"\btpr\b\W{{0,3}}{_N}[\s,/]+{_N}[\s,/]+{_N}", _T, _HR, _RR),
    _form(rf"\b(?:ears?|mouth|oral(?:ly)?|arm ?pits?|axilla(?:ry)?|forehead|rectal(?:ly)?|under (?:the |his |her |my )?(?:arm|tongue))\b{_LINK}{_N}", _T, convert=_if_warm),
    _form(rf"\btemp{_N}", _T, convert=bare_temperature),
    _form(rf"{_TEMP}(?![a-z]){_LINK}(?:fever\s+)?{_RANGED}(?!\s*%)", _T, _T, convert=bare_temperature),
    _form(rf"{_N}\s*(?:°|º|degrees?|deg)?\s*c?\s*(?:on|by|with|in|under) (?:the |my |his |her |a |an )?(?:(?:ear|forehead|digital|infrared) )?(?:thermometer|ear|arm ?pit|arm|mouth|forehead|tongue)\b", _T, convert=_if_warm),
    _form(r"(?<![\d.,])(3[4-9][.,]\d|4[0-3][.,]\d)(?!\d)\s+when [^.;\n\d]{0,24}\btemp", _T),
    _form(rf"\b(?:fever|homa|omusujja)\b{_LINK}{_RANGED}(?!\s*%)", _T, _T, convert=_if_warm),
    _form(rf"\bfever\b[^.;\n]{{0,40}}?{_N}\s*(?:today|now|tonight|this (?:morning|evening))\b", _T, convert=_if_warm),
    _form(rf"(?:°|º)\s*c\s*[:=]?\s*{_N}", _T, convert=_if_warm),
    _form(rf"{_N}\s*(?:°|º|degrees?|deg\b)", _T, convert=_if_warm),
    _form(rf"{_N}\s*(?:of |for (?:the |my |his |her )?)?(?:fever|temp(?:erature)?)\b(?!\s*[:=]?\s*\d)", _T, convert=_if_warm),
    _form(rf"\bhighest\b{_LINK}{_N}", _T, convert=_if_warm),
    _form(r"(?<![\w.])t\s*[:=\-]?\s*(\d{2,3}[.,]\d{1,2})(?!\d)", _T, convert=bare_temperature, is_short=True),
    _form(rf"(?<![\w.])t\s*[:=\-]?\s*{_N}", _T, convert=_if_warm, is_short=True),
    _form(r"\b(?:measured|got|reads?|says?|shows?|registered|reading of)\s+(3[4-9][.,]\d|4[0-3][.,]\d)(?![\d/%]|\s*(?:%|kg|mmol))", _T),
    _form(rf"{_OXYGEN}(?![a-z]){_LINK}{_RANGED}\s*(?:%|percent)?", _O2, _O2),
    _form(rf"{_ON_FINGER}\b{_LINK}{_N}(?!\s*(?:bpm|beats?|pulse|heart|°|degrees?))\s*(?:%|percent)?", _O2, convert=_within(40, 100)),
    _form(rf"(?<![\w.]){_OXYGEN}(\d{{2,3}})(?!\d)\s*%?", _O2),
    _form(rf"{_N}\s*(?:%|percent)\s*(?:oxygen|spo2|o2|saturation|sats?|on (?:room )?air)", _O2),
    _form(rf"{_N}\s*(?:oxygen|spo2|saturation)\b{_OWN_NUMBER_NEXT}", _O2, convert=_within(50, 100)),
    _form(r"\b(?:reads?|says?|shows?|showing|reading)\s+(\d{2,3})\s*(?:%|percent)", _O2, is_short=True),
    _form(r"(?<![\d.,/])(\d{2,3})\s*(?:%|percent)", _O2, is_asked=True),
    _form(rf"{_PULSE}(?![a-z]){_LINK}{_RANGED}(?!\s*(?:%|°|ago|mg))", _HR, _HR),
    _form(rf"(?<![a-z.])(?:pulse|hr|pr|bpm){_N}", _HR),
    _form(r"(?<![\w.])p(\d{2,3})(?!\d)", _HR, is_short=True),
    _form(r"(?<![a-z])hr\s*/\s*rr\s*[:=]?\s*(\d{2,3})\s*/\s*(\d{1,3})", _HR, _RR),
    _form(rf"{_N}\s+pulse\b{_OWN_NUMBER_NEXT}", _HR, is_asked=True),
    _form(rf"(?<![\w.])p\s*[:=\-]?\s*{_N}", _HR, is_short=True),
    _form(rf"{_BREATH}(?![a-z]){_LINK}{_RANGED}(?!\s*(?:%|°|ago|mg))", _RR, _RR),
    _form(rf"(?<![\w.])(?:rr|resp){_N}", _RR),
    _form(rf"\bbeats? in [^.;\n]{{0,16}}\bsec\w*[^.;\n\d]{{0,12}}{_N}{_A_MINUTE}", _HR),
    _form(rf"{_N}\s*(?:bpm|b/m(?:in)?|beats?)\b(?!\s+in\s+[^.;\n]{{0,12}}\bsec)", _HR),
    _form(rf"{_N}\s+for (?:the |his |her |my )?(?:pulse|heart)\b", _HR),
    _form(rf"(?<![a-z])breathing (?:at |about |rate )?{_N}(?=\s*(?:$|[,;.\n]|and\b))", _RR, convert=_within(8, 99)),
    _form(rf"{_N}\s*rpm\b", _RR),
    _form(rf"\bbreaths?\b[^.;\n\d]{{0,12}}\bmin(?:ute)?\b[^.;\n\d]{{0,16}}{_N}(?!\s*(?:times|beats))", _RR),
    _form(rf"\b(?:breath(?:s|es|ing)?|anapumua|napumua|pumua|respiration)\b[^.;\n\d]{{0,24}}{_N}{_A_MINUTE}", _RR),
    _form(rf"\bbreaths?\s*[:=]?\s*{_N}(?!\s*(?:times|puffs))", _RR, is_short=True),
    _form(rf"{_N}\s*breaths?\b", _RR),
    _form(rf"(?<![\w.])r\s*[:=\-]?\s*{_N}", _RR, is_short=True),
    _form(rf"(?<![\w.])(?:w|wgt)\s*[:=\-]\s*{_N}", _KG, is_short=True),
    _form(rf"(?<![\w.])fev\.?\s*[:=\-]?\s*{_N}", _T, convert=_if_warm, is_short=True),
    _form(rf"{_GLUCOSE}(?![a-z]){_LINK}{_N}\s*mg\b", _SUGAR, convert=lambda value: value / _MG_DL_PER_MMOL_L),
    _form(rf"{_GLUCOSE}(?![a-z]){_LINK}{_N}\s*g\s*/\s*l\b", _SUGAR, convert=lambda value: value * _MMOL_L_PER_G_L),
    _form(rf"{_GLUCOSE}(?![a-z]){_LINK}{_RANGED}\s*mmol", _SUGAR, _SUGAR),
    _form(rf"{_GLUCOSE}(?![a-z]){_LINK}{_RANGED}(?!\s*%)", _SUGAR, _SUGAR, convert=_sugar),
    _form(rf"{_N}\s*mmol\b", _SUGAR, convert=_within(1, 45)),
    _form(rf"{_N}\s*mg/dl\b", _SUGAR, convert=lambda value: value / _MG_DL_PER_MMOL_L),
    _form(rf"(?<![a-z])uzito(?: wa)?(?: ni)?(?: kilo)?\s*[:=]?\s*{_N}", _KG),
    _form(rf"{_DIABETIC}{_N}{_DIABETIC_ENDS}", _SUGAR, convert=_within(1.1, _SUGAR_MMOL_L)),
    _form(rf"{_N}\s*(?:lbs?|pounds)\b", _KG, convert=lambda value: value * _KG_PER_LB),
    _form(rf"\b(?:weigh(?:s|ed|ing)?|weight|wieght|wgt|wt|birth ?weight)\b{_LINK}{_N}\s*(?:g|grams?|gms?)\b", _KG, convert=lambda value: value / 1000),
    _form(rf"{_N}\s*(?:kgs?|kilos?|kilograms?)\b", _KG),
    _form(rf"\b(?:weigh(?:s|ed|ing)?|weight|wieght|wgt|wt)\b{_LINK}{_N}(?!\s*(?:%|/|stones?\b|st\b|cm\b))", _KG),
    _form(rf"\b(?:height|ht|tall)\b{_LINK}(\d)\s*(?:ft|feet|foot|')\s*(\d{{1,2}})?", "feet", "inches"),
    _form(r"(?<![\d.])(\d)\s*(?:ft|feet|foot|')\s*(\d{1,2})?\s*(?:\"|''|inch\w*|in)?\s*tall\b", "feet", "inches"),
    _form(rf"\b(?:height|heigth|hieght|hgt|ht|length)\b{_LINK}{_N}\s*(?:cms?|m)?\b", HEIGHT, convert=_metres),
    _form(r"\b(?:i am|i'm|am|he is|he's|she is|she's)\s+(1[.,]\d{1,2})\s*(?:metres?|meters?|m)\b", HEIGHT, convert=_metres),
    _form(rf"{_N}\s*(?:cm|metres?|meters?|m)\s*tall\b", HEIGHT, convert=_metres),
    _form(rf"(?:^|(?<=[,;.\n])|(?<=\band)|(?<=it was)|(?<=it's)|(?<=its)|(?<=it is)|(?<=about)|(?<=think))\s*{_N}(?!\s*(?:%|/|[a-z°]*\d|kg|years?|month|cm|lb|mg|min|time|\w*(?:beat|breath)))", _T, convert=_asked_warm, is_asked=True),
    _form(r"(?<=\d,)\s*(\d{2,3})(?=\s*$)", _HR, is_asked=True),
)  # fmt: skip
_ALL_NAMES: Final = (_BP, _TEMP, _PULSE_AFTER, _BREATH_AFTER, _OXYGEN, _GLUCOSE)
_NAMED: Final = rf"(?:{'|'.join(_ALL_NAMES)})(?![a-z])"
_UNIT: Final = r"(?:\s*(?:%|percent|mm ?hg|mmol(?:/l)?|mg/dl|/ ?min|(?:°|º|degrees?|deg)(?:\s*[cf]\b)?|[cf]\b))?"
#: What joins a number to the name after it.
_AFTER: Final = rf"{_UNIT}\s*(?:(?:of|on|in|for|as)\s+)?(?:(?:my|his|her|the)\s+)?"
_ONE: Final = rf"(?<![\da-z.,/])\d{{1,4}}(?:[.,]\d{{1,2}})?(?:\s*(?:/|over|-)\s*\d{{2,3}})?{_AFTER}{_NAMED}"
_BARE: Final = r"(?<![\da-z.,/])(?:\d{2,3}(?:[.,]\d{1,2})?\s*(?:°|º|degrees?|deg)?\s*[cf](?![a-z])|\d{2,3}\s*%|\d{2,3}/\d{2,3}(?!\d|\s*[a-z]))"
_NEXT: Final = r"(?:\b[a-z1-9]\)\s|\.\s|\s/\s|[\s,;&+|]|\band\b){1,4}"
_NEXT_APART: Final = r"\s*(?:\s/\s|[,;&+|\n])\s*"
#: What a text must hold for a reading of a field to be told in it: its names, or a unit or letter some form goes by.
#: Forms of fields it does not hold are not tried.
CUES: Final = {
    SYSTOLIC: re.compile(rf"{_BP}|sys|sbp|upper|top|mm\s*hg|\d\s*(?:/|\\|\||over|by|on|-)"),
    _T: re.compile(
        rf"{_TEMP}|fev|homa|omusujja|°|º|deg|celsius|centigrade|fahrenheit|highest|ear|mouth|oral|arm|axil|forehead"
        r"|rectal|tongue|\d\s*[cf](?![a-z])|(?<![a-z])t(?![a-z])|tpr"
    ),
    _HR: re.compile(rf"{_PULSE_AFTER}|b/m|(?<![a-z])p(?![a-z])"),
    _RR: re.compile(rf"{_BREATH_AFTER}|pumua|breath|(?<![a-z])r(?![a-z])"),
    _O2: re.compile(rf"{_OXYGEN}|{_ON_FINGER}|%|percent"),
    _SUGAR: re.compile(rf"{_GLUCOSE}|{_DIABETIC}|mmol|mg/dl"),
    _KG: re.compile(r"lbs?|pound|kg|kilo|wei|wie|w|uzito"),
    HEIGHT: re.compile(r"ft|feet|foot|'|h[ei]|hgt|ht|length|tall|metre|meter|\dm|\d m"),
}
#: Readings of which each name follows its number, two or more: "98 spo2, 72 pulse, 36.8 temp".
NUMBERS_FIRST: Final = re.compile(
    rf"(?:{_BARE}{_NEXT})?{_ONE}(?:{_NEXT}{_ONE}|{_NEXT_APART}{_BARE}){{1,7}}|{_BARE}{_NEXT}{_ONE}|{_BARE}{_NEXT_APART}{_BARE}{_NEXT_APART}{_ONE}"
)
#: Before such a list: a name whose own number its first would be, "temp 38 pulse 90 resp".
NAME_BEFORE: Final = re.compile(rf"{_NAMED}{_LINK}$")
#: After it: a number of its last name, "38 pulse 90 resp 20".
NUMBER_AFTER: Final = re.compile(rf"{_LINK}\d")
NUMBER_FIRST_FORMS: Final = (
    _form(rf"(?<![\d.,/])(\d{{2,3}})\s*(?:/|over|-)\s*(\d{{2,3}}){_AFTER}{_BP}(?![a-z])", SYSTOLIC, DIASTOLIC),
    _form(r"(?<![\d.,/])(\d{2,3})/(\d{2,3})(?!\d|\s*[a-z])", SYSTOLIC, DIASTOLIC),
    _form(rf"{_N}\s*(?:°|º|degrees?|deg)?\s*f(?![a-z])", _T, convert=_if_fahrenheit),
    _form(rf"{_N}\s*(?:°|º|degrees?|deg)?\s*c(?![a-z])", _T),
    _form(rf"{_N}\s*%(?!\s*[a-z])", _O2),
    _form(rf"{_N}{_AFTER}{_TEMP}(?![a-z])", _T, convert=bare_temperature),
    _form(rf"{_N}{_AFTER}{_PULSE_AFTER}(?![a-z])", _HR),
    _form(rf"{_N}{_AFTER}{_BREATH_AFTER}(?![a-z])", _RR),
    _form(rf"{_N}{_AFTER}{_OXYGEN}(?![a-z])", _O2),
    _form(rf"{_N}{_AFTER}{_GLUCOSE}(?![a-z])", _SUGAR, convert=_sugar),
)
#: A number by whose it is, of what was named last: "my brother had sugar 20. Mine is 7.8".
OWN: Final = re.compile(
    rf"\b(?:mine|i have|i had|it|it's|its|now|today i got|leo ni|sasa ni|his|hers|(?:he|she) is at|(?:he|she)'s at|i am at|i'm at)\b\s*(?:(?:is|was|says|reads|reading|shows|at|now|only|about)\s+|[=:]\s*){{0,3}}{_N}"
    r"(?=\s*(?:%|°|c\b|f\b|now|today|at the moment|right now|mmol|[.,;!?\n]|$))"
)
#: What the number of an owner may be of: its field, the names, and how the number becomes the unit.
OF_LAST_NAMED: Final = (
    (_T, re.compile(rf"{_TEMP}\b|\b(?:fever|homa|omusujja)\b"), _if_warm),
    (_HR, re.compile(rf"{_PULSE}\b"), _within(20, 300)),
    (_RR, re.compile(rf"{_BREATH}\b"), _within(3, 120)),
    (_O2, re.compile(rf"{_OXYGEN}\b"), _within(40, 100)),
    (_SUGAR, re.compile(rf"{_GLUCOSE}\b"), _sugar),
)
#: What goes on about the reading before it: "my temperature was 37, now 39.6", "mine is 37", "then 40".
GOES_ON: Final = re.compile(
    rf"(?:[\s,;\-]|\.\s|_+(?:\s*[ap]m)?|\b(?:noon|midday|midnight|first|arrival|admission|and|before|in|at|on|the|this|last|morning|noon|night|evening|yesterday|before|left|right|arm|ago|month|week|twice|usual\w*|normal\w*|degrees?|c|f|mmhg|years?|an|hour|hours?|its)\b|%|°)*"
    rf"(?:{_N}\s*%?\s*(?:today|now|tonight|this (?:morning|evening))\b|\b(?:at the moment|currently|right now|today|tonight|now|this (?:morning|evening|afternoon))[\s:,]+{_N}|{_N}(?=\s*%?\s*(?:at|by)\s+(?:_|noon|midday|midnight))|\b(?:but|and|then|now|today|tonight|to|mine|yesterday)\b(?:\s+|,)(?:(?:one|an|hour|hours|minutes|quiet|its|insulin|come|came|paracetamol|panadol|ibuprofen|medicine|tablets?|sponging|fluids?|before|but|and|then|now|today|tonight|currently|mine|it|it's|its|is|was|at|about|around|after|rest|resting|lying|sitting|only|up|down|to|has|gone|the|this|yesterday)[\s,:]+){{0,8}}{_N}(?!\s*(?:[a-z]*pulse|bpm|beats?|breaths?|kg|cm|lb|mg|m\b|years?|/)))"
)
