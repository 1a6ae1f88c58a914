"""By what an upload that comes again is known (spec/events-api.md, 5.4).

It is kept under whose it is, so that the same id of one user is the same upload whatever it is sent
with. Whose a batch is can change: what an anonymous user sent is somebody else's once the device
has a user. So it is also kept under the identities that it was sent with, where the profile lives
with the first of them.
"""

from collections.abc import Sequence

from actors.steps.work import Work
from actors.store.keys import (
    duplicate_key,
    repeat_key,
    slot_of_hash,
    slot_of_mpid,
    unattributed_digest,
)

Ids = Sequence[tuple[str, str]]  # kind and value of each id that the sender gave the upload
Keys = list[bytes]  # deduplication key of each of them


def keys_of_owner(work: Work, ids: Ids, mpid: int | None) -> Keys:
    """Return the keys of an upload by whose it is; `None`: nobody's. It has to have ids.

    A batch that belongs to nobody lies where its first id says, so of one with both ids another
    one with the same `batch_id` alone is not seen to be a repeat.
    """
    api_key = work.context.api_key
    if mpid is None:
        slot = slot_of_hash(unattributed_digest(api_key, *ids[0]))
    else:
        slot = slot_of_mpid(mpid)
    return [duplicate_key(slot, api_key, kind, name, mpid) for kind, name in ids]


def keys_as_sent(work: Work, ids: Ids) -> Keys:
    """Return the keys of an upload by its identities; none where this shard does not keep them."""
    sent = work.sent
    if sent is None:
        return []
    api_key = work.context.api_key
    return [repeat_key(sent, api_key, kind, name) for kind, name in ids]
