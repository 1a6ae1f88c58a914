"""Runs with faults, one after the other, on one deployment."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.clock import Clock, Randomness
from load_tests.client import Target
from load_tests.faults.checks import Checker, Found
from load_tests.faults.clients import Clients, NotAcknowledged
from load_tests.faults.document import HOOKS, workspace_document
from load_tests.faults.inflict import Inflictor
from load_tests.faults.kept import KeptDeployment
from load_tests.faults.plan import Fault, plan_of
from load_tests.faults.receivers import EventLog, FaultyReceiver, MemberLog
from load_tests.faults.record import Record
from load_tests.reader import Reader, fetch_token
from load_tests.server_process import own_access

_PROBES = 20
# After a run a batch may take so many times what it took before, and some milliseconds, as other
# work on the machine does.
SLOWER, SLOWER_S = 3.0, 0.05
_RUN_BITS = 32


class FaultsOptions(Struct, frozen=True, kw_only=True):
    """How to run.

    Attributes:
        seconds: of load in each run.
        patience_s: that everything may take to be acknowledged, and then to arrive.
        has_disk: the folder is on a disk of its own, to be filled.
    """

    seed: int
    runs: int
    seconds: float
    patience_s: float
    has_disk: bool


class RunResult(Struct, kw_only=True):
    """One run.

    Attributes:
        repeats: batches sent again after they had been acknowledged.
        longest_wait_s: from the first attempt of a batch until it was acknowledged.
        before_s, after_s: the median time of a batch without faults.
    """

    seed: int
    faults: list[Fault]
    acknowledged: int
    repeats: int
    longest_wait_s: float
    before_s: float
    after_s: float
    found: Found

    @property
    def is_fast_again(self) -> bool:
        """Whether batches take as long as before."""
        return self.after_s <= self.before_s * SLOWER + SLOWER_S

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return self.found.is_clean and self.is_fast_again


class Runner:
    """One deployment with its outputs, on which runs are made."""

    def __init__(self, options: FaultsOptions, clock: Clock, randomness: Randomness) -> None:
        self._options = options
        self._clock = clock
        self._randomness = randomness
        self._logs = {name: EventLog() for name in HOOKS}
        self._members = MemberLog()
        self._receivers = [FaultyReceiver(log.take) for log in self._logs.values()]
        self._receivers.append(FaultyReceiver(self._members.take))
        self.kept: KeptDeployment | None = None

    @asynccontextmanager
    async def serving(self, folder: Path) -> AsyncIterator[None]:
        """Run the deployment on a folder. Raises NotServing."""
        async with AsyncExitStack() as stack:
            for receiver in self._receivers:
                await receiver.start()
                stack.push_async_callback(receiver.stop)
            *events, members = [receiver.url for receiver in self._receivers]
            document = workspace_document(dict(zip(HOOKS, events, strict=True)), members)
            workspace = folder / "workspace.yaml"
            workspace.write_bytes(msgspec.json.encode(document))
            self.kept = kept = KeptDeployment(folder, workspace, self._clock)
            stack.push_async_callback(kept.end)
            await kept.begin()
            yield

    async def run(self, seed: int) -> RunResult:
        """Make one run.

        Raises:
            NotServing: the deployment did not come back.
            ReadBackFailed: its data cannot be read.
        """
        kept, options = self.kept, self._options
        assert kept is not None, "nothing serves"
        record = Record(seed, f"f{seed}-{self._randomness.bits(_RUN_BITS):08x}")
        faults = plan_of(seed, options.seconds, has_disk=options.has_disk)
        clients = Clients(kept.target, record, self._clock, seed, options.patience_s)
        found = Found(details=[])
        before_s = after_s = await clients.speed_s(_PROBES)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(clients.run(options.seconds))
                group.create_task(Inflictor(kept, self._receivers, self._clock).run(faults))
            await kept.up()
            after_s = await self._speed_again(clients, before_s)
        except* NotAcknowledged as errors:
            for what in _said(errors):
                found.add("lost", 1, f"never acknowledged: {what}")
        await kept.up()
        checked = await self._check(kept.target, record)
        for name in ("lost", "doubled", "disordered", "identities"):
            found.add(name, getattr(checked, name), "; ".join(checked.details))
        found.add("orphans", len(kept.orphans), "; ".join(kept.orphans))
        kept.orphans.clear()
        return RunResult(
            seed=seed,
            faults=faults,
            acknowledged=record.acknowledged,
            repeats=record.repeats,
            longest_wait_s=record.longest_wait_s,
            before_s=before_s,
            after_s=after_s,
            found=found,
        )

    async def _speed_again(self, clients: Clients, before_s: float) -> float:
        """Measure until batches are as fast as before, or patience ends."""
        deadline_s = self._clock.monotonic() + self._options.patience_s
        while True:
            after_s = await clients.speed_s(_PROBES)
            is_fast = after_s <= before_s * SLOWER + SLOWER_S
            if is_fast or self._clock.monotonic() > deadline_s:
                return after_s

    async def _check(self, target: Target, record: Record) -> Found:
        access = own_access()
        reader = Reader(target, access, await fetch_token(target, access))
        with contextlib.closing(reader):
            checker = Checker(record, reader, self._logs, self._members)
            return await checker.run(self._options.patience_s)


def _said(error: BaseException) -> list[str]:
    """Return what the errors of a group, and of those in it, say."""
    if isinstance(error, BaseExceptionGroup):
        return [what for each in error.exceptions for what in _said(each)]
    return [str(error)]
