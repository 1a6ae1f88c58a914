"""The aliases of a deployment, in the coordinator's store: what waits, and what was decided.

They are kept for good: whether a later one may be applied depends on all that were.
"""

from collections.abc import Iterator

import msgspec

from actors.identity.aliases import Alias
from actors.identity.calls import AliasRequest
from actors.model.workspaces import Environment
from actors.store.environment import Transaction
from actors.store.keys import (
    alias_key,
    alias_member_key,
    alias_request_key,
    pending_alias_key,
)

REPEAT_MS = 7 * 24 * 60 * 60 * 1000  # spec/identity.md, 10.1
_NUMBER_BYTES = 8
_LAST = b"last"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Alias)


def accept(txn: Transaction, request: AliasRequest) -> bool:
    """Keep a request as a pending alias; return whether it is new.

    Args:
        txn: of the coordinator.
        request: one with the id of another of its environment within 7 days is not new.
    """
    by_request = alias_request_key(request.environment, request.request_id)
    earlier = txn.get("aliases", by_request)
    if earlier is not None:
        known = read(txn, _number(earlier)).request
        is_same = known.request_id == request.request_id
        if is_same and request.received_ms - known.received_ms <= REPEAT_MS:
            return False
    number = _number(txn.get("aliases", _LAST) or b"\0") + 1
    txn.put("aliases", _LAST, number.to_bytes(_NUMBER_BYTES, "big"))
    write(txn, Alias(number, request))
    txn.put("aliases", by_request, number.to_bytes(_NUMBER_BYTES, "big"))
    for mpid in (request.source_mpid, request.destination_mpid):
        txn.put("aliases", alias_member_key(request.environment, mpid, number), b"")
    return True


def write(txn: Transaction, alias: Alias) -> None:
    """Write what an alias has come to."""
    txn.put("aliases", alias_key(alias.number), _encoder.encode(alias))
    if alias.state == "pending":
        txn.put("aliases", pending_alias_key(alias.number), b"")
    else:
        txn.delete("aliases", pending_alias_key(alias.number))


def read(txn: Transaction, number: int) -> Alias:
    """Return an alias that exists."""
    encoded = txn.get("aliases", alias_key(number))
    if encoded is None:
        raise KeyError(number)
    return _decoder.decode(encoded)


def is_kept(txn: Transaction, number: int) -> bool:
    """Tell whether an alias is there, and was not forgotten."""
    return txn.get("aliases", alias_key(number)) is not None


def pending(txn: Transaction) -> Iterator[Alias]:
    """Yield what waits, in the order of acceptance."""
    for key, _ in txn.scan("aliases", prefix=pending_alias_key(0)[:1]):
        yield read(txn, _number(key))


def of_mpid(txn: Transaction, environment: Environment, mpid: int) -> list[Alias]:
    """Return the aliases that name an MPID, in the order of acceptance."""
    prefix = alias_member_key(environment, mpid)
    return [read(txn, _number(key)) for key, _ in txn.scan("aliases", prefix=prefix)]


def is_waiting(txn: Transaction, environment: Environment, mpid: int) -> bool:
    """Tell whether an alias that names an MPID is still to be applied."""
    return any(each.state == "pending" for each in of_mpid(txn, environment, mpid))


def forget(txn: Transaction, environment: Environment, mpid: int) -> int:
    """Delete the aliases that name an MPID; return how many there were."""
    found = of_mpid(txn, environment, mpid)
    for alias in found:
        request = alias.request
        txn.delete("aliases", alias_key(alias.number))
        txn.delete("aliases", pending_alias_key(alias.number))
        by_request = alias_request_key(environment, request.request_id)
        if _number(txn.get("aliases", by_request) or b"\0") == alias.number:
            txn.delete("aliases", by_request)
        for each in (request.source_mpid, request.destination_mpid):
            txn.delete("aliases", alias_member_key(environment, each, alias.number))
    return len(found)


def _number(key: bytes) -> int:
    return int.from_bytes(key[-_NUMBER_BYTES:], "big")
