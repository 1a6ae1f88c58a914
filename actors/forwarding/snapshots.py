"""When outputs that take all members of an audience at once are given them.

Of an audience that lives, at each multiple of the output's interval, and as it is connected; of a
standard one, whenever it is sent. What was missed while nothing ran is made up for once. The last
occasion is kept with the output; a crash may have it written twice, at an interval under one name.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

from actors.audiences.answers import MemberRow
from actors.audiences.calls import AudienceShard
from actors.audiences.member_pages import PAGE, pages_in_order
from actors.clock import Clock
from actors.forwarder import Forwarder
from actors.forwarding.foreign import parts
from actors.forwarding.looking import Trouble, look_for_ever
from actors.forwarding.subscriptions import Followed
from actors.outputs.contract import Delivered, Fatal, Refused
from actors.outputs.environment import OutputState
from actors.outputs.snapshots import Snapshot, SnapshotOutput

logger = logging.getLogger("headwater.forwarder")

GIVEN_UP_MS = 24 * 3600 * 1000
FIRST_WAIT_MS, LAST_WAIT_MS = 10_000, 900_000
PREFIX = "snapshot "  # of what is kept


class Snapshots:
    """Looks again and again whether a subscription is due, and sees to one after the other."""

    def __init__(
        self,
        output: str,
        shards: Mapping[int, Sequence[AudienceShard]],
        state: OutputState,
        clock: Clock,
    ) -> None:
        """Set up.

        Args:
            output: id of the output.
            shards: of all workspaces whose audiences it may be connected to, by number; 0 is the
                output's own.
            state: where the last occasions are kept.
            clock: of the occasions.
        """
        self._output = output
        self._shards = shards
        self._state = state
        self._clock = clock
        self._written: dict[str, bytes] | None = None  # until it was read
        self._failed: dict[int, tuple[int, int, int]] = {}  # how often, next when, since when

    async def run(self, forwarder: Forwarder) -> None:
        """Look for ever."""
        await look_for_ever(
            partial(self.step, forwarder),
            self._output,
            delayed=Trouble("snapshot_delayed", "a snapshot of an audience has to wait"),
            failed=Trouble("snapshot_failed", "snapshots failed; they are tried again"),
        )

    async def step(self, forwarder: Forwarder) -> None:
        """See to all that is due. Raises ShardUnavailable, StoreFull."""
        followed = forwarder.followed
        if followed is None:
            return
        if self._written is None:
            kept = await self._state.output_state(self._output)
            self._written = {name: each for name, each in kept.items() if name.startswith(PREFIX)}
        names = {PREFIX + each.info.id for each in followed}
        await self._keep(dict.fromkeys(self._written.keys() - names))
        for each in followed:
            output = forwarder.receivers.output_of(each)
            if isinstance(output, SnapshotOutput):
                await self._see_to(forwarder, each, output)

    async def _see_to(self, forwarder: Forwarder, each: Followed, output: SnapshotOutput) -> None:
        number, now_ms = each.info.number, self._clock.now_ms()
        assert self._written is not None, "step() has read it"
        occasion = self._occasion(each, output, now_ms)
        last = int(self._written.get(PREFIX + each.info.id, b"-1"))
        failed, next_ms, since_ms = self._failed.get(number, (0, 0, now_ms))
        if occasion <= last or now_ms < next_ms or not each.members_are_known:
            return
        digest = hashlib.sha256(f"{each.info.id} {occasion}".encode()).hexdigest()
        moment_ms = occasion if each.sends is None else now_ms
        snapshot = Snapshot(digest[:32], moment_ms, each.audience, each.name)
        outcome = await forwarder.receivers.write_snapshot(
            each, snapshot, self._pages(each, output.snapshot_identities)
        )
        if isinstance(outcome, Delivered):
            self._failed.pop(number, None)
            await self._keep({PREFIX + each.info.id: b"%d" % occasion})
        elif isinstance(outcome, Fatal | Refused):
            forwarder.receivers.disagree(number, Fatal(outcome.reason, outcome.excerpt))
        elif outcome is not None and now_ms - since_ms > GIVEN_UP_MS:
            self._failed.pop(number, None)
            forwarder.receivers.disagree(number, Fatal("retry_exhausted", outcome.excerpt))
        elif outcome is not None:
            wait_ms = min(FIRST_WAIT_MS * 2**failed, LAST_WAIT_MS)
            self._failed[number] = (failed + 1, now_ms + wait_ms, since_ms)
            logger.warning(
                "a snapshot of an audience could not be written; it is tried again",
                extra={
                    "event": "snapshot_delayed",
                    "output": self._output,
                    "connection": each.info.id,
                    "reason": outcome.excerpt,
                },
            )

    def _occasion(self, each: Followed, output: SnapshotOutput, now_ms: int) -> int:
        """Return what the newest occasion is called; a later one has a greater number."""
        if each.sends is not None:
            return each.sends or -1
        return now_ms - now_ms % output.snapshot_interval_ms

    def _pages(
        self, each: Followed, identities: tuple[str, ...]
    ) -> AsyncIterator[Sequence[MemberRow]]:
        workspace, number = parts(each.info.number)
        return pages_in_order(
            [
                partial(shard.export_subscribed, number, identities)
                for shard in self._shards[workspace]
            ],
            PAGE,
        )

    async def _keep(self, changes: Mapping[str, bytes | None]) -> None:
        if not changes:
            return
        assert self._written is not None, "step() has read it"
        await self._state.keep_output_state(self._output, changes)
        for name, value in changes.items():
            if value is None:
                self._written.pop(name, None)
            else:
                self._written[name] = value
