"""Everything that is kept of one patient, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from anamnesis.clinical.record import ClinicalRecord

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Interview:
    """One interview with what belongs to it, oldest first; messages are of every conversation in it."""

    row: Row
    record: ClinicalRecord
    messages: tuple[Row, ...]
    notes: tuple[Row, ...]
    files: tuple[Row, ...]
    lowerings: tuple[Row, ...] = ()
    worded_notes: tuple[Row, ...] = ()
    model_reasonings: tuple[Row, ...] = ()

    @property
    def id(self) -> UUID:
        """The session's id."""
        return UUID(str(self.row["id"]))

    @property
    def began_at(self) -> datetime:
        """When it was begun, or made when nobody has said anything."""
        moment = self.row["started_at"] or self.row["created_at"]
        assert isinstance(moment, datetime)
        return moment


@dataclass(frozen=True, slots=True)
class PatientFile:
    """Everything that is kept of one patient."""

    patient: Row
    account: Row
    connections: tuple[Row, ...]
    interviews: tuple[Interview, ...]
    direct_messages: tuple[Row, ...]
    notifications: tuple[Row, ...]
    consents: tuple[Row, ...]
    holds: tuple[Row, ...]
    emergencies: tuple[Row, ...]
    audit: tuple[Row, ...]
    #: What a take-over kept whole: JSON, by the table it came from.
    taken_over: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Why operators closed or opened the account.
    account_reasons: tuple[Row, ...] = ()
