"""The shapes of inputs and outputs on the wire, with the checks and the words of zod 3.

Existing clients parse validation errors, so an input is checked as zod would: undefined is not null, a boolean is not a
number, every field's issues are reported, in the schema's order. The codes, texts and key orders are those recorded
from zod 3.25.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar, get_args
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from anamnesis.kernel.errors import Issue
from anamnesis.kernel.javascript import UNDEFINED, FarDate, InvalidDate, Undefined, type_name
from anamnesis.kernel.procedures import Part
from anamnesis.kernel.text import clean
from anamnesis.kernel.urls import href_of

Details = tuple[tuple[str, object], ...]
_PATH: Final = ("path", None)
_REFUSED: Final = "zod"
#: The validation context of a protocol that has no dates of its own.
AS_TEXT: Final = "dates are texts"


class Refused(Exception):
    """A value a check does not accept."""

    def __init__(self, *issues: Issue) -> None:
        super().__init__()
        self.issues = issues


class Wire(BaseModel):
    """Anything on the wire: camelCase outside, our names inside, never changed once made."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="ignore")


class Output(Wire):
    """What a procedure answers. Made from values we already trust."""


class Input(Wire):
    """What a procedure takes: a plain object with exactly the declared fields; unknown ones are dropped."""

    model_config = ConfigDict(validate_by_name=False)

    @model_validator(mode="wrap")
    @classmethod
    def _as_zod_would(cls, value: object, build: ModelWrapValidatorHandler["Input"]) -> "Input":
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise _error(wrong_type("object", value))
        given, undefined = dict(value), set[str]()
        for name, field in cls.model_fields.items():
            alias = field.alias or name
            if given.get(alias, UNDEFINED) is not UNDEFINED:
                continue
            if field.is_required():
                given[alias] = UNDEFINED
            elif alias in given:
                del given[alias]
                undefined.add(name)
        built = build(given)
        built.model_fields_set.update(undefined)
        return built


def as_wire(value: object) -> object:
    """A model as plain values by their names on the wire; anything else as it is."""
    return value.model_dump(by_alias=True) if isinstance(value, BaseModel) else value


def issues_of(error: ValidationError) -> tuple[Issue, ...]:
    """Every issue of a failed validation, in the schema's order."""
    found: list[Issue] = []
    for each in error.errors(include_url=False, include_input=False):
        inner = each.get("ctx", {}).get("issues") if each["type"] == _REFUSED else None
        issues = inner or (issue(each["msg"]),)
        found += [issue.under(*each["loc"]) for issue in issues]
    return tuple(found)


def custom(message: str) -> PydanticCustomError:
    """A rule over several fields that does not hold: raise it from a model validator of mode "after"."""
    return _error(issue(message))


def issue(message: str, *path: str | int) -> Issue:
    """A rule of our own that does not hold, at this field: for a handler's BadInput where no validator can know it."""
    return Issue(message, path, (("code", "custom"), ("message", message), _PATH))


def wrong_type(expected: str, value: object) -> Issue:
    """A value of the wrong kind, or none at all."""
    received = type_name(value)
    message = "Required" if received == "undefined" else f"Expected {expected}, received {received}"
    details = (("code", "invalid_type"), ("expected", expected), ("received", received), _PATH, ("message", message))
    return Issue(message, (), details)


def _error(*issues: Issue) -> PydanticCustomError:
    return PydanticCustomError(_REFUSED, "The input is not valid.", {"issues": issues})


def _refusing(check: Callable[[object], object]) -> Callable[[object], object]:
    """The check with its refusals in pydantic's form."""

    def run(value: object) -> object:
        try:
            return check(value)
        except Refused as refused:
            raise _error(*refused.issues) from None

    return run


class _Check:
    """Metadata that makes pydantic check a value as zod would, and describe it in JSON Schema."""

    def __init__(self, check: Callable[[object], object], json_schema: Mapping[str, Any]) -> None:
        self._check = check
        self._json_schema = dict(json_schema)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(_refusing(self._check))

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self._json_schema)


# -- strings -----------------------------------------------------------------------------------------------------


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Refused(wrong_type("string", value))
    return value


def length_utf16(text: str) -> int:
    """How long JavaScript takes a text to be: characters beyond the first plane count twice."""
    return len(text) + sum(character > "\uffff" for character in text)


def _too_small(minimum: float, kind: str, text: str, *, inclusive: bool = True) -> Issue:
    return _bound("too_small", "minimum", minimum, kind, text, inclusive=inclusive)


def _too_big(maximum: float, kind: str, text: str, *, inclusive: bool = True) -> Issue:
    return _bound("too_big", "maximum", maximum, kind, text, inclusive=inclusive)


def _bound(code: str, side: str, limit: float, kind: str, text: str, *, inclusive: bool) -> Issue:
    head: Details = (("code", code), (side, limit), ("type", kind), ("inclusive", inclusive), ("exact", False))
    return Issue(text, (), (*head, ("message", text), _PATH))


def text(minimum: int = 0, maximum: int | None = None, *, cleaned: bool = True) -> Any:
    """A text of minimum to maximum UTF-16 units, cleaned first unless told otherwise."""

    def check(value: object) -> str:
        words = clean(_string(value)) if cleaned else _string(value)
        size = length_utf16(words)
        if size < minimum:
            raise Refused(_too_small(minimum, "string", f"String must contain at least {minimum} character(s)"))
        if maximum is not None and size > maximum:
            raise Refused(_too_big(maximum, "string", f"String must contain at most {maximum} character(s)"))
        return words

    bounds = {**({"minLength": minimum} if minimum else {}), **({} if maximum is None else {"maxLength": maximum})}
    return _Check(check, {"type": "string", **bounds})


def _formed(kind: str, is_valid: Callable[[str], bool], *, code_first: bool = False) -> Callable[[object], str]:
    def check(value: object) -> str:
        words = _string(value)
        if not is_valid(words):
            message = f"Invalid {kind}"
            head: Details = (("validation", kind), ("code", "invalid_string"))
            raise Refused(Issue(message, (), (*(head[::-1] if code_first else head), ("message", message), _PATH)))
        return words

    return check


_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_EMAIL: Final = re.compile(
    r"(?!\.)(?!.*\.\.)([A-Z0-9_'+\-.]*)[A-Z0-9_+-]@([A-Z0-9][A-Z0-9\-]*\.)+[A-Z]{2,}", re.IGNORECASE | re.ASCII
)
_DATETIME: Final = re.compile(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?Z", re.ASCII)


def _is_datetime(words: str) -> bool:
    """Whether the text is a date and time in UTC; the year 0, which zod takes, is a leap year like 2000."""
    if not _DATETIME.fullmatch(words):
        return False
    try:
        _moment(re.sub("^0000", "2000", words))
    except ValueError:
        return False
    return True


def _moment(words: str) -> datetime:
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", words)).astimezone(UTC)


_check_uuid = _formed("uuid", lambda words: _UUID.fullmatch(words) is not None)
_check_datetime = _formed("datetime", _is_datetime, code_first=True)


def _given_uuid(value: object) -> UUID:
    return value if isinstance(value, UUID) else UUID(_check_uuid(value))


def _given_moment(value: object) -> datetime:
    words = _check_datetime(value)
    # A datetime begins with the year 1; nothing a clinic knows happened before.
    return _moment(words) if not words.startswith("0000") else _moment(_check_datetime(""))


#: Checked as zod does, kept as our own types.
Uuid = Annotated[UUID, _Check(_given_uuid, {"type": "string", "format": "uuid"})]
IsoDatetime = Annotated[datetime, _Check(_given_moment, {"type": "string", "format": "date-time"})]
Email = Annotated[
    str,
    _Check(_formed("email", lambda words: _EMAIL.fullmatch(words) is not None), {"type": "string", "format": "email"}),
]
UrlText = Annotated[
    str, _Check(_formed("url", lambda words: href_of(words) is not None), {"type": "string", "format": "uri"})
]
#: The same, kept as the text that was sent.
UuidText = Annotated[str, _Check(_check_uuid, {"type": "string", "format": "uuid"})]
DatetimeText = Annotated[str, _Check(_check_datetime, {"type": "string", "format": "date-time"})]


# -- other kinds -------------------------------------------------------------------------------------------------


def _date(value: object) -> datetime:
    if isinstance(value, InvalidDate | FarDate):
        raise Refused(Issue("Invalid date", (), (("code", "invalid_date"), _PATH, ("message", "Invalid date"))))
    if not isinstance(value, datetime):
        raise Refused(wrong_type("date", value))
    return value.replace()  # a copy, as zod makes: what was one object in the input is not one in the output


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Refused(wrong_type("boolean", value))
    return value


def _upload(value: object) -> Part:
    if not isinstance(value, Part):
        raise Refused(wrong_type("file", value))
    return value


def _nothing(value: object) -> Undefined:
    if value is not UNDEFINED:
        raise Refused(wrong_type("void", value))
    return UNDEFINED


class _DateCheck:
    """A Date of the wire; where the protocol has none, the ISO text of one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from_text, from_date = _refusing(_given_moment), _refusing(_date)

        def run(value: object, info: core_schema.ValidationInfo) -> object:
            is_text = info.context == AS_TEXT and isinstance(value, str)
            return from_text(value) if is_text else from_date(value)

        return core_schema.with_info_plain_validator_function(run)

    def __get_pydantic_json_schema__(self, _: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}


Date = Annotated[datetime, _DateCheck()]
Boolean = Annotated[bool, _Check(_boolean, {"type": "boolean"})]
Upload = Annotated[Part, _Check(_upload, {"type": "string", "format": "binary"})]
Nothing = Annotated[Undefined, _Check(_nothing, {"type": "null"})]
Anything = Annotated[object, _Check(lambda value: value, {})]


_MOST_KEYS: Final = 50


def _record(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Refused(wrong_type("object", value))
    if len(value) > _MOST_KEYS:
        message = f"Object must contain at most {_MOST_KEYS} keys"
        raise Refused(Issue(message, (), (("code", "custom"), ("message", message), _PATH)))
    return {clean(key): clean(member) if isinstance(member, str) else member for key, member in value.items()}


#: An object of a few names and whatever JSON says of them.
Record = Annotated[dict[str, Any], _Check(_record, {"type": "object"})]


def number(
    *, whole: bool = False, above: float | None = None, at_least: float | None = None, at_most: float | None = None
) -> Any:
    """A finite or infinite number within bounds; whole ones come as int."""

    def check(value: object) -> float:
        if not isinstance(value, int | float) or type_name(value) != "number":
            raise Refused(wrong_type("number", value))
        issues = []
        if whole and not float(value).is_integer():
            message = "Expected integer, received float"
            head: Details = (("code", "invalid_type"), ("expected", "integer"), ("received", "float"))
            issues.append(Issue(message, (), (*head, ("message", message), _PATH)))
        if above is not None and not value > above:
            issues.append(_too_small(above, "number", f"Number must be greater than {above}", inclusive=False))
        if at_least is not None and value < at_least:
            issues.append(_too_small(at_least, "number", f"Number must be greater than or equal to {at_least}"))
        if at_most is not None and value > at_most:
            issues.append(_too_big(at_most, "number", f"Number must be less than or equal to {at_most}"))
        if issues:
            raise Refused(*issues)
        return int(value) if whole else value

    bounds = {"exclusiveMinimum": above, "minimum": at_least, "maximum": at_most}
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    return _Check(check, {"type": "integer" if whole else "number", **given})


class _OneOf:
    """One of the words of the Literal it annotates."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        options = get_args(source)
        return core_schema.no_info_plain_validator_function(
            _refusing(_one_of(options)), json_schema_input_schema=core_schema.literal_schema(list(options))
        )


def _one_of(options: tuple[str, ...]) -> Callable[[object], str]:
    listed = " | ".join(f"'{option}'" for option in options)

    def check(value: object) -> str:
        if not isinstance(value, str):
            found = wrong_type(listed, value)
            order = ("expected", "received", "code", "path", "message")
            by_name = dict(found.details)
            raise Refused(Issue(found.message, (), tuple((name, by_name[name]) for name in order)))
        if value not in options:
            message = f"Invalid enum value. Expected {listed}, received '{value}'"
            head: Details = (("received", value), ("code", "invalid_enum_value"), ("options", list(options)))
            raise Refused(Issue(message, (), (*head, _PATH, ("message", message))))
        return value

    return check


ONE_OF: Final = _OneOf()


class _Maybe:
    """Validates as the type beside Undefined: an Input leaves out what is undefined, so a value never is."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (kind,) = (each for each in get_args(source) if each is not Undefined)
        return handler.generate_schema(kind)


_Kind = TypeVar("_Kind")
#: A field that may be left out or undefined, never null: declare it with UNDEFINED as its default.
Maybe = Annotated[_Kind | Undefined, _Maybe()]


class _Items:
    """A list whose own bounds and whose members' issues are reported together."""

    def __init__(self, maximum: int | None = None) -> None:
        self._maximum = maximum

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), **({} if self._maximum is None else {"maxItems": self._maximum})}

    def _check(self, value: object, members: Callable[[object], object]) -> object:
        if not isinstance(value, list):
            raise _error(wrong_type("array", value))
        issues: list[Issue] = []
        if self._maximum is not None and len(value) > self._maximum:
            message = f"Array must contain at most {self._maximum} element(s)"
            issues.append(_too_big(self._maximum, "array", message))
        try:
            checked = members(value)
        except ValidationError as error:
            issues += issues_of(error)
        if issues:
            raise _error(*issues)
        return checked


def items(maximum: int | None = None) -> Any:
    """Mark a list of at most so many members."""
    return _Items(maximum)
