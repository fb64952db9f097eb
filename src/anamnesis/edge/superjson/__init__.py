"""superjson 2.2.6, both ways.

Written from the observed wire format of the genuine package; its recorded vectors are replayed in the tests.
"""

from anamnesis.edge.superjson.reading import decode
from anamnesis.edge.superjson.restoring import BadEnvelope
from anamnesis.edge.superjson.text import BYTE_ORDER_MARK, TooDeep, json_text, parse_json
from anamnesis.edge.superjson.writing import Unencodable, envelope, iso, plain

__all__ = [
    "BYTE_ORDER_MARK",
    "BadEnvelope",
    "TooDeep",
    "Unencodable",
    "decode",
    "envelope",
    "iso",
    "json_text",
    "parse_json",
    "plain",
]
