"""What a bare loop takes to read all that a back-fill reads, and to write all that it writes."""

import msgspec

from actors.audience_changes import SLICE
from actors.model.profiles import ProfileKey
from actors.shard import Shard
from actors.store import log
from actors.store.keys import log_key, profile_key
from actors.store.profiles import decode_profile
from load_tests.backfill.results import Floor
from load_tests.steady import CpuClock

_USERS = 20_000  # at most

_encode = msgspec.msgpack.Encoder().encode


def measure_floor(shard: Shard, log_ids: dict[int, list[int]], cpu: CpuClock) -> Floor:
    """Read and decode batches, and read and write profiles as they are.

    Args:
        shard: nobody in it is hot.
        log_ids: of the batches of users, by MPID.
        cpu: tells the time.
    """
    mpids = list(log_ids)[:_USERS]
    keys = [log_key(each) for mpid in mpids for each in log_ids[mpid]]
    scope = shard.options.workspace.scope
    profiles = [profile_key(ProfileKey(scope, "production", mpid)) for mpid in mpids]
    with shard.store.read() as txn:
        begun = cpu()
        for key in keys:
            txn.get("log", key)
        read = cpu()
        for key in keys:
            log.decode(txn.get("log", key) or b"")
        decoded = cpu()
    for start in range(0, len(profiles), SLICE):
        with shard.store.write() as txn:
            for key in profiles[start : start + SLICE]:
                profile = decode_profile(txn.get("profiles", key) or b"")
                txn.put("profiles", key, _encode(profile))
    written = cpu()
    read_s, write_s = read - begun, written - decoded
    per_user = 1e6 / len(mpids)
    return Floor(
        read_us=read_s * per_user,
        decode_us=(decoded - read - read_s) * per_user,
        write_us=write_s * per_user,
    )
