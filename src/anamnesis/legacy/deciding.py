"""Whether a row of the replaced system is written here, and what is counted of it. Pure.

A row of ours that nobody has changed since it was imported follows its source; one that somebody has changed is ours.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

_SHOWN: Final = 16
_MODULUS: Final = 1 << 256


class Step(Enum):
    """What is done about a row."""

    INSERT = auto()
    OVERWRITE = auto()
    NOTE = auto()  # it is here already as it should be: only the ledger has to learn it
    LEAVE = auto()
    OURS = auto()  # the source has changed, and so have we


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger knows of a row. Without a fingerprint the row was ours before."""

    our_table: str
    our_key: str
    fingerprint: bytes | None


def decide(entry: Entry | None, table: str, wanted: bytes, ours: bytes | None) -> Step:
    """What to do about a row that should be wanted in our table and is ours now (None: it is not here)."""
    if entry is None:
        return Step.INSERT if ours is None else Step.NOTE if ours == wanted else Step.OURS
    if entry.fingerprint in (None, wanted):
        return Step.LEAVE
    if entry.our_table != table or ours is None:
        return Step.OURS
    if ours == wanted:
        return Step.NOTE
    return Step.OVERWRITE if ours == entry.fingerprint else Step.OURS


@dataclass(slots=True)
class Tally:
    """One table's figures. The two sums are over the rows that nobody has changed here, from either side."""

    table: str
    in_source: int = 0
    read: int = 0
    written: int = 0
    same: int = 0
    changed_here: int = 0
    left_out: int = 0
    kept_aside: int = 0
    source_sum: int = 0
    our_sum: int = 0
    reports: list[tuple[str, str]] = field(default_factory=list)
    is_unread: bool = False

    def compare(self, wanted: bytes, ours: bytes | None) -> None:
        """Count a row that has to be here as it was read."""
        self.source_sum = (self.source_sum + int.from_bytes(wanted)) % _MODULUS
        if ours is not None:
            self.our_sum = (self.our_sum + int.from_bytes(ours)) % _MODULUS
        self.same += ours == wanted

    @property
    def is_whole(self) -> bool:
        """Whether every row of the source is accounted for and holds what it should."""
        counted = self.same + self.changed_here + self.left_out
        return not self.is_unread and self.in_source == self.read == counted and self.source_sum == self.our_sum

    @property
    def hashes(self) -> tuple[str, str]:
        """The two sums, short enough to be compared by eye."""
        return f"{self.source_sum:064x}"[-_SHOWN:], f"{self.our_sum:064x}"[-_SHOWN:]
