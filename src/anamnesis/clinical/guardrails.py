"""What an interviewer may never say to a patient, whoever worded it."""

import re
from dataclasses import dataclass
from typing import Final

from anamnesis.clinical.findings import fold


@dataclass(frozen=True, slots=True)
class Approved:
    """The text may be sent."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The text may not be sent; reason names the rule."""

    reason: str


_DRUGS: Final = (
    r"paracetamol|panadol|ibuprofen|aspirin|amoxicillin|ciprofloxacin|metronidazole|flagyl|coartem|artemether|artesunate|quinine|"
    r"septrin|doxycycline|azithromycin|ceftriaxone|morphine|tramadol|diclofenac|omeprazole|metformin|insulin|prednisolone|"
    r"salbutamol|diazepam|antibiotics?|painkillers?|antimalarials?|steroids?"
)
_RULES: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    (
        "dose",
        re.compile(
            r"\b\d+(?:\.\d+)?\s*(?:mg|mcg|ml|milligrams?|tablets?|pills?|drops|puffs|units)\b|\b(?:once|twice|three times) (?:a|per) day\b"
        ),
    ),
    (
        "drug",
        re.compile(
            rf"\b(?:take|try|use|start|stop|buy|get|give|need|recommend|prescribe)\w*\b[^.?!\n]{{0,40}}\b(?:{_DRUGS})\b"
        ),
    ),
    (
        "diagnosis",
        re.compile(
            r"\b(?:you|this|it|that|she|he)(?:'s|'re| (?:probably |likely |certainly |may |might |could |must )?(?:have|has|is|are|be))"
            r" (?:probably |likely |most likely |just |only |clearly |definitely )?(?:a |an |the )?(?:case of |sign of )?"
            r"(?:malaria|flu|cold|migraine|stroke|heart attack|cancer|pneumonia|infection|appendicitis|meningitis|typhoid|ulcer|"
            r"gastritis|asthma|diabetes|hypertension|anxiety|depression|tb|tuberculosis|covid|allergy|virus|uti|angina|pregnant)\b"
            r"|\b(?:sounds|looks|seems) like (?:a |an |you have |it is )?(?!you|the right)\w+|\bdiagnos(?:is|ed) (?:is|with|as)\b|\byou are suffering from\b"
        ),
    ),
    (
        "prognosis",
        re.compile(
            r"\byou(?:'ll| will) (?:be fine|be ok|be okay|recover|get better|survive|die)\b|\bit will (?:pass|go away|get better)\b|\bwithin a few days\b"
        ),
    ),
    (
        "no_need_for_care",
        re.compile(
            r"\b(?:no need|don't need|do not need|needn't|not necessary) (?:to )?(?:see|visit|go|worry|for)\b"
            r"|\bstay at home\b|\bnothing (?:serious|to worry)\b|\bnot (?:serious|dangerous|an emergency)\b(?<!this is not an emergency)|\bwait and see\b"
        ),
    ),
    ("invented_identity", re.compile(r"\bi am (?:a|your) (?:doctor|nurse|physician)\b|\bas a doctor\b")),
    ("active_content", re.compile(r"<[a-z/!]|javascript:|!\[|\]\(|https?://")),
)
_REASSURANCE: Final = re.compile(
    r"\b(?:don't worry|do not worry|no worries|relax|calm down|everything (?:is|will be) (?:ok|okay|fine|all right)|you are safe|rest assured)\b"
)


def check_reply(text: str, *, after_flag: bool) -> Approved | Refused:
    """Whether a text may reach a patient: no diagnosis, drug, dose, prognosis, "no need for care", no reassurance.

    Reassurance is refused always and named apart after a red flag, where it can kill.
    """
    folded = fold(text)
    own_statement = folded.replace("this is not an emergency service", "").replace("not an emergency service", "")
    for reason, pattern in _RULES:
        if pattern.search(own_statement):
            return Refused(reason)
    if _REASSURANCE.search(folded):
        return Refused("reassurance_after_flag" if after_flag else "reassurance")
    return Approved()
