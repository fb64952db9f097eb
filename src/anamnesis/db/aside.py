"""What a take-over kept whole in the tables ``legacy_*``, each row a JSON document, sealed as one. Pure.

Erasure looks there for rows that name somebody, and cannot look into an envelope: what names anybody stands beside it.
"""

import json
import re
from collections.abc import Container
from typing import Final

from anamnesis.db.encryption import SealedTable

PREFIX: Final = "legacy_"
IDS: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
#: What names an account, known here or not: an address of e-mail, an id of Clerk's.
_ACCOUNT: Final = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}|user_[A-Za-z0-9]{1,64}")


def aside(name: str) -> SealedTable:
    """The table of this name, unquoted."""
    return SealedTable(name, "key", documents=("row",), key="key")


def names_in(row: str, accounts: Container[str]) -> list[str]:
    """What of a row's JSON erasure may look for: every id, and every string that is an account's e-mail or Clerk id.

    Strings stand as JSON has them, in quotes. accounts are the e-mails and Clerk ids that are known here.
    """
    found = set(IDS.findall(row))
    for token in set(_STRINGS.findall(row)):
        text = json.loads(token)
        if text in accounts or _ACCOUNT.fullmatch(text):
            found.add(json.dumps(text, ensure_ascii=False))
    return sorted(found)
