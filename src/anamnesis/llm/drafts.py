"""What a model returned, read as hostile input: a draft reply and proposed facts, each checked or dropped.

Pure. Nothing is salvaged from prose, nothing outside the allow-list is looked at, and no check can be talked to.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from anamnesis.clinical.clauses import OTHERS, around, is_affirmed
from anamnesis.clinical.findings import fold
from anamnesis.clinical.guardrails import Refused, check_reply, terms
from anamnesis.kernel.text import clean
from anamnesis.llm.port import FIELDS, Completion, ModelBroken, Prompt, ProposedFact, ReplyRefused, Said
from anamnesis.llm.privacy import without_others

#: The shape asked of every provider.
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["reply", "facts", "reasoning"],
    "properties": {
        "reply": {"type": "string", "description": "What is said to the patient next."},
        "facts": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["field", "value", "quote"],
                "properties": {
                    "field": {"type": "string", "enum": list(FIELDS)},
                    "value": {"type": "string"},
                    "quote": {"type": "string", "description": "The patient's words, copied exactly."},
                },
            },
        },
        "reasoning": {"type": "string", "description": "For the doctor only."},
    },
}

LONGEST_TEXT: Final = 64 * 1024
_LONGEST_REPLY: Final = 1200
#: In characters: kept, and looked at. What is said beyond that is not missed.
LONGEST_REASONING: Final = 1000
_LOOKED_AT: Final = 4 * LONGEST_REASONING
_LONGEST_VALUE: Final = 200
_SHORTEST_QUOTE: Final = 2
_MOST_FACTS: Final = 20
_MOST_QUESTIONS: Final = 4
_HIGHEST_SEVERITY: Final = 10

_TOKEN: Final = re.compile(r"\[[A-Z]{3,8}(?:_\d{1,3})?\]")
_MARKUP: Final = re.compile(r"[<>{}|`\\]|\*\*|__|^\s*#|\]\(|&\w+;", re.MULTILINE)
_ODD: Final = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufffd]")
#: What a page, a client or a terminal could take for more than words, as what means the same and does nothing. Quotes
#: that would end the ones a reasoning is shown in become others.
_INERT: Final = str.maketrans(
    {"<": "‹", ">": "›", **dict.fromkeys('“”„«»"', "'"), **dict.fromkeys("{}[]|`\\*_#~", " ")}
)
_ENTITY: Final = re.compile(r"&(?=#?\w{1,32};)")
_LINK: Final = re.compile(
    r"\b(?:[a-z][a-z0-9+.-]{0,20}://|www\.|(?:javascript|mailto|tel):(?=\S)|data:\w+/|[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}"
    r"\.[a-z]{2,20}/)\S*",
    re.IGNORECASE,
)
_LEFT_OUT: Final = "…"
_FORMLESS: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_CLAUSE: Final = re.compile(r"[^.!?;\n]*[.!?;\n]?")
_TIMES: Final = re.compile(
    r"\d|\b(?:today|yesterday|ago|since|last|this|morning|night|evening|noon|minutes?|hours?|days?|weeks?|months?|"
    r"years?|mon|tues?|wed(?:nes)?|thurs?|fri|sat(?:ur)?|sun)(?:day)?\b"
)
_GRADES: Final = re.compile(r"\b(?:mild|moderate|severe|bad|terrible|worst|unbearable|slight|little|strong)\b")
_WORD: Final = re.compile(r"[\w']+")
#: Words that carry no topic.
_COMMON: Final = frozenset(
    """the and for are you your does did has have had was were any what which when where how who can could would will
    that this these those with from into about also tell please there them they she her his him its one other others
    child patient anything something come""".split()  # noqa: SIM905 - a list of words is read as a whole
)
#: What is said to have been told must have been told: the sentence may hold no other topic.
_CLAIMED: Final = re.compile(
    r"\byou (?:have |had |just |also )*(?:told|said|wrote|mentioned|described|reported)\b[^.?!\n]*"
)
_CLAIMING: Final = frozenset({"told", "said", "wrote", "menti", "descr", "repor", "just", "that", "thank"})
#: What may be stated to somebody who sent a photo, besides what they told or are asked: thanks, and sympathy.
_POLITE: Final = frozenset(
    word[:5]
    for word in """thank thanks hello okay sorry hear heard tell telling told send sending sent share sharing shared
    photo photos picture pictures message answer answering know knowing help helps taking time sound sounds must very
    much really hard difficult understand note noted doctor see sees look looks will can now let ask next one more
    question questions all right good too here not computer program""".split()  # noqa: SIM905 - as above
)
_SENTENCE: Final = re.compile(r"[^.?!\n]+[.?!]*")
_LEAST_SHARED: Final = 0.4
_SHORTEST_TOPIC: Final = 3


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply that may be said and the facts that stand; dropped names why the others did not, one word each."""

    reply: str
    facts: tuple[ProposedFact, ...]
    reasoning: str
    dropped: tuple[str, ...]


def read_draft(prompt: Prompt, completion: Completion) -> Draft:
    """The draft, checked. Raises ModelBroken for what is not one, ReplyRefused for a reply that may not be said."""
    if completion.finish_reason != "stop":
        raise ModelBroken("cut_off")
    raw = object_of(completion.text)
    reply, proposed, reasoning = raw.get("reply"), raw.get("facts", []), raw.get("reasoning", "")
    if not isinstance(reply, str) or not isinstance(proposed, list) or not isinstance(reasoning, str):
        raise ModelBroken("schema")
    facts, dropped = _facts(prompt, proposed)
    foreign = tuple("foreign" for key in raw if key not in SCHEMA["properties"])
    text = sayable(prompt, reply)
    return Draft(text, facts, private(prompt, reasoning), (*dropped, *foreign))


def sayable(prompt: Prompt, reply: str, *, is_whole: bool = True) -> str:
    """The reply as the patient may read it. Raises ReplyRefused.

    One that is not whole ends with a sentence; whether it asks what it must cannot be said of it yet.
    """
    text = restored(clean(reply).strip(), prompt)
    fault = next(_faults(text, prompt, is_whole=is_whole), None)
    if fault is not None:
        raise ReplyRefused(fault)
    return text


def object_of(text: str) -> dict[str, Any]:
    """The one JSON object a text is. Raises ModelBroken for anything else."""
    if len(text) > LONGEST_TEXT:
        raise ModelBroken("too_long")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_never)
    except (ValueError, RecursionError):
        raise ModelBroken("not_json") from None
    if not isinstance(found, dict):
        raise ModelBroken("schema")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _never(_: str) -> float:
    raise ValueError("not a number of JSON")


# -- the reasoning -----------------------------------------------------------------------------------------------


def private(prompt: Prompt, reasoning: str) -> str:
    """The reasoning as a doctor may read it: one line of plain words, of LONGEST_REASONING characters at most.

    Whatever it says it does nothing: no markup, no link, nothing unseen. An address or a telephone number that is not
    in what the model was given is somebody else's, or made up, and is left out.
    """
    text = restored(clean(reasoning[:_LOOKED_AT]), prompt)[:_LOOKED_AT]
    seen = "".join(letter for letter in text if letter.isspace() or unicodedata.category(letter) not in _FORMLESS)
    seen = without_others(seen, {meant for _, meant in prompt.hidden}, instead=_LEFT_OUT)
    bare = _LINK.sub(_LEFT_OUT, seen.translate(_INERT)).replace("://", ": ")
    line = " ".join(_ENTITY.sub("& ", bare).split())
    return line if len(line) <= LONGEST_REASONING else line[: LONGEST_REASONING - 1].rstrip() + "…"


# -- facts -------------------------------------------------------------------------------------------------------


def _facts(prompt: Prompt, proposed: list[Any]) -> tuple[tuple[ProposedFact, ...], tuple[str, ...]]:
    kept: dict[tuple[str, str], ProposedFact] = {}
    dropped = ["too_many"] * max(0, len(proposed) - _MOST_FACTS)
    for each in proposed[:_MOST_FACTS]:
        fact = _fact(prompt, each)
        if isinstance(fact, str):
            dropped.append(fact)
        else:
            kept.setdefault((fact.field, fact.quote), fact)
    return tuple(kept.values()), tuple(dropped)


def _fact(prompt: Prompt, raw: Any) -> ProposedFact | str:
    """The fact, or the word for why it is dropped."""
    if not isinstance(raw, dict) or not all(isinstance(raw.get(key), str) for key in ("field", "value", "quote")):
        return "schema"
    name, value, quote = (restored(clean(raw[key]).strip(), prompt) for key in ("field", "value", "quote"))
    if name not in prompt.fields or name not in FIELDS:
        return "field"
    if not 0 < len(value) <= _LONGEST_VALUE or len(quote) < _SHORTEST_QUOTE:
        return "length"
    source = next((said for said in prompt.said if quote in said.text), None)
    if source is None:
        return "quote"
    fault = _fault_of_fact(name, value, quote, source)
    return fault or ProposedFact(name, value, quote, source.message_id)


def _fault_of_fact(name: str, value: str, quote: str, source: Said) -> str | None:
    words = set(_WORD.findall(fold(quote)))
    if not set(_WORD.findall(fold(value))) <= words or not words:
        return "ungrounded"
    clauses = around(quote, source.text)
    if not is_affirmed(clauses):
        return "not_affirmed"
    if name != "family_history" and OTHERS.search(clauses):
        return "somebody_else"
    return None if _is_of_kind(name, value) else "range"


def _is_of_kind(name: str, value: str) -> bool:
    folded = fold(value)
    if name == "severity":
        numbers = [int(number) for number in re.findall(r"\d{1,4}", folded)]
        return all(number <= _HIGHEST_SEVERITY for number in numbers) if numbers else bool(_GRADES.search(folded))
    return name != "onset" or _TIMES.search(folded) is not None


# -- the reply ---------------------------------------------------------------------------------------------------


def restored(text: str, prompt: Prompt) -> str:
    """The text with what its tokens stand for."""
    for token, meant in prompt.hidden:
        text = text.replace(token, meant)
    return text


def _faults(text: str, prompt: Prompt, *, is_whole: bool) -> Iterator[str]:
    """Why the reply may not be sent; the first is enough."""
    if not 0 < len(text) <= _LONGEST_REPLY:
        yield "length"
    if _TOKEN.search(text):
        yield "token"
    if _MARKUP.search(text) or _ODD.search(text):
        yield "markup"
    if (is_whole and not _is_asking(text, prompt.question)) or text.count("?") > _MOST_QUESTIONS:
        yield "no_question"
    verdict = check_reply(text, after_flag=prompt.is_flagged, language=prompt.language, told=prompt.told)
    if isinstance(verdict, Refused):
        yield verdict.reason
    if is_whole and not _still_asks(text, prompt.question):
        yield "off_topic"
    own = "\n".join((prompt.question, *prompt.told))
    if terms(text) - terms(own):
        yield "foreign_term"
    if not all(_topics(claim) <= _topics(own) | _CLAIMING for claim in _CLAIMED.findall(fold(text))):
        yield "not_told"
    if prompt.photos and not _only_asks(text, prompt):
        yield "seen"


def _only_asks(text: str, prompt: Prompt) -> bool:
    """Whether nothing is stated but thanks and sympathy: what a photo shows is the doctor's to say."""
    own = "\n".join((prompt.question, *prompt.told, *(meant for _, meant in prompt.hidden)))
    stated = (each for each in _SENTENCE.findall(fold(text)) if not each.endswith("?"))
    return all(_topics(each) <= _topics(own) | _POLITE for each in stated)


def asks(text: str, question: str) -> bool:
    """Whether a text, whole or not, has asked the question, so that what follows may be read as its answer."""
    return _is_asking(text, question) and _still_asks(text, question)


def _is_asking(text: str, question: str) -> bool:
    return text.endswith("?") or ("?" in text and not question.endswith("?"))


def _still_asks(text: str, question: str) -> bool:
    """Whether the wording still asks the question: it shares words that carry its topic, some of every sentence.

    The patient's next message is read as the answer to that question, so a wording that asks another is a wrong fact.
    """
    said, wanted = _topics(text), _topics(question)
    sentences = (_topics(sentence) for sentence in _CLAUSE.findall(question))
    is_whole = all(sentence & said for sentence in sentences if sentence)
    return is_whole and len(wanted & said) >= _LEAST_SHARED * len(wanted)


def _topics(text: str) -> frozenset[str]:
    """The words that carry the topic, by their first five letters."""
    return frozenset(
        word[:5] for word in _WORD.findall(fold(text)) if len(word) >= _SHORTEST_TOPIC and word not in _COMMON
    )
