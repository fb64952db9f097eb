"""Clean text from outside: from people, models, files and forms alike."""

import re
import unicodedata
from typing import Final

#: C0 controls but tab and newline, DEL, and what PostgreSQL and terminals choke on.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_LONE_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


def clean(text: str) -> str:
    """The same words in a form every part of the system can hold: NFC, newlines as one character, no controls.

    NUL and other C0 controls except tab and newline are dropped, a lone surrogate becomes U+FFFD.
    Cleaning what is clean changes nothing.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    whole = _LONE_SURROGATES.sub(_REPLACEMENT, _CONTROLS.sub("", lines))
    return unicodedata.normalize("NFC", whole)
