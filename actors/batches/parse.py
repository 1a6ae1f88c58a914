"""JSON text to plain values, with what spec/events-api.md, 3.2 asks of it."""

import re
from typing import Any

import orjson

from actors.errors import BatchRejected, Problem

MAX_DEPTH = 64

BOM = b"\xef\xbb\xbf"
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TO_BRACES = bytes.maketrans(b"[]", b"{}")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ESCAPE = re.compile(
    rb"\\(?:"
    rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})"  # half of one
    rb"|.)",
    re.DOTALL,
)


def parse_json(raw: bytes) -> Any:
    """Parse one JSON text.

    A byte order mark is skipped and of duplicate names the last wins. Integers outside
    [-2**63, 2**64) come back as floats. An escaped half of a surrogate pair, which some clients
    make by cutting a string, becomes U+FFFD: everything returned can be encoded as UTF-8.

    Raises:
        BatchRejected: not JSON, or nested deeper than 64 levels; one problem, without a path.
    """
    raw = raw.removeprefix(BOM)
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        try:
            value = orjson.loads(mended(raw))
        except orjson.JSONDecodeError as error:
            raise _not_json(str(error)) from None
    if is_too_deep(raw):
        raise _not_json(f"nested deeper than {MAX_DEPTH} levels")
    return value


def _not_json(reason: str) -> BatchRejected:
    return BatchRejected([Problem(f"Request body is not valid JSON: {reason}.")])


def mended(raw: bytes) -> bytes:
    """Return a text with U+FFFD in the place of each escaped half of a surrogate pair."""
    return _ESCAPE.sub(_mended, raw)


def _mended(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape[1] is None else rb"\ufffd"


def is_too_deep(raw: bytes) -> bool:
    """Tell whether a well-formed text nests too deep; nearly always decided by two counts."""
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return False
    braces = _STRING.sub(b"", raw).translate(_TO_BRACES, _NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not braces:
            return False
        braces = braces.replace(b"{}", b"")  # takes away the innermost level of each branch
    return bool(braces)
