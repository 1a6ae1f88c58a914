"""Step 4: users are divided into groups, and a share of them is forwarded.

A user is wholly in or wholly out, on every node and for good (spec/connections.md, 2.1;
spec/rules.md, 9).
"""

from hashlib import sha256

from actors.model.batches import StoredBatch
from actors.model.workspaces import UserSplit
from actors.pipeline.candidate import Candidate, Step
from actors.pipeline.settings import Sampling

BUCKETS = 10_000


def bucket(salt: str, subject: int | str) -> int:
    """Return the bucket of a user, below `BUCKETS`."""
    digest = sha256(f"{salt}:{subject}".encode()).digest()
    return int.from_bytes(digest[:8]) % BUCKETS


def subject_of(stored: StoredBatch) -> int | str:
    """Return whom a batch is counted for: the user, else the device, else the batch alone."""
    if stored.mpid is not None:
        return stored.mpid
    return stored.batch.mp_deviceid or stored.batch.batch_id


def group_of(split: UserSplit, stored: StoredBatch) -> str:
    """Return the group that a batch's user belongs to."""
    place = bucket(split.id, subject_of(stored))
    return next(name for name, end in split.groups if place < end)


def of_group(group: str) -> Step:
    """Make the step that lets one group of the input's split through."""

    def check_group(candidate: Candidate) -> str | None:
        is_of_group = candidate.outgoing["context"]["user_split"]["group"] == group
        return None if is_of_group else "split"

    return check_group


def sampled(sampling: Sampling) -> Step:
    """Make the step that lets a share of the users through."""
    salt, end = sampling.salt, sampling.hundredths

    def check_sample(candidate: Candidate) -> str | None:
        return None if bucket(salt, subject_of(candidate.stored)) < end else "sampled_out"

    return check_sample
