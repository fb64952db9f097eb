"""Remake the list of common English words that the reader takes as written, from SCOWL's small word lists.

apt-get install wamerican-small wbritish-small
PYTHONPATH=src python scripts/english.py /usr/share/dict/american-english-small /usr/share/dict/british-english-small
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import fill
from typing import Final

from anamnesis.clinical.spelling import Spelling
from anamnesis.content import load_content

LIST: Final = Path("src/anamnesis/content/lexicon/english.toml")
_SHORTEST: Final = 5
_BRITISH: Final = ((r"(?<=[iy])z", "s"), (r"ae", "e"), (r"our(?=(?:s|ed|ing|less|ite)?$)", "or"), (r"ll", "l"))
#: English words all the same, but in a message about one's health more likely a slip of a word of danger.
SLIPS_OF_DANGER: Final = frozenset(
    [
        "awaked", "awoken", "breading", "breadth", "breadths", "breed", "breeding", "breeds", "breached",
        "breaches", "breaching", "brunt", "busting", "busts", "coked", "couched", "couching", "dehydrates",
        "dysentery", "feint", "feinted", "feinting", "feints", "fiver", "frostbitten", "frostbiting",
        "grasping", "grasps", "herniae", "kerosine", "knifed", "overdo", "overdoes", "pelves", "placentae",
        "recta", "ruptures", "sever", "severer", "severs", "stinting", "stints", "straggle", "straggled",
        "straggling", "stroked", "stubbed", "stubbing", "stubs", "vaginae",
    ]
)  # fmt: skip
HEAD: Final = """\
# Common English words that one slip, or a space left out, would make words of the lexicon: "prison" is no poison.
# Draft: no clinician has reviewed it. A word here is read as written; its own plural or tense is not listed.
# Made by scripts/english.py, which says how to remake it, from the small word lists of SCOWL (Debian packages
# wamerican-small and wbritish-small); words likelier to be a slip of a word of danger are left out by hand.
# SCOWL: Copyright 2000-2011 by Kevin Atkinson. Permission to use, copy, modify, distribute and sell these word lists,
# the associated scripts, the output created from the scripts, and its documentation for any purpose is hereby granted
# without fee, provided that the above copyright notice appears in all copies and that both that copyright notice and
# this permission notice appear in supporting documentation. Kevin Atkinson makes no representations about the
# suitability of this array for any purpose. It is provided "as is" without express or implied warranty.
status = "draft"
not_typos = [
"""


def common(lists: Iterable[Path]) -> set[str]:
    """The lower-case words of the lists that are long enough to be put right."""
    words = {word for each in lists for word in each.read_text(encoding="utf-8").split()}
    return {word for word in words if len(word) >= _SHORTEST and word.isascii() and word.isalpha() and word.islower()}


def misread(words: Iterable[str], spelling: Spelling) -> Iterator[str]:
    """The words that spelling would change into others, which are no forms of themselves."""
    for word in sorted(words):
        spelt = spelling.spell(word)
        if word not in SLIPS_OF_DANGER and not (len(spelt) == 1 and is_form(word, spelt[0])):
            yield word


def is_form(word: str, other: str) -> bool:
    """Whether two words are one: its plural, its past, or its British spelling."""
    short, long = sorted((word, other), key=len)
    return long in {short, f"{short}d"} or (long == f"{short}s" and short[-1] != "s") or british(word) == british(other)


def british(word: str) -> str:
    """A word without what parts British from American spelling."""
    for one, another in _BRITISH:
        word = re.sub(one, another, word)
    return word


def written(words: Iterable[str]) -> str:
    """The file's text."""
    listed = fill(", ".join(f'"{word}"' for word in words), 118, initial_indent="  ", subsequent_indent="  ")
    return f"{HEAD}{listed},\n]\n"


def main() -> None:
    """Empty the list, so that it does not hide what it is for, and write it anew."""
    if not sys.argv[1:]:
        sys.exit(f"Nothing was changed: name the word lists.\n{__doc__}")
    LIST.write_text(f"{HEAD}]\n", encoding="utf-8")
    spelling = load_content().lexicon.spelling
    LIST.write_text(written(misread(common(map(Path, sys.argv[1:])), spelling)), encoding="utf-8")


if __name__ == "__main__":
    main()
