"""Runs with faults, one after the other, on one deployment."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.clock import Clock
from load_tests.client import Target
from load_tests.faults.aftermath import damages, leaks, planted
from load_tests.faults.checks import Checker, Found, summed
from load_tests.faults.clients import FULL, Clients, NotAcknowledged
from load_tests.faults.document import HOOKS, workspace_document
from load_tests.faults.inflict import Inflictor
from load_tests.faults.kept import SHARDS, KeptDeployment, NotServing
from load_tests.faults.moves import Mover
from load_tests.faults.plan import Fault, deaths_of, plan_of
from load_tests.faults.probes import Probes
from load_tests.faults.receivers import EventLog, FaultyReceiver, MemberLog
from load_tests.faults.record import Record
from load_tests.faults.totals import Totals
from load_tests.faults.watch import Watch
from load_tests.reader import ReadBackFailed, Reader, fetch_token
from load_tests.server_process import own_access

_PROBES = 20
# After a run a batch may take so many times what it took before, and some milliseconds, as other
# work on the machine does.
SLOWER, SLOWER_S = 3.0, 0.05


class FaultsOptions(Struct, frozen=True, kw_only=True):
    """How to run.

    Attributes:
        seconds: of load in each run.
        patience_s: that everything may take to be acknowledged, and then to arrive.
        renew: runs after which all of a deployment are checked once more and a new one begins.
        has_disk: the folder is on a disk of its own, to be filled.
        has_moves: slots move between the shards all the time, while processes die.
    """

    seed: int
    runs: int
    seconds: float
    patience_s: float
    renew: int
    has_disk: bool
    has_moves: bool = False


class RunResult(Struct, kw_only=True):
    """One run.

    Attributes:
        missed: those of them whose victim was away just then, and a full disk for whose sake
            nothing was refused.
        refused: how often requests were answered 429 or 503, by why.
        repeats: batches sent again after they had been acknowledged.
        cuts: requests that clients broke off.
        longest_wait_s: from the first attempt of a batch until it was acknowledged.
        starts: of the deployment meanwhile.
        first_s, before_s, after_s: the median time of a batch without faults, with the shard that
            took longest: before the first run of the deployment, before this one and after it.
        load_s, settle_s, check_s: what the run took: until all was acknowledged, until the
            deployment was whole and as fast as before, and until all was read back.
        passes: how often slots have moved.
    """

    seed: int
    faults: list[Fault]
    missed: list[Fault] = []
    acknowledged: int
    repeats: int
    refused: dict[str, int] = {}
    cuts: int = 0
    starts: int = 0
    longest_wait_s: float
    first_s: float
    before_s: float
    after_s: float
    load_s: float = 0.0
    settle_s: float = 0.0
    check_s: float = 0.0
    found: Found
    passes: int = 0

    @property
    def is_fast_again(self) -> bool:
        """Whether batches take as long as before, also before all runs of the deployment."""
        return _is_as_fast(self.after_s, self.first_s, self.before_s)

    @property
    def has_ended_itself(self) -> bool:
        """Whether the deployment ended although no fault that hit somebody ends it."""
        befell = (each for each in self.faults if each not in self.missed)
        return self.starts > 0 and not any(each.ends_deployment for each in befell)

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        return self.found.is_clean and self.is_fast_again and not self.has_ended_itself


class Runner:
    """One deployment with its outputs, on which runs are made."""

    def __init__(self, options: FaultsOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._logs = {name: EventLog() for name in HOOKS}
        self._members = MemberLog()
        self._receivers = [FaultyReceiver(log.take) for log in self._logs.values()]
        self._receivers.append(FaultyReceiver(self._members.take))
        self._records: list[Record] = []
        self._first_s: float | None = None
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
        """Make one run; if not all is acknowledged in time, that alone is what is found.

        Args: `seed`: of no other run of the deployment, as its users would be the same.
        """
        kept, options = self.kept, self._options
        assert kept is not None, "nothing serves"
        assert all(each.seed != seed for each in self._records), "its users are there already"
        record = Record(seed)
        self._records.append(record)
        if options.has_moves:
            faults = deaths_of(seed, options.seconds)
        else:
            faults = plan_of(seed, options.seconds, has_disk=options.has_disk)
        clients = Clients(kept.target, record, self._clock, seed, options.patience_s)
        probes = Probes(clients, record, self._clock, SHARDS)
        watch = Watch(clients, record, self._clock)
        inflictor = Inflictor(kept, self._receivers, self._clock, watch.look)
        fills = [each for each in faults if each.kind == "disk"]
        found, starts = Found(details=[]), kept.starts
        moments, before_s, after_s = [self._clock.monotonic()], 0.0, 0.0
        mover = Mover(kept.target, kept.admin, own_access(), seed)
        try:
            before_s = after_s = await probes.speed_s(_PROBES)
            self._first_s = before_s if self._first_s is None else self._first_s
            async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
                if options.has_moves:
                    moving = asyncio.create_task(mover.run())
                    stack.push_async_callback(_cancel, moving)
                if fills:
                    await watch.begin(await stack.enter_async_context(self._reader()))
                group.create_task(clients.run(options.seconds))
                group.create_task(inflictor.run(faults))
            await watch.end()
            found = summed((found, watch.found))
            moments.append(self._clock.monotonic())
            wrong = await kept.whole(options.patience_s)
            found.add("orphans", bool(wrong), wrong)
            after_s = await self._speed_again(probes, before_s)
            moments.append(self._clock.monotonic())
        except* NotAcknowledged as errors:
            for what in _said(errors):
                found.add("failed", 1, f"never acknowledged: {what}")
        except* (NotServing, ReadBackFailed) as errors:
            found.add("failed", 1, "; ".join(_said(errors)))
        if not found.failed:
            found = summed((found, await self._check([record])))
        found.add("orphans", len(kept.orphans), "; ".join(kept.orphans))
        kept.orphans.clear()
        moments += [self._clock.monotonic()] * (4 - len(moments))
        return RunResult(
            seed=seed,
            faults=faults,
            missed=inflictor.missed + ([] if record.refused[FULL] else fills),
            acknowledged=record.acknowledged,
            repeats=record.repeats,
            refused=dict(record.refused),
            cuts=record.cuts,
            starts=kept.starts - starts,
            longest_wait_s=record.longest_wait_s,
            first_s=self._first_s or 0.0,
            before_s=before_s,
            after_s=after_s,
            load_s=moments[1] - moments[0],
            settle_s=moments[2] - moments[1],
            check_s=moments[3] - moments[2],
            found=found,
            passes=mover.passes,
        )

    async def check_all(self) -> Found:
        """Check once more what the earlier runs have left, and the totals of all of them."""
        found = await self._check(self._records)
        if not found.failed:
            found = summed((found, await self._check_totals()))
        return found

    async def look_back(self) -> Found:
        """Check what the deployment, which has ended, has stored and printed."""
        assert self.kept is not None, "nothing has served"
        texts = itertools.chain([("its output", self.printed())], self.kept.logs.texts())
        return summed(
            (
                await asyncio.to_thread(damages, self.kept.data_dir),
                await asyncio.to_thread(leaks, texts, planted(self._records)),
            )
        )

    def orphans(self) -> list[str]:
        """Return the names of processes that outlived the deployment, since the last run."""
        return self.kept.orphans if self.kept is not None else []

    def printed(self) -> str:
        """Return what the deployment has printed."""
        return self.kept.server.text() if self.kept is not None else ""

    async def _speed_again(self, probes: Probes, before_s: float) -> float:
        """Measure until batches are as fast as before and at first, or patience ends."""
        assert self._first_s is not None, "it is measured before"
        deadline_s = self._clock.monotonic() + self._options.patience_s
        while True:
            after_s = await probes.speed_s(_PROBES)
            is_fast = _is_as_fast(after_s, self._first_s, before_s)
            if is_fast or self._clock.monotonic() > deadline_s:
                return after_s

    async def _check(self, records: Sequence[Record]) -> Found:
        assert self.kept is not None, "nothing serves"
        found = []
        try:
            await self.kept.up()
            async with self._reader() as reader:
                for record in records:
                    checker = Checker(record, reader, self._logs, self._members)
                    found.append(await checker.run(self._options.patience_s))
        except (NotServing, ReadBackFailed) as error:
            found.append(Found(failed=1, details=[f"failed: {error}"]))
        return summed(found)

    async def _check_totals(self) -> Found:
        assert self.kept is not None, "nothing serves"
        try:
            async with self._reader() as reader, self._reader(self.kept.admin) as admin:
                return await Totals(self._records, reader, admin).check(self._options.patience_s)
        except ReadBackFailed as error:
            return Found(failed=1, details=[f"failed: {error}"])

    @asynccontextmanager
    async def _reader(self, port: Target | None = None) -> AsyncIterator[Reader]:
        """Read from a port, the edges' if none is given."""
        assert self.kept is not None, "nothing serves"
        target, access = self.kept.target, own_access()
        token = await fetch_token(target, access)
        with contextlib.closing(Reader(port or target, access, token)) as one:
            yield one


def _is_as_fast(after_s: float, *before_s: float) -> bool:
    return all(after_s <= each * SLOWER + SLOWER_S for each in before_s)


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _said(error: BaseException) -> list[str]:
    """Return what the errors of a group, and of those in it, say."""
    if isinstance(error, BaseExceptionGroup):
        return [what for each in error.exceptions for what in _said(each)]
    return [str(error)]
