"""What a whole deployment shows at the end of its runs: sizes of audiences, and queues."""

import asyncio
from collections.abc import Sequence

from load_tests.faults.checks import Found
from load_tests.faults.document import HOOKS, THRESHOLDS, audience_id
from load_tests.faults.kept import SHARDS
from load_tests.faults.record import Record
from load_tests.reader import Reader

_LOOK_S = 0.2
# Connections of events, and a subscription for each audience.
_QUEUES = SHARDS * (len(HOOKS) + len(THRESHOLDS))


class Totals:
    """Compares counts over all users with the records of all runs of a deployment."""

    def __init__(self, records: Sequence[Record], reader: Reader, admin: Reader) -> None:
        """Args: `admin`: reads from the admin port."""
        self._records = records
        self._reader = reader
        self._admin = admin

    async def check(self, patience_s: float) -> Found:
        """Return what is wrong; what takes a moment more is waited for, for so long at most.

        Raises ReadBackFailed.
        """
        try:
            async with asyncio.timeout(patience_s):
                while not (found := await self._look()).is_clean:  # noqa: ASYNC110  # others settle
                    await asyncio.sleep(_LOOK_S)
                return found
        except TimeoutError:
            return await self._look()

    async def _look(self) -> Found:
        found = Found(details=[])
        sizes = await self._reader.audience_sizes()
        for name, right in members(self._records).items():
            shown = sizes.get(name)
            what = f"{name} has {shown} members, not {right}"
            found.add("lost", max(right - (shown or 0), int(shown is None)), what)
            found.add("doubled", max((shown or 0) - right, 0), what)
        queues = await self._admin.queues()
        found.add("left", abs(len(queues) - _QUEUES), f"{len(queues)} queues, not {_QUEUES}")
        for (shard, connection), each in queues.items():
            where = f"{connection} on shard {shard}"
            found.add("left", each.waiting, f"deliveries that wait for {where}")
            found.add("left", each.dead_letters, f"dead letters of {where}")
        return found


def members(records: Sequence[Record]) -> dict[str, int]:
    """Return how many members each audience has to have, by its id."""
    counts = [len(record.of_user(user)) for record in records for user in record.users]
    return {audience_id(least): sum(each >= least for each in counts) for least in THRESHOLDS}
