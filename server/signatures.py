"""Signed requests: HMAC-SHA256 over method, date, path and body.

Source: spec/identity.md, 4.2; spec/clients.md, 5.1, which knows more spellings of what is signed.
"""

import hmac
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256

# Parameters that Apple's SDK leaves out of what it signs.
_UNSIGNED = ("plan_id", "plan_version")

# How Android writes the device's zone.
_OFFSET_FROM_GMT = re.compile(r"GMT([+-]\d\d):(\d\d)$")


def is_signed(
    secret: bytes, signature: str, method: str, date: str, targets: Sequence[str], body: bytes
) -> bool:
    """Tell whether a signature is one of a request, comparing in constant time.

    Args:
        secret: of the key.
        signature: hexadecimal, in either case.
        method, date: as sent; `date` is the header's value, verbatim.
        targets: what may have been signed as the path; see `targets_of`.
        body: after decompression.
    """
    given = signature.lower().encode(errors="replace")
    is_one = False
    for target in targets:
        head = f"{method}\n{date}\n{target}".encode(errors="surrogateescape")  # as received
        expected = hmac.new(secret, head + body, sha256).hexdigest().encode()
        is_one |= hmac.compare_digest(given, expected)
    return is_one


def targets_of(raw_path: str, prefixes: Sequence[str]) -> list[str]:
    """Return what clients may have signed of a request target, each spelling once.

    SDKs sign the default path even where they are told to send to one below a prefix; Android's
    signs the query, Apple's all, a part, or nothing of it.

    Args:
        raw_path: path and query as received.
        prefixes: below which the path is served too.
    """
    path, mark, query = raw_path.partition("?")
    paths = [path, *(path[len(each) :] for each in prefixes if path.startswith(f"{each}/"))]
    endings = ["", mark + query, *_without_unsigned(query)]
    return list(dict.fromkeys(each + ending for each in paths for ending in endings))


def date_ms(date: str) -> int | None:
    """Read a date of ISO 8601, basic or extended, or RFC 1123.

    `None` if it is none of them, or its zone has a name whose offset is not known: Android writes
    the device's zone by any name, and several zones share one.
    """
    date = date.strip()
    try:
        moment = datetime.fromisoformat(date)
        is_utc = moment.tzinfo is None
    except ValueError:
        try:
            moment = parsedate_to_datetime(_OFFSET_FROM_GMT.sub(r"\1\2", date))
        except (ValueError, OverflowError):
            return None
        is_utc = date.endswith("-0000")  # UTC of a place that is not told, by RFC 5322
    if is_utc:
        moment = moment.replace(tzinfo=UTC)
    return None if moment.tzinfo is None else round(moment.timestamp() * 1000)


def _without_unsigned(query: str) -> Iterator[str]:
    parts = query.split("&")
    kept = [part for part in parts if part.partition("=")[0] not in _UNSIGNED]
    if kept and len(kept) < len(parts):
        yield "?" + "&".join(kept)
