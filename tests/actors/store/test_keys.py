"""Keys: their bytes, their order, and the slots that they belong to."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model.profiles import ProfileKey
from actors.model.workspaces import ENVIRONMENTS
from actors.store.keys import (
    MPID_RANDOM_BITS,
    SLOTS,
    dead_id_key,
    duplicate_key,
    further_dead_id_key,
    identity_key,
    log_id_of,
    log_key,
    micro_batch_key,
    outbox_key,
    profile_key,
    profile_key_parts,
    repeat_key,
    sent_digest,
    shard_of_slot,
    slot_of_hash,
    slot_of_mpid,
)

u32 = st.integers(min_value=0, max_value=(1 << 32) - 1)
u64 = st.integers(min_value=0, max_value=(1 << 64) - 1)
mpids = st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1)
slots = st.integers(min_value=0, max_value=SLOTS - 1)
shard_counts = st.integers(min_value=1, max_value=64)
profile_keys = st.builds(
    ProfileKey, st.integers(min_value=0, max_value=0xFFFF), st.sampled_from(ENVIRONMENTS), mpids
)


@pytest.mark.parametrize(
    ("mpid", "slot"),
    [
        pytest.param(1, 0, id="smallest"),
        pytest.param((1 << 37) - 1, 0, id="last of the first slot"),
        pytest.param(1 << 37, 1, id="first of the second slot"),
        pytest.param((1 << 53) - 1, 0xFFFF, id="greatest that JavaScript keeps"),
        pytest.param(1 << 53, 0, id="bits above 53 do not count"),
        pytest.param(-1, 0xFFFF, id="minus one: all bits set"),
        pytest.param(-(1 << 37), 0xFFFF, id="negative, in the last slot"),
        pytest.param(-(1 << 63), 0, id="smallest of all"),
    ],
)
def test_the_slot_of_an_mpid_is_the_upper_16_of_its_lower_53_bits(mpid: int, slot: int) -> None:
    """spec/identity.md, 1, MPID; signed values in two's complement."""
    assert slot_of_mpid(mpid) == slot


@given(slots, st.integers(min_value=0, max_value=(1 << MPID_RANDOM_BITS) - 1))
def test_an_mpid_can_be_drawn_in_any_slot(slot: int, rest: int) -> None:
    """A new MPID lies in the slot of the identity that it is made for."""
    assert slot_of_mpid(slot << MPID_RANDOM_BITS | rest) == slot


@given(mpids, shard_counts)
def test_every_mpid_has_a_slot_and_every_slot_a_shard(mpid: int, count: int) -> None:
    """spec/identity.md, 1: an MPID is a signed 64-bit integer."""
    assert 0 <= slot_of_mpid(mpid) < SLOTS
    assert 0 <= shard_of_slot(slot_of_mpid(mpid), count) < count


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 1024])
def test_each_shard_owns_one_run_of_about_as_many_slots_as_the_others(count: int) -> None:
    """No shard is without slots, and the runs differ by one slot at most."""
    owners = [shard_of_slot(slot, count) for slot in range(SLOTS)]
    sizes = Counter(owners).values()
    assert owners == sorted(owners)
    assert set(owners) == set(range(count))
    assert max(sizes) - min(sizes) <= 1


@given(profile_keys)
def test_a_profile_key_says_which_profile_it_is_of(key: ProfileKey) -> None:
    """It begins with the slot, by which it moves to another shard."""
    packed = profile_key(key)
    assert profile_key_parts(packed) == key
    assert len(packed) == 13
    assert slot_of_hash(packed) == slot_of_mpid(key.mpid)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(identity_key(8, "production", "email", "a@b.c"), id="another scope"),
        pytest.param(identity_key(7, "development", "email", "a@b.c"), id="another environment"),
        pytest.param(identity_key(7, "production", "other", "a@b.c"), id="another type"),
        pytest.param(identity_key(7, "production", "email", "A@b.c"), id="another value"),
    ],
)
def test_pools_and_types_are_apart_in_the_index(other: bytes) -> None:
    """spec/identity.md, V14, and 1: an identity is (type, value)."""
    assert identity_key(7, "production", "email", "a@b.c") != other


def test_an_identity_keeps_its_key_over_releases() -> None:
    """A key that is hashed in another way finds nothing of what is stored."""
    key = identity_key(7, "production", "email", "ann@example.com")
    assert key.hex() == "59e634156252adffc50e0e960433a926"
    digest = duplicate_key(0, "key-1", "batch_id", "12", 5)
    assert digest.hex() == "00006ee8dfe72307801c91b6d6c5e3acf9de"
    sent = sent_digest(key, {"email": "ann@example.com"})
    assert (
        repeat_key(sent, "key-1", "batch_id", "12").hex() == "59e69c41a4c953785b96e43314287b460834"
    )


@given(st.text(max_size=4096))
def test_a_key_of_an_identity_has_16_bytes_whatever_the_value(value: str) -> None:
    """LMDB takes keys of up to 511 bytes, an identity has up to 4096 characters."""
    assert len(identity_key(1, "production", "other", value)) == 16


@given(st.integers(0, SLOTS - 1), st.text(), mpids | st.none())
def test_an_upload_is_remembered_where_its_batch_lies(
    slot: int, upload_id: str, mpid: int | None
) -> None:
    """So that it moves with it to another shard."""
    assert slot_of_hash(duplicate_key(slot, "key-1", "request_id", upload_id, mpid)) == slot


@given(st.binary(min_size=16, max_size=16), st.dictionaries(st.text(), st.text()), st.text())
def test_an_upload_is_remembered_where_its_first_identity_lies(
    first: bytes, identities: dict[str, str], upload_id: str
) -> None:
    """So that it moves with it to another shard."""
    sent = sent_digest(first, identities)
    assert slot_of_hash(sent) == slot_of_hash(first)
    key = repeat_key(sent, "key-1", "request_id", upload_id)
    assert (slot_of_hash(key), len(key)) == (slot_of_hash(first), 18)


def test_uploads_differ_by_identities_in_any_order() -> None:
    """spec/events-api.md, 5.4."""
    both = {"email": "ann", "customerid": "bob"}
    others = [{"email": "ann"}, {"email": "bob", "customerid": "ann"}, {"other": "ann"}, {}]
    sent = [sent_digest(bytes(16), each) for each in (both, *others)]
    sent.append(sent_digest(bytes(15) + b"1", both))
    keys = {
        repeat_key(each, api_key, kind, request_id)
        for each in sent
        for api_key in ("key-1", "key-2")
        for kind in ("request_id", "batch_id")
        for request_id in ("1", "2")
    }
    assert len(keys) == 48
    assert sent_digest(bytes(16), dict(reversed(both.items()))) == sent[0]


def test_uploads_differ_by_key_kind_id_and_user() -> None:
    """spec/events-api.md, 5.4."""
    keys = {
        duplicate_key(0, api_key, kind, request_id, mpid)
        for api_key in ("key-1", "key-2")
        for kind in ("request_id", "batch_id")
        for request_id in ("1", "2")
        for mpid in (None, 0, 5, -5)
    }
    assert len(keys) == 32


@given(st.tuples(u32, u64), st.tuples(u32, u64))
def test_deliveries_lie_by_connection_and_then_in_the_order_of_their_sequence(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    """Byte order is the order of the numbers."""
    assert outbox_key(*one).startswith(one[0].to_bytes(4, "big"))
    assert (outbox_key(*one) < outbox_key(*other)) == (one < other)


@given(u64, u64)
def test_log_keys_lie_in_the_order_of_the_ids(one: int, other: int) -> None:
    """So that the log can be appended to."""
    assert log_id_of(log_key(one)) == one
    assert (log_key(one) < log_key(other)) == (one < other)


def test_an_id_of_a_dead_letter_and_a_place_in_a_ring_have_their_bytes() -> None:
    """The layout of the module's docstring, and the ring's."""
    key = dead_id_key(258, "dl_a")
    assert key.hex() == "00000102" + b"dl_a".hex()
    assert further_dead_id_key(key, 15).hex() == key.hex() + "00" + "000000000000000f"
    assert micro_batch_key(1, 15).hex() == "0000000000000001" + "0f"
