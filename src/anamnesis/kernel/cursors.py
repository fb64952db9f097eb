"""Where the next page of a numbered list begins, in a form nobody is tempted to make up."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from anamnesis.kernel.errors import refused

#: A bigint has at most nineteen digits, and the letter stands before them.
_LONGEST: Final = 20
#: Before it stands every number there is.
LAST: Final = 2**62


@dataclass(frozen=True, slots=True)
class Cursors:
    """The cursors of one kind of list; its letter tells them from those of another."""

    letter: str

    def of(self, seq: int) -> str:
        """The cursor of the page before this number."""
        return urlsafe_b64encode(f"{self.letter}{seq}".encode()).decode().rstrip("=")

    def seq(self, cursor: str) -> int:
        """The number a cursor stands for. Raises BadInput for what is not one of ours."""
        try:
            text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
            if text[:1] == self.letter and len(text) < _LONGEST:
                return int(text[1:])
        except ValueError:
            pass
        raise refused((("cursor",), "This cursor is not one of ours. Start again without it."))
