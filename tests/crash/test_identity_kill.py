"""Identity calls while processes are killed (spec/identity.md, race tables and invariants).

HEADWATER_KILL_S: for how long X14 kills, 60 s if it is not set. HEADWATER_KILL_SEED: of X14.
"""

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import psutil  # type: ignore[import-untyped]
import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from actors.clock import SystemClock
from actors.store.environment import Store
from actors.store.folder import DataFolder
from tests.actors.identity.disk import Entries, Records, check, read_entries, read_records
from tests.serving import WORKSPACE, Served

pytestmark = pytest.mark.ray

USERS = 1000
SAME_CALLS = 3  # sent at once
GROUPS_AT_ONCE = 8
CALLS_AT_ONCE = 32
KILL_EVERY_S = 2.0
KILL_FOR_S = float(os.environ.get("HEADWATER_KILL_S", "60"))
MOMENTS = (0.1, 0.4, 0.8)  # of the time that calls take: when everything is killed
IN_FLIGHT = 30
LOOK_UP_EVERY = 5  # users; all of them are looked at on disk
PATIENCE_S = 120.0
PAUSE_S = 0.2
SCOPE = 1
MAP_SIZE_BYTES = 2**30
POOL = f"/platform/identity/{SCOPE}/production"
KEY = {"x-mp-key": "us1-test-web-key"}
DEVICE = "device_application_stamp"

T = TypeVar("T")
Known = dict[str, str]
Running = list[asyncio.Task[None]]


class Kill(NamedTuple):
    """Who was killed, and how many calls had been answered by then."""

    role: str
    answered: int


def document(strategy: str) -> str:
    """Return a workspace with a strategy and without a limit of identity calls."""
    limits = "  limits:\n"
    assert limits in WORKSPACE
    identity = f"identity: {{strategy: {strategy}}}\n"
    unlimited = limits + "    identity_requests_per_second: 0\n"
    return WORKSPACE.replace(limits, unlimited) + identity


@contextmanager
def serving(folder: Path, shards: int, strategy: str) -> Iterator[Served]:
    """Run a deployment, or a new one on what an earlier one has left."""
    served = Served(folder, "--shards", str(shards), workspace=document(strategy))
    served.start()
    try:
        yield served
    finally:
        if served.process.is_running:
            served.process.kill()


class Client:
    """Asks a deployment, as clients do: again after a 5xx, and after a broken connection."""

    def __init__(self, url: str, session: ClientSession) -> None:
        self._url = url
        self._session = session
        self._access: Known = {}
        self.refused = 0

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        """Make an identity call until it is answered."""
        sent = {"environment": "production"} | body
        return await self._insist("POST", f"/v1/{path}", status, KEY, json=sent)

    async def login(self, known: Known) -> str:
        """Log in; return the MPID."""
        mpid: str = (await self.post("login", {"known_identities": known}))["mpid"]
        return mpid

    async def lookup(self, identity_type: str, value: str) -> list[str]:
        """Return who holds an identity, as operators see it."""
        query = {"type": identity_type, "value": value}
        answer = await self._insist("GET", f"{POOL}/lookup", 200, await self.access(), params=query)
        mpids: list[str] = answer["mpids"]
        return mpids

    async def identities(self, mpid: str) -> set[tuple[str, str]]:
        """Return the types and values of a record, as operators see it."""
        answer = await self._insist("GET", f"{POOL}/mpids/{mpid}", 200, await self.access())
        return {(each["type"], each["value"]) for each in answer["identities"]}

    async def access(self) -> Known:
        """Return the header that makes an operator."""
        if not self._access:
            grant = {"client_id": "ops", "client_secret": "ops-secret"}
            grant["grant_type"] = "client_credentials"
            answer = await self._insist("POST", "/oauth/token", 200, {}, json=grant)
            self._access = {"Authorization": f"Bearer {answer['access_token']}"}
        return self._access

    async def _insist(
        self, method: str, path: str, status: int, headers: Known, **more: Any
    ) -> Any:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                url = self._url + path
                async with self._session.request(method, url, headers=headers, **more) as answer:
                    if answer.status < 500:
                        assert answer.status == status, await answer.text()
                        return await answer.json()
                    problem = str(answer.status)
            except (ClientError, TimeoutError, OSError) as error:
                problem = repr(error)
            self.refused += 1
            assert time.monotonic() < deadline, f"{path} is still refused: {problem}"
            await asyncio.sleep(PAUSE_S)  # between two tries, which have a deadline


@asynccontextmanager
async def client_of(served: Served) -> AsyncIterator[Client]:
    async with ClientSession(timeout=ClientTimeout(total=30)) as session:
        yield Client(served.process.url, session)


async def each(of: Collection[T], ask: Callable[[T], Awaitable[Any]]) -> list[Any]:
    """Ask something of everybody, not all at once; return the answers in order."""
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(about: T) -> Any:
        async with places:
            return await ask(about)

    return await asyncio.gather(*map(one, of))


def on_disk(served: Served, shards: int, unique_ids: Collection[str]) -> tuple[Entries, Records]:
    """Kill it and read its stores, once V1, V2 and V10 are seen to hold in them.

    All that was begun has to be answered: what nobody has seen may be half written.
    """
    served.process.kill()
    with ExitStack() as stack:
        folder = DataFolder(served.data_dir, shards, MAP_SIZE_BYTES, SystemClock())
        stack.callback(folder.close)
        stores = [Store(folder.shard(number), MAP_SIZE_BYTES) for number in range(shards)]
        for store in stores:
            stack.callback(store.close)
        entries, records = read_entries(stores, SCOPE), read_records(stores)
    check(entries, records, unique_ids, unique_ids)
    return entries, records


class Load:
    """X1's calls: groups of equal logins at once, of random users, each from a new device."""

    def __init__(self, client: Client, generator: random.Random) -> None:
        self._client = client
        self._generator = generator
        self._is_over = False
        self.answered = 0
        self.devices = [0] * USERS  # from which a user has logged in
        self.mpids: defaultdict[int, set[str]] = defaultdict(set)  # that calls have answered
        self.made = [0] * USERS  # answers that have found nobody

    async def run(self) -> None:
        """Log in until told to stop, and then those who have not been in yet."""
        while not self._is_over:
            await self._log_in(self._generator.randrange(USERS))
        while waiting := [number for number in range(USERS) if not self.devices[number]]:
            await self._log_in(waiting[0])

    def stop(self) -> None:
        self._is_over = True

    async def _log_in(self, number: int) -> None:
        known = {"customerid": f"c{number}", DEVICE: f"d{number}-{self.devices[number]}"}
        self.devices[number] += 1
        calls = [self._client.post("login", {"known_identities": known}) for _ in range(SAME_CALLS)]
        for answer in await asyncio.gather(*calls):
            self.answered += 1
            self.mpids[number].add(answer["mpid"])
            self.made[number] += not answer["matched_identities"]


async def test_x14_logins_while_the_owners_of_identities_are_killed(tmp_path: Path) -> None:
    """Every user has one MPID, whatever died when: V1, V2, V9 and V10."""
    seed = int(os.environ.get("HEADWATER_KILL_SEED") or random.SystemRandom().randrange(2**32))
    print(f"seed {seed}")
    generator = random.Random(seed)
    with serving(tmp_path, 3, "profile_conversion") as served:
        async with client_of(served) as client:
            load = Load(client, random.Random(generator.random()))
            running = [asyncio.create_task(load.run()) for _ in range(GROUPS_AT_ONCE)]
            kills = await _kill_for(KILL_FOR_S, served, generator, load, running)
            print("killed:", *(f"{each.role} after {each.answered} answers," for each in kills))
            load.stop()
            await asyncio.gather(*running)
            print(f"{load.answered} calls were answered, {client.refused} had to be repeated")
            # Twenty in a minute; a victim may be gone before it is killed.
            assert len(kills) >= KILL_FOR_S / 3
            progress = [later.answered - each.answered for each, later in pairwise(kills)]
            assert sum(map(bool, progress)) >= KILL_FOR_S / 6
            assert [len(load.mpids[number]) for number in range(USERS)] == [1] * USERS
            assert max(load.made) == 1
            mpids = [mpid for number in range(USERS) for mpid in load.mpids[number]]
            assert len(set(mpids)) == USERS

            async def look(number: int) -> None:
                name, mpid = f"c{number}", mpids[number]
                device = f"d{number}-{load.devices[number] - 1}"
                assert await client.login({"customerid": name, DEVICE: device}) == mpid
                if number % LOOK_UP_EVERY:
                    return
                assert await client.lookup("customerid", name) == [mpid]
                assert {("customerid", name), (DEVICE, device)} <= await client.identities(mpid)

            await each(range(USERS), look)
        _, records = on_disk(served, 3, ["customerid"])
    found = {
        mpid: {(kind, value) for kind, value, _ in lookups}
        for (_, mpid), lookups in records.items()
    }
    assert found == {
        int(mpids[number]): {
            ("customerid", f"c{number}"),
            *((DEVICE, f"d{number}-{device}") for device in range(load.devices[number])),
        }
        for number in range(USERS)
    }


async def _kill_for(
    seconds: float, served: Served, generator: random.Random, load: Load, running: Running
) -> list[Kill]:
    """Kill one of those who own identities every two seconds; return whom, and what was done.

    Before every other kill, calls have to be answered since the one before; a busy machine may need
    longer for that. The kills between come while what was killed is still away.
    """
    kills: list[Kill] = []
    for number in range(round(seconds / KILL_EVERY_S)):
        answered = load.answered
        await _runs_for(KILL_EVERY_S, running)
        deadline = time.monotonic() + PATIENCE_S
        while number % 2 == 0 and load.answered == answered:
            assert time.monotonic() < deadline, f"nothing is answered after {kills}"
            await _runs_for(PAUSE_S, running)
        role, victim = await _an_owner(served, generator, running)
        try:
            victim.kill()
        except psutil.NoSuchProcess:
            continue
        kills.append(Kill(role, load.answered))
    return kills


async def _an_owner(
    served: Served, generator: random.Random, running: Running
) -> tuple[str, psutil.Process]:
    """Return one of those who own identities, as soon as one is there."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        owners = [
            (role, process)
            for role in ("Shard", "Coordinator")
            for process in served.process.actors(role)
        ]
        if owners:
            return generator.choice(owners)
        assert time.monotonic() < deadline, "nobody who owns identities comes back"
        await _runs_for(PAUSE_S, running)


async def _runs_for(seconds: float, running: Running) -> None:
    """Let calls be made; raise what one of them raises."""
    failed, _ = await asyncio.wait(running, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in failed:
        task.result()


async def test_x15_x16_case_37_everything_dies_before_the_answer(tmp_path: Path) -> None:
    """Calls that were answered are kept; the others are done once, or not at all, and repeatable.

    X15 for many new users at once, so that each kill finds some of them at every stage; X16; worked
    case 37. Several times on one folder.
    """
    unanswered = 0
    with serving(tmp_path, 3, "profile_link") as served:
        async with client_of(served) as client:
            begun = time.monotonic()
            await asyncio.gather(*(client.login(_new_user("warm", n)) for n in range(IN_FLIGHT)))
            duration_s = time.monotonic() - begun
        for number, moment in enumerate(MOMENTS):
            async with client_of(served) as client:
                device = f"d1-{number}"
                first = await client.login({"customerid": f"c1-{number}", DEVICE: device})
                keeper = await client.login({"customerid": f"k-{number}"})
                loser = await client.login({"email": f"e2-{number}"})
                assert keeper != loser
                asked = [
                    client.post(f"{keeper}/modify", _takeover(number)),
                    *(client.login(_new_user(str(number), n)) for n in range(IN_FLIGHT)),
                ]
                answers = await _asked_and_killed(served, asked, moment * duration_s)
            unanswered += answers.count(None)
            served.start()
            async with client_of(served) as client:
                holders = await client.lookup("email", f"e2-{number}")
                assert holders in ([keeper], [loser])
                assert answers[0] is None or holders == [keeper]
                changed = await client.post(f"{keeper}/modify", _takeover(number))
                assert changed["change_results"][0]["modified_mpid"] == keeper
                assert await client.lookup("email", f"e2-{number}") == [keeper]
                for n, answered in enumerate(answers[1:]):
                    retries = [await client.login(_new_user(str(number), n)) for _ in range(2)]
                    assert set(retries) | {answered or retries[0]} == {retries[0]}
                known: Known = {"customerid": f"c1-{number}"}
                assert (await client.post("identify", {"known_identities": known}))["mpid"] == first
                await client.post("search", {"known_identities": {DEVICE: device}}, 404)
                assert await client.lookup(DEVICE, device) == [first]
        _, records = on_disk(served, 3, ["customerid", "email"])
    print(f"{unanswered} calls were not answered")
    assert unanswered
    assert len(records) == IN_FLIGHT + len(MOMENTS) * (IN_FLIGHT + 3)


def _new_user(group: str, number: int) -> Known:
    return {"customerid": f"c9-{group}-{number}", DEVICE: f"d9-{group}-{number}"}


def _takeover(number: int) -> Any:
    change = {"identity_type": "email", "old_value": None, "new_value": f"e2-{number}"}
    return {"identity_changes": [change]}


async def _asked_and_killed(
    served: Served, asked: list[Coroutine[Any, Any, Any]], after_s: float
) -> list[Any]:
    """Ask, kill every process after a while; return the answers, `None` where none came."""
    victims = served.process.processes()
    tasks = [asyncio.create_task(one) for one in asked]
    await asyncio.wait(tasks, timeout=after_s)
    served.process.kill(victims)
    unanswered = [task for task in tasks if not task.done()]
    for task in unanswered:
        task.cancel()
    await asyncio.gather(*unanswered, return_exceptions=True)
    return [None if task.cancelled() else task.result() for task in tasks]


async def test_case_38_a_thousand_users_move_from_one_shard_to_seven(tmp_path: Path) -> None:
    """Every login gives the MPID that it gave before; V1 and V10."""
    users = [{"customerid": f"c{number}", DEVICE: f"d{number}"} for number in range(USERS)]
    with serving(tmp_path, 1, "profile_conversion") as served:
        async with client_of(served) as client:
            mpids = await each(users, client.login)
        served.process.kill()
    assert len(set(mpids)) == USERS
    with serving(tmp_path, 7, "profile_conversion") as served:
        async with client_of(served) as client:
            assert await each(users, client.login) == mpids
        entries, records = on_disk(served, 7, ["customerid"])
    assert (len(entries), len(records)) == (2 * USERS, USERS)
