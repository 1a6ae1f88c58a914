"""Byte layout of every key. All numbers are big-endian, so that byte order is their order.

    shard          "last_id", "probe", "written " scope u16
    profiles       slot u16 | scope u16 | environment u8 | mpid u64        (two's complement)
    identities     16 bytes of hash; the first two are the slot
    duplicates     slot u16 | 16 bytes of hash
    log            log id u64
    outbox         connection u32 | sequence u64
    dead_letters   connection u32 | sequence u64
    dead_ids       connection u32 | delivery id, ASCII; of letters with an id that another has,
                   NUL | sequence u64 behind it
    pending_batches  connection u32 | 16 bytes of hash of the device
    pending_parts  connection u32 | number u64 of the batch | sequence u64
    pending_due    ms u64 | the pending batch's key
    trail          the profile's key | number u64
    erased         slot u16 | 16 bytes of hash
    static_lists   audience u32 | the profile's key
    scores         the profile's key | prediction u32
    member_counts  audience u32 | span u32
    copies         the profile's key | ms u64 | log id u64 of the batch that was copied
    copy_progress  slot u16 of the destination | number of the alias u64
    aliases        "n" number u64, "p" number u64, "r" 16 bytes of hash,
                   "m" environment u8 | mpid u64 | number u64, "last"

A slot is 16 bits of a key's hash; an MPID carries its slot in the upper 16 of its lower 53 bits.
"""

import hashlib
import struct
from collections.abc import Mapping

from actors.model.profiles import ProfileKey
from actors.model.workspaces import Environment

SLOTS = 1 << 16
MPID_RANDOM_BITS = 37  # 53 bits that JavaScript keeps, less the 16 of the slot

_PROFILE = struct.Struct(">HHBQ")
_U64 = struct.Struct(">Q")
_OUTBOX = struct.Struct(">IQ")
_MICRO_BATCH = struct.Struct(">QB")
_COPY_END = struct.Struct(">QQ")
_PROGRESS = struct.Struct(">HQ")
_ALIAS_MEMBER = struct.Struct(">BQ")
_ENVIRONMENT_CODE: dict[Environment, int] = {"production": 0, "development": 1}
_U64_MASK = (1 << 64) - 1


def slot_of_mpid(mpid: int) -> int:
    """Return the slot that owns a profile; defined for every 64-bit MPID, also negative ones."""
    return (mpid >> MPID_RANDOM_BITS) & 0xFFFF


def slot_of_hash(digest: bytes) -> int:
    """Return the slot of a key whose hash this is."""
    return digest[0] << 8 | digest[1]


def shard_of_slot(slot: int, shards: int) -> int:
    """Return which of `shards` shards owns a slot: each owns one run of neighbouring slots."""
    return slot * shards >> 16


def identity_key(scope: int, environment: Environment, identity_type: str, value: str) -> bytes:
    """Return the 16-byte key of an identity; `value` in its canonical form."""
    text = f"{scope}\0{_ENVIRONMENT_CODE[environment]}\0{identity_type}\0{value}"
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def profile_key(key: ProfileKey) -> bytes:
    """Return the key of a profile."""
    return _PROFILE.pack(
        slot_of_mpid(key.mpid), key.scope, _ENVIRONMENT_CODE[key.environment], key.mpid & _U64_MASK
    )


def profile_key_parts(key: bytes) -> ProfileKey:
    """Return which profile a key is of."""
    _slot, scope, code, mpid = _PROFILE.unpack(key)
    environment: Environment = "development" if code else "production"
    return ProfileKey(scope, environment, mpid - (1 << 64) if mpid >> 63 else mpid)


def unattributed_digest(api_key: str, kind: str, upload_id: str) -> bytes:
    """Return the hash that places a batch that belongs to nobody, by the sender's own id of it."""
    return hashlib.blake2b(f"{api_key}\0{kind}\0{upload_id}".encode(), digest_size=16).digest()


def duplicate_key(slot: int, api_key: str, kind: str, upload_id: str, mpid: int | None) -> bytes:
    """Return the deduplication key of an upload (spec/events-api.md, 5.4).

    Args:
        slot: where the batch belongs.
        api_key: that it came with.
        kind: `request_id` or `batch_id`: two name spaces.
        upload_id: the sender's id.
        mpid: an id that is used for another user's batch names another batch.
    """
    text = f"{api_key}\0{kind}\0{upload_id}\0{mpid}"
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return slot.to_bytes(2, "big") + digest


def sent_digest(first: bytes, identities: Mapping[str, str]) -> bytes:
    """Return slot u16 | 16 bytes of hash of the identities that a batch was sent with.

    Args:
        first: key of the one that comes first in the order of priority; its slot is that of all.
        identities: IDSync type to value, in any order.
    """
    text = "\0".join([f"{kind}\0{identities[kind]}" for kind in sorted(identities)])
    return first[:2] + hashlib.blake2b(first + text.encode(), digest_size=16).digest()


def repeat_key(sent: bytes, api_key: str, kind: str, upload_id: str) -> bytes:
    """Return the deduplication key of an upload by its identities, whoever has them.

    Args:
        sent: what `sent_digest` returns of them; the others as of `duplicate_key`.
    """
    text = f"{api_key}\0{kind}\0{upload_id}\0".encode() + sent
    return sent[:2] + hashlib.blake2b(text, digest_size=16).digest()


def log_key(log_id: int) -> bytes:
    """Return the key of a stored batch."""
    return _U64.pack(log_id)


def log_id_of(key: bytes) -> int:
    """Return the log id of a stored batch's key."""
    return int.from_bytes(key, "big")


def outbox_key(connection: int, sequence: int) -> bytes:
    """Return the key of a delivery or of a dead letter."""
    return _OUTBOX.pack(connection, sequence)


def dead_id_key(connection: int, delivery_id: str) -> bytes:
    """Return the key by which a dead letter is found."""
    return connection.to_bytes(4, "big") + delivery_id.encode()


def further_dead_id_key(key: bytes, sequence: int | None = None) -> bytes:
    """Return the key of a dead letter whose id another has; without a sequence, how all begin."""
    prefix = key + b"\0"
    return prefix if sequence is None else prefix + _U64.pack(sequence)


def pending_key(connection: int, environment: Environment, mpid: int, device: str | None) -> bytes:
    """Return the key of what is collected of one user on one device, or on none that is known."""
    text = f"{_ENVIRONMENT_CODE[environment]}\0{mpid}\0{'' if device is None else device}"
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    return connection.to_bytes(4, "big") + digest


def pending_part_key(connection: int, number: int, sequence: int | None = None) -> bytes:
    """Return the key of a part of a pending batch; without a sequence, how all of them begin."""
    prefix = _OUTBOX.pack(connection, number)
    return prefix if sequence is None else prefix + _U64.pack(sequence)


def pending_due_key(due_ms: int, pending: bytes) -> bytes:
    """Return the key by which a pending batch (its key) is found when it is due."""
    return _U64.pack(due_ms) + pending


def pending_due_parts(key: bytes) -> tuple[int, bytes]:
    """Return (when in ms, key of the pending batch) of a key of `pending_due_key`."""
    return int.from_bytes(key[:8], "big"), key[8:]


def micro_batch_key(edge: int, place: int) -> bytes:
    """Return the key of one place of an edge's ring of remembered micro-batches."""
    return _MICRO_BATCH.pack(edge, place)


def copy_key(key: ProfileKey, newest_ms: int, log_id: int) -> bytes:
    """Return the key of a copied batch: of the same copy always the same.

    Args:
        key: of the profile that has it now.
        newest_ms: time of the newest event that was copied.
        log_id: of the batch that it was copied from.
    """
    return profile_key(key) + _COPY_END.pack(newest_ms, log_id)


def copy_key_parts(key: bytes) -> tuple[int, int]:
    """Return (time of the newest event in ms, log id of the source's batch) of a copy's key."""
    newest_ms, log_id = _COPY_END.unpack(key[-_COPY_END.size :])
    return newest_ms, log_id


def copy_progress_key(destination_mpid: int, number: int) -> bytes:
    """Return the key under which a destination's shard keeps how far an alias has come."""
    return _PROGRESS.pack(slot_of_mpid(destination_mpid), number)


def alias_key(number: int) -> bytes:
    """Return the key of an alias."""
    return b"n" + _U64.pack(number)


def pending_alias_key(number: int) -> bytes:
    """Return the key that says of an alias that it waits."""
    return b"p" + _U64.pack(number)


def alias_request_key(environment: Environment, request_id: str) -> bytes:
    """Return the key by which a repeated request is known."""
    text = f"{_ENVIRONMENT_CODE[environment]}\0{request_id}"
    return b"r" + hashlib.blake2b(text.encode(), digest_size=16).digest()


def alias_member_key(environment: Environment, mpid: int, number: int | None = None) -> bytes:
    """Return the key by which an MPID's alias is found; without a number, how all of them begin."""
    prefix = b"m" + _ALIAS_MEMBER.pack(_ENVIRONMENT_CODE[environment], mpid & _U64_MASK)
    return prefix if number is None else prefix + _U64.pack(number)
