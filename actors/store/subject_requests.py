"""Data subject requests of a workspace, in the coordinator's store (spec/privacy.md, 3).

    "r" id                          the request
    "g" 16 bytes of hash, id        by group
    "s" fingerprint                 id of the unfinished request that asks for the same
    "d" ms u64, id                  by when it is fulfilled -> `Open`
    "n" ms u64, id                  by when somebody is told something
    "t" ms u64, id                  by receipt
    "x" ms u64, id                  by when it is forgotten
    "e" ms u64, id                  by when its result is deleted

An id is a UUID in its 36 characters.
"""

import hashlib
import itertools
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from actors.privacy.requests import UNFINISHED, RequestType, Status, SubjectRequest
from actors.store.environment import Transaction

KEPT_MS = 365 * 24 * 3600 * 1000  # after the end (spec/privacy.md, 8)
GROUP_PAGE = 200  # a few ms, for which the coordinator does nothing else
_ID_BYTES = 36
MOMENTS_END_MS = 2**63


class Open(Struct, frozen=True, array_like=True):
    """What is shown of an unfinished request: there may be very many."""

    type: RequestType
    status: Status
    received_ms: int
    expected_ms: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(SubjectRequest)
_open_decoder = msgspec.msgpack.Decoder(Open)


def write(txn: Transaction, request: SubjectRequest) -> None:
    """Write a request in the place of what it was before, with all by which it is found."""
    former = read(txn, request.id)
    places = _places(request)
    if former is not None:
        for key in _places(former).keys() - places.keys():
            txn.delete("subject_requests", key)
    for key, value in places.items():
        txn.put("subject_requests", key, value)
    txn.put("subject_requests", b"r" + request.id.encode(), _encoder.encode(request))


def read(txn: Transaction, request_id: str) -> SubjectRequest | None:
    """Return a request, `None` if there is none of that id."""
    own = request_id.encode("utf-8", "replace")
    if len(own) != _ID_BYTES:  # whatever was asked for
        return None
    encoded = txn.get("subject_requests", b"r" + own)
    return None if encoded is None else _decoder.decode(encoded)


def existing(txn: Transaction, request_id: str) -> SubjectRequest:
    """Return a request that there is."""
    request = read(txn, request_id)
    if request is None:
        raise KeyError(request_id)
    return request


def of_group(txn: Transaction, group: str, after: str) -> list[SubjectRequest]:
    """Return the next requests of a group, at most `GROUP_PAGE`, in the order of their ids.

    `after`: the last id that was returned, at first an empty text.
    """
    prefix = _group_key(group)
    start = prefix + after.encode() + b"\0" if after else prefix
    found = itertools.islice(txn.scan("subject_requests", start=start, prefix=prefix), GROUP_PAGE)
    return [_found(txn, key) for key, _ in found]


def same(txn: Transaction, fingerprint: bytes) -> str | None:
    """Return the id of the unfinished request with a fingerprint, `None` if there is none."""
    found = txn.get("subject_requests", b"s" + fingerprint)
    return None if found is None else found.decode()


def due(txn: Transaction, now_ms: int) -> Iterator[SubjectRequest]:
    """Yield the unfinished requests whose run has come, in its order."""
    yield from _until(txn, b"d", now_ms)


def to_be_told(
    txn: Transaction, now_ms: int, after: bytes, limit: int
) -> list[tuple[bytes, SubjectRequest]]:
    """Return the next requests of which somebody is to be told something by now.

    Each with its key, for `after`, which is empty at first.
    """
    found: list[tuple[bytes, SubjectRequest]] = []
    start = after + b"\0" if after else b"n"
    for key, _ in txn.scan("subject_requests", start=start, prefix=b"n"):
        if _moment(key) > now_ms or len(found) == limit:
            break
        found.append((key, _found(txn, key)))
    return found


def told_from(at_ms: int) -> bytes:
    """Return an `after` that all comes behind of which somebody is to be told from a time on."""
    return _timed(b"n", at_ms, b"")


def unfinished(txn: Transaction) -> Iterator[tuple[str, Open]]:
    """Yield (id, what is to be shown) of the unfinished requests, in the order of their runs."""
    for key, encoded in txn.scan("subject_requests", prefix=b"d"):
        yield key[-_ID_BYTES:].decode(), _open_decoder.decode(encoded)


def forgettable(txn: Transaction, now_ms: int) -> Iterator[SubjectRequest]:
    """Yield the requests that have been kept for long enough."""
    yield from _until(txn, b"x", now_ms)


def with_results(txn: Transaction, until_ms: int | None = None) -> Iterator[SubjectRequest]:
    """Yield the requests that have results; those that expire up to a time, if one is given."""
    yield from _until(txn, b"e", MOMENTS_END_MS if until_ms is None else until_ms)


def forget(txn: Transaction, now_ms: int) -> None:
    """Delete the requests that have been kept for long enough."""
    for request in list(forgettable(txn, now_ms)):
        for key in _places(request):
            txn.delete("subject_requests", key)
        txn.delete("subject_requests", b"r" + request.id.encode())


def received_since(txn: Transaction, start_ms: int) -> list[int]:
    """Return when the requests were received that came since, oldest first."""
    start = b"t" + start_ms.to_bytes(8, "big")
    found = txn.scan("subject_requests", start=start, prefix=b"t")
    return [_moment(key) for key, _ in found]


def _until(txn: Transaction, prefix: bytes, now_ms: int) -> Iterator[SubjectRequest]:
    for key, _ in txn.scan("subject_requests", prefix=prefix):
        if _moment(key) > now_ms:
            return
        yield _found(txn, key)


def _places(request: SubjectRequest) -> dict[bytes, bytes]:
    """Return the keys by which a request is found, beside its id."""
    own = request.id.encode()
    places = {_timed(b"t", request.received_ms, own): b""}
    if request.sent.group is not None:
        places[_group_key(request.sent.group) + own] = b""
    if request.status in UNFINISHED:
        places[b"s" + request.fingerprint] = own
        opened = Open(
            request.sent.type, request.status, request.received_ms, request.expected_ms or 0
        )
        places[_timed(b"d", request.due_ms, own)] = _encoder.encode(opened)
    else:
        places[_timed(b"x", request.changed_ms + KEPT_MS, own)] = b""
    if request.result is not None and not request.result.is_gone:
        places[_timed(b"e", request.result.expires_ms, own)] = b""
    if (told_ms := request.next_notice_ms) is not None:
        places[_timed(b"n", told_ms, own)] = b""
    return places


def _timed(prefix: bytes, moment_ms: int, own: bytes) -> bytes:
    return prefix + moment_ms.to_bytes(8, "big") + own


def _moment(key: bytes) -> int:
    return int.from_bytes(key[1:9], "big")


def _group_key(group: str) -> bytes:
    return b"g" + hashlib.blake2b(group.encode(), digest_size=16).digest()


def _found(txn: Transaction, key: bytes) -> SubjectRequest:
    return existing(txn, key[-_ID_BYTES:].decode())
