"""The real coordinator and real shards in one process, in a time of its own that a seed decides.

Nothing waits: when nobody has anything to do, the clock goes to the next thing that is due. Calls
between the actors are encoded, delayed, reordered, lost, repeated or left without an answer; actors
die between any two steps of the event loop and are started again on what they left on disk. The
same plan and seed give the same history.
"""

import asyncio
import logging
import pickle
import random
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from actors.errors import ShardUnavailable
from actors.identity.findings import Findings, Question
from actors.identity.index import Index
from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRules
from actors.model.micro_batches import Accepted, Newcomer
from actors.model.profiles import ProfileKey
from actors.model.workspaces import Environment
from actors.shard import Shard
from actors.shard_views import ShardViews
from actors.store.environment import Store
from actors.store.erased import is_erased
from actors.store.identities import IdentityChange, Term
from actors.store.keys import (
    shard_of_slot,
    slot_of_mpid,
)
from actors.store.resharding import reshard
from actors.store.slots import Slots, even
from actors.store.trail import TrailEntry
from tests.actors.coordinators import LoneCoordinator
from tests.actors.identity.clockwork import Clockwork, LoopClock, SeededRandomness
from tests.actors.identity.disk import (
    Entries,
    Profiles,
    Records,
    check,
    read_entries,
    read_profiles,
    read_records,
)
from tests.actors.profiles.builders import WORKSPACE
from tests.actors.shards import item, micro, open_shard

MAP_SIZE_BYTES = 16 * 1024 * 1024
SCOPE = WORKSPACE.scope
# Thousands of commits wait for no disk where there is a folder in memory.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
CALL_TIMEOUT_S = 10.0
ResultT = TypeVar("ResultT")


class Faults(msgspec.Struct, frozen=True):
    """How often, out of a hundred calls, something happens to one."""

    lost: int = 0
    unanswered: int = 0  # done, and then no answer
    late: int = 0  # the caller has given up when it is done
    repeated: int = 0  # done once more, later
    slow: int = 0  # a hundred times as long under way


FAULTLESS = Faults()


class ShardLine:
    """A shard as one run of the coordinator sees it."""

    def __init__(self, world: "SimulatedWorld", number: int, run: "Run") -> None:
        self._world = world
        self._number = number
        self._run = run

    async def read_identities(
        self, term: Term, questions: Sequence[Question], candidates: Sequence[int]
    ) -> Findings:
        found: Findings = await self._call("read_identities", term, questions, candidates)
        return found

    async def write_identities(
        self, term: Term, write: int, changes: Sequence[IdentityChange]
    ) -> None:
        self._world.note_erasures(changes)
        await self._call("write_identities", term, write, changes)

    async def trail(self, environment: Environment, mpid: int) -> list[TrailEntry]:
        found: list[TrailEntry] = await self._call("trail", environment, mpid)
        return found

    async def _call(self, method: str, *arguments: Any) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._run.may_send:
            self._world.send(self._number, method, pickle.dumps(arguments), answer)
        return await answer


class _Newcomers:
    """What a shard says of newcomers, between two micro-batches."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def newcomer(self, environment: Environment, names: list[IdentityName]) -> Newcomer | None:
        with self._shard.store.read() as txn:
            return self._shard.identities.newcomer(environment, names, txn)


class Run:
    """One process of the coordinator."""

    def __init__(self) -> None:
        self.may_send = True
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class SimulatedWorld:
    """Shards and a coordinator that can be stopped and started; to be used inside its loop."""

    def __init__(
        self,
        loop: Clockwork,
        folder: Path,
        shards: int,
        rules: IdentityRules,
        seed: int,
        faults: Faults,
        mpids: int,
    ) -> None:
        self.loop = loop
        self.faults = faults
        self.calls = 0  # between coordinator and shards
        self._uploads = 0
        self._erasing: set[tuple[Environment, int]] = set()
        self._folder = folder
        self._rules = rules
        self._random = random.Random(seed)
        self._mpids = mpids
        self._write_delay_s: float | None = 0.0
        self._findings_delays_s = [0.0] * shards
        self._clock = LoopClock(loop)
        self.shards: list[Shard | None] = [None] * shards
        self._generation = 0  # how often there was another number of shards
        for number in range(shards):
            self._open_shard(number)
        self.is_up = asyncio.Event()  # the coordinator
        self._store: Store | None = None
        self.coordinator: LoneCoordinator | None = None
        self.run = Run()
        self.open_coordinator()

    # -- Starting and stopping --------------------------------------------------------------------

    def _open_shard(self, number: int) -> None:
        if self.shards[number] is None:
            self.shards[number] = open_shard(
                self._shard_folders()[number],
                number,
                len(self.shards),
                clock=self._clock,
                randomness=SeededRandomness(self._random, self._mpids),
            )

    def _shard_folders(self) -> list[Path]:
        folder = self._folder / f"shards-{self._generation}"
        return [folder / str(number) for number in range(len(self.shards))]

    def crash_shard(self, number: int, down_s: float) -> None:
        """Let a shard's process die, and start again."""
        shard = self.shards[number]
        if shard is not None:
            shard.state.close()
            self.shards[number] = None
            self.loop.call_later(down_s, self._open_shard, number)

    def open_coordinator(self) -> None:
        """Start the coordinator, unless it runs."""
        if self.coordinator is not None:
            return
        self.run = Run()
        self._store = Store(self._folder / "coordinator", MAP_SIZE_BYTES)
        self.coordinator = LoneCoordinator(
            self._store,
            [ShardLine(self, number, self.run) for number in range(len(self.shards))],
            SCOPE,
            self._rules,
            100,
            self._clock,
            SeededRandomness(self._random, self._mpids),
        )
        self.coordinator.start()
        self.is_up.set()

    def crash_coordinator(self, down_s: float, *, is_undead: bool = False) -> None:
        """Let the coordinator's process die, and start again.

        `is_undead`: it goes on with all that needs no store, while the next one starts.
        """
        coordinator, store = self.coordinator, self._store
        if coordinator is None or store is None:
            return
        self.coordinator = None
        self.is_up.clear()
        if is_undead:
            store.close()
        else:
            self.run.may_send = False
            coordinator.close()
        self.run.ended.set_result(None)
        self.loop.call_later(down_s, self.open_coordinator)

    def move_to(self, shards: int) -> None:
        """Let all processes die, and start again with another number of shards."""
        self.crash_coordinator(0.0)
        for number in range(len(self.shards)):
            self.crash_shard(number, 0.0)
        old = self._shard_folders()
        self._generation += 1
        self.shards = [None] * shards
        self._findings_delays_s = [0.0] * shards
        reshard(old, self._shard_folders(), MAP_SIZE_BYTES)
        for number in range(shards):
            self._open_shard(number)

    def close(self) -> None:
        """Stop everything."""
        if self.coordinator is not None:
            self.coordinator.close()
        for shard in self.shards:
            if shard is not None:
                shard.state.close()

    def keep_copy(self) -> None:
        """Copy the store of the coordinator, which must be down."""
        shutil.copytree(self._folder / "coordinator", self._folder / "copy")

    def use_copy(self) -> None:
        """Put the copy in the place of the store of the coordinator, which must be down."""
        shutil.rmtree(self._folder / "coordinator")
        shutil.move(self._folder / "copy", self._folder / "coordinator")

    def hold_writes(self) -> None:
        """Have every write lost from now on."""
        self._write_delay_s = None

    def delay_writes(self, delay_s: float) -> None:
        """Have every write take so long from now on, and none be lost."""
        self._write_delay_s = delay_s

    def delay_findings(self, number: int, delay_s: float) -> None:
        """Have the answer of every read of a shard take so much longer from now on."""
        self._findings_delays_s[number] = delay_s

    def known(self) -> int:
        """Return how many entries and records the coordinator knows."""
        assert self.coordinator is not None
        return sum(each.size for each in self.coordinator._own_sequencer._states.values())

    def shard_of(self, identity: IdentityName) -> int:
        """Return the shard that owns an identity in production."""
        return Index(SCOPE, Slots(even(len(self.shards)))).shard_of(("production", identity))

    def draw(self, below: int) -> int:
        """Draw a number from the seed."""
        return self._random.randrange(below)

    # -- Calling ----------------------------------------------------------------------------------

    async def ask(
        self, question: Callable[[LoneCoordinator], Coroutine[Any, Any, ResultT]]
    ) -> ResultT:
        """Ask the coordinator; raises ShardUnavailable also if it dies or is not there."""
        coordinator, run = self.coordinator, self.run
        if coordinator is None:
            raise ShardUnavailable("the coordinator is not there")
        asking = self.loop.create_task(question(coordinator))
        both: set[asyncio.Future[Any]] = {asking, run.ended}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if run.ended.done():
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            raise ShardUnavailable("the coordinator has died")
        return asking.result()

    async def upload(self, mpid: int) -> None:
        """Send a batch of production that names an MPID: its profile is made if it is nobody's."""
        self._uploads += 1
        opened = {"event_type": "custom_event", "data": {"event_name": "Opened"}}
        body = {"environment": "production", "mpid": mpid, "events": [opened]}
        sent = pickle.dumps([micro(1, item(body), edge=self._uploads)])
        answer: asyncio.Future[Any] = self.loop.create_future()
        self.send(shard_of_slot(slot_of_mpid(mpid), len(self.shards)), "commit", sent, answer)
        [result] = await answer
        assert isinstance(result, Accepted), result

    async def newcomer(self, names: Sequence[IdentityName]) -> Newcomer | None:
        """Ask the shard of the first of some identities of production, as a batch does.

        The answer may be old when it comes, and does not if the shard cannot be reached.
        """
        answer: asyncio.Future[Any] = self.loop.create_future()
        sent = pickle.dumps(("production", list(names)))
        self.send(self.shard_of(names[0]), "newcomer", sent, answer)
        try:
            told: Newcomer | None = await answer
        except ShardUnavailable:
            return None
        return told

    def send(self, number: int, method: str, sent: bytes, answer: asyncio.Future[Any]) -> None:
        """Carry a call to a shard, or do to it what the faults are."""
        faults, draw = self.faults, self._random
        self.calls += 1
        fate = draw.randrange(100)
        delay = self._delay()
        if method == "write_identities":
            if self._write_delay_s is None:
                self.loop.call_later(delay, _set, answer, None, ShardUnavailable("held up"))
                return
            delay += self._write_delay_s
        unheard: asyncio.Future[Any] = self.loop.create_future()

        def give_up() -> None:
            if not answer.done():
                answer.set_exception(ShardUnavailable("no answer"))

        def deliver(to: asyncio.Future[Any], generation: int = self._generation) -> None:
            if generation != self._generation:
                return  # whom it was sent to is there no longer
            if (
                self.shards[number] is None
            ):  # being restarted: the call is repeated until it is there
                if not to.done():
                    self.loop.call_later(0.05, deliver, to)
                return
            self._deliver(number, method, sent, to)

        for name in ("lost", "unanswered", "late", "repeated"):
            fate -= getattr(faults, name)
            if fate < 0:
                break
        else:
            name = "fine"
        self.loop.call_later(CALL_TIMEOUT_S, give_up)
        if name == "lost":
            self.loop.call_later(delay, give_up)
        elif name == "unanswered":
            self.loop.call_later(delay, deliver, unheard)
            self.loop.call_later(delay + self._delay(), give_up)
        elif name == "late":
            self.loop.call_later(delay, give_up)
            self.loop.call_later(delay + self._delay() * draw.choice((1, 30)), deliver, unheard)
        else:
            self.loop.call_later(delay, deliver, answer)
            if name == "repeated":
                again = delay + self._delay() * draw.choice((1, 30))
                self.loop.call_later(again, deliver, unheard)

    def _deliver(self, number: int, method: str, sent: bytes, answer: asyncio.Future[Any]) -> None:
        shard = self.shards[number]
        assert shard is not None
        targets = {
            "trail": ShardViews(shard, self._clock),
            "commit": shard,
            "newcomer": _Newcomers(shard),
        }
        target = targets.get(method, shard.identities)
        try:
            result = pickle.loads(pickle.dumps(getattr(target, method)(*pickle.loads(sent))))
        except Exception as error:
            self.loop.call_later(self._delay(), _set, answer, None, error)
        else:
            more_s = self._findings_delays_s[number] if method == "read_identities" else 0.0
            self.loop.call_later(self._delay() + more_s, _set, answer, result, None)

    def _delay(self) -> float:
        delay = self._random.choice((0.0, 0.0001, 0.001, 0.001, 0.002, 0.005))
        return delay * 100 if self._random.randrange(100) < self.faults.slow else delay

    # -- What is on disk --------------------------------------------------------------------------

    def profiles(self) -> Profiles:
        """Return every profile, each found on the shard that owns it."""
        return read_profiles(self._stores())

    def records(self) -> Records:
        """Return the lookups of every profile."""
        return read_records(self._stores())

    def note_erasures(self, changes: Sequence[IdentityChange]) -> None:
        """Remember whose records may come to be erased: on disk there are hashes."""
        for change in changes:
            for record in change.records:
                if record.is_erased:
                    self._erasing.add((change.environment, record.mpid))

    def erased(self) -> set[tuple[Environment, int]]:
        """Return whose records were erased."""
        found, kept = set(), 0
        for number, store in enumerate(self._stores()):
            with store.read() as txn:
                kept += sum(1 for _ in txn.scan("erased"))
                for environment, mpid in self._erasing:
                    is_here = shard_of_slot(slot_of_mpid(mpid), len(self.shards)) == number
                    if is_here and is_erased(txn, ProfileKey(SCOPE, environment, mpid)):
                        found.add((environment, mpid))
        assert kept == len(found), "there are no others"
        return found

    def entries(self) -> Entries:
        """Return every entry of the index, each found on the shard that owns it."""
        return read_entries(self._stores(), SCOPE)

    def _stores(self) -> list[Store]:
        stores = [shard.store for shard in self.shards if shard is not None]
        assert len(stores) == len(self.shards), "a shard is down"
        return stores

    def trail(self, mpid: int) -> list[TrailEntry]:
        """Return what was done to a record of production."""
        shard = self.shards[shard_of_slot(slot_of_mpid(mpid), len(self.shards))]
        assert shard is not None
        return ShardViews(shard, self._clock).trail("production", mpid)

    def check(self) -> None:
        """Check V1, V2 and V10 of spec/identity.md over all shards."""
        check(self.entries(), self.records(), self._rules.login_ids, self._rules.unique_ids)


def simulate(
    shards: int,
    rules: IdentityRules,
    seed: int,
    story: Callable[[SimulatedWorld], Coroutine[Any, Any, ResultT]],
    faults: Faults = FAULTLESS,
    mpids: int = 1 << 20,
) -> ResultT:
    """Run a story in a new world to its end; of every slot, fewer than `mpids` MPIDs are drawn."""
    folder = Path(tempfile.mkdtemp(dir=MEMORY))
    loop = Clockwork()

    async def tell() -> ResultT:
        world = SimulatedWorld(loop, folder, shards, rules, seed, faults, mpids)
        try:
            return await story(world)
        finally:
            world.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

    try:
        return loop.run_until_complete(tell())
    finally:
        loop.close()
        shutil.rmtree(folder)


@contextmanager
def nothing_logged() -> Iterator[None]:
    """Fail if the actors log an error: something that they did not expect."""
    found = _Errors()
    logger = logging.getLogger("headwater.actors")
    logger.addHandler(found)
    try:
        yield
    finally:
        logger.removeHandler(found)
    assert not found.messages


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


def _set(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)
        answer.exception()  # it may be that nobody waits any more
