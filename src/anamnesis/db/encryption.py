"""What people wrote, encrypted where it stands: AES-256-GCM under a named key, bound to its place. Pure but for chance.

A text column holds ``enc1:KEY:BASE64`` (of nonce and ciphertext), a JSON column the same as a JSON string, so no column
changes its type, and what was written before is read as it is. Bound are table, column, row and whose row it is: words
put in another place are refused. Whatever begins with ``enc1:`` is an envelope or broken; a plain text that happens to
begin so is kept behind ``enc0:``.
"""

import os
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from anamnesis.kernel.errors import KeyMissing, NotAsSealed, Unreadable
from anamnesis.settings.reading import KEY_ID, Secret

SEALED: Final = "enc1:"
LITERAL: Final = "enc0:"
_LOOKS_SEALED: Final = re.compile(r"enc[0-9]:")
_NONCE_BYTES: Final = 12
#: What is longer is packed before it is sealed, for the database cannot pack an envelope. The mark in front of it
#: begins no text in UTF-8.
_WORTH_PACKING_BYTES: Final = 1000
_PACKED: Final = b"\xff"


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table of which some columns are sealed: texts of text, documents of JSON.

    owner is the column that says whose row it is, key the one that says which.
    """

    name: str
    owner: str
    texts: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    key: str = "id"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every sealed column."""
        return (*self.texts, *self.documents)


CHAT: Final = SealedTable("chat_messages", "session_id", ("content", "reply_so_far"), ("choices", "images"))
NOTES: Final = SealedTable("clinician_notes", "session_id", ("content",), ("metadata", "images"))
DIRECT: Final = SealedTable("direct_messages", "connection_id", ("content",))
SESSIONS: Final = SealedTable(
    "intake_sessions",
    "connection_id",
    ("name", "termination_reason", "lowered_reason"),
    ("record", "medical_data", "clinical_handover", "doctor_thought"),
)
WORDED: Final = SealedTable("worded_notes", "session_id", documents=("note", "differential"), key="session_id")
REASONINGS: Final = SealedTable("model_reasonings", "session_id", ("content",), key="reply_id")
LOWERINGS: Final = SealedTable("lowerings", "session_id", ("reason",))
EMERGENCIES: Final = SealedTable("emergency_accesses", "connection_id", ("reason",))
HOLDS: Final = SealedTable("legal_holds", "patient_id", ("reason", "lifted_reason"))
FILES: Final = SealedTable("files", "session_id", ("file_name",))
ACCOUNT_REASONS: Final = SealedTable("account_reasons", "user_id", ("reason",))

#: Everything that is sealed. A column that is added later is added here, or a test says that it stands in the clear.
TABLES: Final = (
    CHAT,
    NOTES,
    DIRECT,
    SESSIONS,
    WORDED,
    REASONINGS,
    LOWERINGS,
    EMERGENCIES,
    HOLDS,
    FILES,
    ACCOUNT_REASONS,
)


class _Key(NamedTuple):
    id: str
    cipher: AESGCM


class Keyring:
    """The keys, each by its id: the first writes, all read. Without any, words are written as they are."""

    __slots__ = ("_first", "_keys")

    def __init__(self, keys: Sequence[tuple[str, bytes]] = ()) -> None:
        """Take (id, 32 bytes) pairs; raises ValueError for a key of another length."""
        self._keys = {key_id: AESGCM(_of_256_bits(key)) for key_id, key in keys}
        self._first = _Key(keys[0][0], self._keys[keys[0][0]]) if keys else None

    @property
    def first(self) -> str | None:
        """The id of the key that writes."""
        return None if self._first is None else self._first.id

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._keys)

    def at(self, table: SealedTable, row_id: UUID | int | str, owner_id: UUID | str) -> "Place":
        """Where one row's words stand."""
        return Place(self, table, str(row_id), str(owner_id))

    def opened(self, table: SealedTable, row: Any) -> dict[str, Any]:
        """A row as a statement answers it, key and owner among its columns, with its sealed columns opened.

        Raises KeyMissing and NotAsSealed.
        """
        place = self.at(table, row[table.key], row[table.owner])
        found = dict(row)
        for column in table.columns:
            if column in found:
                found[column] = place.open(column, found[column])
        return found

    def all_opened(self, table: SealedTable, rows: Iterable[Any]) -> list[Mapping[str, Any]]:
        """As opened, for many rows."""
        return [self.opened(table, row) for row in rows]

    def listed(self, table: SealedTable, rows: Iterable[Any]) -> list[tuple[dict[str, Any], Unreadable | None]]:
        """As all_opened, for a list in which a row that cannot be opened hides no other.

        Such a row has None in its sealed columns, and what is wrong with it beside it. Raises KeyMissing and
        NotAsSealed when no row can be opened, for then it is not the row.
        """
        found = [self._opened_or_blank(table, row) for row in rows]
        wrong = [error for _, error in found if error is not None]
        if wrong and len(wrong) == len(found):
            raise wrong[0]
        return found

    def _opened_or_blank(self, table: SealedTable, row: Any) -> tuple[dict[str, Any], Unreadable | None]:
        try:
            return self.opened(table, row), None
        except Unreadable as unreadable:
            return {**row, **{column: None for column in table.columns if column in row}}, unreadable

    def encrypt(self, text: str, bound: bytes) -> str:
        """The envelope of a text, bound to these bytes; without a key the text, told apart from an envelope."""
        if self._first is None:
            return f"{LITERAL}{text}" if _LOOKS_SEALED.match(text) else text
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._first.cipher.encrypt(nonce, _packed(text), bound)
        return f"{SEALED}{self._first.id}:{b64encode(sealed).decode()}"

    def decrypt(self, envelope: str, bound: bytes) -> str:
        """The text of an envelope. Raises KeyMissing, and ValueError or InvalidTag for one that is broken."""
        _, key_id, body = envelope.split(":", 2)
        sealed = b64decode(body, validate=True)
        if not KEY_ID.fullmatch(key_id):
            raise ValueError("no key can have this id")
        if key_id not in self._keys:
            raise KeyMissing(key_id)
        return _unpacked(self._keys[key_id].decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound))


@dataclass(frozen=True, slots=True)
class Place:
    """One row, whose words are sealed and opened for it alone."""

    keyring: Keyring = field(repr=False)
    table: SealedTable
    row_id: str
    owner_id: str

    def seal(self, column: str, value: Any) -> Any:
        """What is stored for a value of this column: a text or, for a column of JSON, any value. None stays None."""
        if value is None:
            return None
        if column not in self.table.documents:
            return self.keyring.encrypt(value, self._bound(column))
        if self.keyring.first is None or value in ({}, []):
            return value
        return self.keyring.encrypt(msgspec.json.encode(value).decode(), self._bound(column))

    def open(self, column: str, stored: Any) -> Any:
        """The value that was stored. Raises KeyMissing and NotAsSealed; what was never sealed is answered as it is."""
        if not isinstance(stored, str):
            return stored
        if stored.startswith(LITERAL):
            return stored.removeprefix(LITERAL)
        if not stored.startswith(SEALED):
            return stored
        text = self.unseal(column, stored)
        return msgspec.json.decode(text) if column in self.table.documents else text

    def reseal(self, column: str, text: str) -> str:
        """The envelope of what a text or an envelope of this column holds, under the key that writes.

        Of a column of JSON the text is the JSON itself. Raises KeyMissing and NotAsSealed.
        """
        plain = self.unseal(column, text) if text.startswith(SEALED) else text.removeprefix(LITERAL)
        return self.keyring.encrypt(plain, self._bound(column))

    def unseal(self, column: str, envelope: str) -> str:
        """The text inside an envelope: of a column of JSON the JSON itself. Raises KeyMissing and NotAsSealed."""
        try:
            return self.keyring.decrypt(envelope, self._bound(column))
        except (ValueError, InvalidTag):
            raise NotAsSealed(self.table.name, column, self.row_id) from None

    def _bound(self, column: str) -> bytes:
        """What the ciphertext is bound to; no part can hold the separator."""
        return f"{self.table.name}\0{column}\0{self.row_id}\0{self.owner_id}".encode()


def keyring_of(keys: Iterable[tuple[str, Secret]]) -> Keyring:
    """The keyring of ENCRYPTION_KEYS, which settings have checked: (id, base64 of 32 bytes) pairs, the first writes."""
    return Keyring([(key_id, b64decode(key.reveal())) for key_id, key in keys])


def _packed(text: str) -> bytes:
    data = text.encode()
    return _PACKED + zlib.compress(data, 1) if len(data) > _WORTH_PACKING_BYTES else data


def _unpacked(data: bytes) -> str:
    return (zlib.decompress(data[1:]) if data.startswith(_PACKED) else data).decode()


def _of_256_bits(key: bytes) -> bytes:
    if len(key) != 32:  # noqa: PLR2004 - AES-256
        raise ValueError("a key is 32 bytes")
    return key
