"""What patients are asked to agree to: each purpose, and the version of its words that is in force."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

#: A patient's words may be read, and photos seen, by a model outside this system.
OUTSIDE_MODEL: Final = "outside_model"
#: New words need a new version here, and a new consent of everybody: one to earlier words lets nothing out any more.
#: Those of OUTSIDE_MODEL stand in edge/templates/chat.html.
IN_FORCE: Final[Mapping[str, str]] = {OUTSIDE_MODEL: "2026-11-26.2"}
_DIGITS: Final = 10  # of the digest of who reads along


def in_force(readers: Sequence[str]) -> Mapping[str, str]:
    """Each purpose with its version: that of the words and, where others read along, of who they are and where.

    readers tells each company's model as exactly as an operator can change it. Whoever agreed to one company or country
    did not agree to another, so with other readers the version is another, and everybody is asked anew.
    """
    words = IN_FORCE[OUTSIDE_MODEL]
    if not readers:
        return IN_FORCE
    named = hashlib.sha256("\n".join(sorted(readers)).encode()).hexdigest()[:_DIGITS]
    return {**IN_FORCE, OUTSIDE_MODEL: f"{words}.{named}"}
