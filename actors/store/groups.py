"""The tables of group identity (spec/identity.md, 13). Numbers are big-endian.

    group_candidates   definition u32 | run u64 | key of the profile       -> value of its group
    group_partials     definition u32 | run u64 | environment u8 | value   -> `Partial`
    group_values       likewise                                            -> attribute to value
    group_members      likewise | mpid u64, sign bit flipped               -> nothing

A value is ASCII, filled up with zero bytes to 32. Candidates and partials live only during a run.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from actors.groups.runs import Progress
from actors.model.batches import AttributeText
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.store.environment import Table, Transaction

_RUN = struct.Struct(">IQ")
_GROUP = struct.Struct(">IQB32s")
_MEMBER = struct.Struct(">IQB32sQ")
_SIGN = 1 << 63
_PROGRESS = b"groups_progress"

Values = dict[str, AttributeText]


class Partial(Struct, array_like=True):
    """What is aggregated of some members: how many, and attribute to state."""

    members: int
    states: dict[str, Any]


class Member(NamedTuple):
    """One member of one group."""

    environment: Environment
    value: str
    mpid: int


_encode = msgspec.msgpack.Encoder().encode
decode_partial = msgspec.msgpack.Decoder(Partial).decode
decode_values = msgspec.msgpack.Decoder(Values).decode
_decode_progress = msgspec.msgpack.Decoder(Progress).decode


def run_prefix(definition: int, run: int) -> bytes:
    """Return what the keys of one definition in one run begin with."""
    return _RUN.pack(definition, run)


def group_key(definition: int, run: int, environment: Environment, value: str) -> bytes:
    """Return the key of a group's partial and values, with which those of its members begin."""
    return _GROUP.pack(definition, run, ENVIRONMENTS.index(environment), value.encode())


def definition_of(key: bytes) -> int:
    """Return the definition that a key of any of the tables belongs to."""
    definition: int = _RUN.unpack_from(key)[0]
    return definition


def value_of(key: bytes) -> str:
    """Return the value in the key of a group or member."""
    padded: bytes = _GROUP.unpack_from(key)[3]
    return padded.rstrip(b"\0").decode()


def member_key(group: bytes, mpid: int) -> bytes:
    """Return the key of a member, by the key of its group."""
    return group + (mpid + _SIGN).to_bytes(8, "big")


def member_of(key: bytes) -> Member:
    """Return whom the key of a member names."""
    _, _, environment, value, mpid = _MEMBER.unpack(key)
    return Member(ENVIRONMENTS[environment], value.rstrip(b"\0").decode(), mpid - _SIGN)


def group_of_member(key: bytes) -> bytes:
    """Return the key of a member's group."""
    return key[: _GROUP.size]


def candidate_of(key: bytes) -> bytes:
    """Return the key of the profile that the key of a candidate names."""
    return key[_RUN.size :]


def scan_runs(
    txn: Transaction, table: Table, bounds: list[tuple[int, int]], start: bytes = b""
) -> Iterator[bytes]:
    """Yield the keys of definitions' runs before a bound each, from `start` on, in order.

    Args:
        bounds: (definition, first run that is not wanted), ascending.
    """
    for definition, bound in bounds:
        end = run_prefix(definition, bound)
        for key, _ in txn.scan(table, start=start, prefix=end[:4]):
            if key >= end:
                break
            yield key


def put_partial(txn: Transaction, key: bytes, partial: Partial) -> None:
    """Write the aggregate of a shard's members of a group."""
    txn.put("group_partials", key, _encode(partial))


def encode_values(values: Values) -> bytes:
    """Encode the values of a group's attributes."""
    return _encode(values)


def read_progress(txn: Transaction) -> Progress:
    """Return how far this shard is; done with nothing if it never ran."""
    encoded = txn.get("meta", _PROGRESS)
    return Progress() if encoded is None else _decode_progress(encoded)


def write_progress(txn: Transaction, progress: Progress) -> None:
    """Keep how far this shard is."""
    txn.put("meta", _PROGRESS, _encode(progress))
