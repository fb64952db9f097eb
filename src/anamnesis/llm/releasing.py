"""What of a growing answer may be shown before it is whole: sentences of its reply that passed every check.

Pure. The answer is JSON as it comes; only the text of its reply is looked at, and no sentence before its end. What a
sentence may not say ends the call, for nothing that follows could make it good.
"""

import re
from typing import Final

from pydantic_core import from_json

from anamnesis.llm.drafts import sayable
from anamnesis.llm.port import Hear, Prompt

#: A reply begins and ends long before; what is longer is read once, when it is whole.
_LONGEST_LOOKED_AT: Final = 8 * 1024
_END: Final = re.compile(r"[.!?][\"')\]”’]*\s|\n")


class Releasing:
    """Lets a reply out sentence by sentence while the answer around it grows."""

    def __init__(self, prompt: Prompt, show: Hear) -> None:
        """What may be shown of the reply is given to show, each time longer, or "" when it is taken back."""
        self._prompt, self._show = prompt, show
        self._answer, self._shown, self._end, self._is_whole = "", "", 0, False
        #: How many letters of the answer have come.
        self.heard = 0

    def hear(self, piece: str) -> None:
        """The next piece of the answer. Raises ReplyRefused."""
        self.heard += len(piece)
        if self._is_whole or len(self._answer) + len(piece) > _LONGEST_LOOKED_AT:
            self._is_whole = True
            return
        self._answer += piece
        reply, self._is_whole = reply_so_far(self._answer)
        end = len(reply) if self._is_whole else end_of_sentences(reply)
        if end > self._end:
            self._end = end
            self._release(sayable(self._prompt, reply[:end], is_whole=self._is_whole))

    def take_back(self) -> None:
        """What was shown does not stand."""
        if self._shown:
            self._release("")

    def _release(self, text: str) -> None:
        if text != self._shown:
            self._shown = text
            self._show(text)


def reply_so_far(answer: str) -> tuple[str, bool]:
    """The text of the reply in the beginning of an answer, without what may still change, and whether it is whole.

    "" where there is none, or where the beginning is not that of an object.
    """
    try:
        found = from_json(answer, allow_partial="trailing-strings")
        whole = from_json(answer, allow_partial=True)
    except ValueError:
        return "", False
    reply = found.get("reply") if isinstance(found, dict) else None
    return (reply, "reply" in whole) if isinstance(reply, str) else ("", False)


def end_of_sentences(reply: str) -> int:
    """Where the last sentence that is over ends; 0 before the first. No end inside a quotation counts."""
    ends = (match.end() for match in _END.finditer(reply))
    return max((end for end in ends if reply.count("“", 0, end) <= reply.count("”", 0, end)), default=0)
