"""Write src/anamnesis/client/calls.py: every procedure as a typed method of the client for Python."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel

from anamnesis.bootstrap import build
from anamnesis.edge.routes import UNPORTED
from anamnesis.kernel.javascript import Undefined
from anamnesis.kernel.procedures import Kind, Procedure, Registry
from anamnesis.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "src" / "anamnesis" / "client" / "calls.py"

HEAD = '''"""Every procedure as a method. Written by `python scripts/calls.py`; a test fails when it is stale.

What may be left out is None. A write with a client message id gets one, and is done once however often it is sent.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

'''
NAMES = {UUID: "UUID", datetime: "datetime", str: "str", int: "int", float: "float", bool: "bool", type(None): "None"}


def registry() -> Registry:
    """The procedures; nothing is connected to."""
    nowhere = "postgresql:///nowhere"
    return build(Settings(), app_dsn=nowhere, direct_dsn=nowhere).registry


def module(procedures: Iterable[Procedure]) -> str:
    """The whole text, as the formatter leaves it."""
    built = [each for each in procedures if each.summary != UNPORTED and not each.takes_files]
    groups: dict[str, list[Procedure]] = {}
    for procedure in built:
        groups.setdefault(procedure.name.partition(".")[0], []).append(procedure)
    shapes = sorted({shape.__module__ for each in built for shape in (each.output, each.untracked) if shape})
    imports = [f"from {name.rpartition('.')[0]} import {name.rpartition('.')[2]} as {_alias(name)}" for name in shapes]
    imports += ["from anamnesis.client.line import NULL, Event, Line", "from anamnesis.files import api as files_api"]
    classes = [_group(name, members) for name, members in groups.items()]
    text = HEAD + "\n".join(sorted(set(imports))) + "\n\n\n" + "\n\n".join([*classes, _clinic(list(groups))]) + "\n"
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(MODULE), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def _group(name: str, procedures: Iterable[Procedure]) -> str:
    head = f'class {name.capitalize()}Calls:\n    """The procedures of {name}."""\n\n    line: Line\n\n'
    return "@dataclass(frozen=True, slots=True)\n" + head + "\n".join(_method(each) for each in procedures)


def _clinic(names: Iterable[str]) -> str:
    fields = "".join(
        f'    @property\n    def {name}(self) -> {name.capitalize()}Calls:\n        """The procedures of {name}."""\n'
        f"        return {name.capitalize()}Calls(self)\n\n"
        for name in names
    )
    return (
        'class Clinic(Line):\n    """A clinic, for whoever the token signs in."""\n\n'
        + fields
        + "    async def upload_files(\n"
        "        self, session_id: UUID, files: Sequence[tuple[str, bytes, str]]\n    ) -> files_api.Files:\n"
        '        """Keep photos and documents of a session, all or none; each a name, its bytes, their media type."""\n'
        "        return await self.upload(files_api.Files, session_id, files)\n"
    )


def _method(procedure: Procedure) -> str:
    name = _snake(procedure.name.partition(".")[2])
    fields = list(_fields_of(procedure))
    taken = "".join(
        f", {own}: {hint}" if needed else f", {own}: {hint.removesuffix(' | None')} | None = None"
        for own, _, hint, needed in fields
    )
    signature = f"self, *{taken}" if taken else "self"
    sent = "".join(f", {wire}={own}" for own, wire, _, _ in fields)
    shapes = [_shape_of(each) for each in (procedure.output, procedure.untracked) if each]
    told = f'        """{procedure.summary}"""\n'
    if procedure.kind is Kind.SUBSCRIPTION:
        return (
            f"    def {name}({signature}) -> AsyncIterator[Event[{' | '.join(shapes)}]]:\n{told}"
            f'        return self.line.listen("{procedure.name}", {", ".join(shapes)}{sent})\n'
        )
    how = "query" if procedure.kind is Kind.QUERY else "once" if "clientMessageId=" in sent else "mutate"
    nullable = [own for own, _, hint, needed in fields if needed and hint.endswith("None")]
    call = f'return await self.line.{how}("{procedure.name}", {shapes[0]}{sent})'
    if nullable:
        call = call.replace(f"={nullable[0]}", f"=NULL if {nullable[0]} is None else {nullable[0]}")
    return f"    async def {name}({signature}) -> {shapes[0]}:\n{told}        {call}\n"


def _fields_of(procedure: Procedure) -> Iterator[tuple[str, str, str, bool]]:
    """Each field of the input: our name, its name on the wire, its type, and whether it must be given."""
    if procedure.input is None:
        return
    found = procedure.input.model_fields.items()
    rows = [(name, field.alias or name, _hint_of(field.annotation), field.is_required()) for name, field in found]
    yield from sorted(rows, key=lambda row: not row[3])


def _hint_of(annotation: Any) -> str:
    if annotation in NAMES:
        return NAMES[annotation]
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _hint_of(arguments[0])
    if origin in (Union, UnionType):
        return " | ".join(_hint_of(each) for each in arguments if each is not Undefined)
    if origin is Literal:
        return f"Literal[{', '.join(repr(each) for each in arguments)}]"
    if origin is list:
        return f"Sequence[{_hint_of(arguments[0])}]"
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        return "Mapping[str, Any]"
    raise TypeError(annotation)


def _shape_of(shape: type) -> str:
    return f"{_alias(shape.__module__)}.{shape.__name__}"


def _alias(name: str) -> str:
    return "_".join(name.split(".")[1:])


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


if __name__ == "__main__":
    MODULE.write_text(module(bound.procedure for bound in registry()))
    print(f"wrote {MODULE.relative_to(ROOT)}")
