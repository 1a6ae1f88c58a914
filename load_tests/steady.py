"""What identity resolution costs in the steady state, beside resolution by MPID alone.

The same batches are sent in two ways, turn by turn, to the same users of one deployment: as they
are, with identities that are all attached to the user's profile already, and with the profile's
MPID beside them, which then decides alone. Only processor time is compared, so waiting for the disk
does not count.
"""

import asyncio
import statistics
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from actors.clock import Clock
from actors.model.micro_batches import Accepted
from load_tests.draws import Draws
from load_tests.in_process import InProcess
from load_tests.journeys import SECONDS, TOKEN
from load_tests.people import Batch, Person

Users = Literal["customers", "devices"]
USERS: tuple[Users, ...] = ("customers", "devices")
BATCHES_PER_REQUEST = 100

CpuClock = Callable[[], float]  # seconds of processor time that this process has taken
Template = Sequence[bytes]  # a batch, cut where its number goes
_SECONDS = str(SECONDS).encode()
_SPAN = len(TOKEN)


class NotSteady(Exception):
    """Something else was measured than what was meant to be."""


class SteadyOptions(Struct, frozen=True, kw_only=True):
    """How much is measured. In each round each user sends a batch in each way."""

    users: int
    rounds: int
    events_per_batch: int
    seed: int


class SteadyResult(Struct, kw_only=True):
    """Processor time of one strategy and one kind of users.

    Attributes:
        users: `customers` send a customer id, an e-mail and a device, `devices` only that.
        events: sent in each of the two ways, over all rounds.
        by_mpid_us, by_identities_us: microseconds per event, over all rounds.
        ratios: time by identities to time by MPID, of each round.
        ratio: their median.
    """

    strategy: str
    users: Users
    events: int
    by_mpid_us: float
    by_identities_us: float
    ratios: list[float]
    ratio: float


async def measure(
    deployment: InProcess,
    strategy: str,
    users: Users,
    options: SteadyOptions,
    clock: Clock,
    cpu: CpuClock,
) -> SteadyResult:
    """Measure one kind of users, who are new to the deployment.

    Raises:
        NotSteady: a batch was refused, or found another user than it should have, or the
            coordinator was asked.
    """
    sender = Sender(deployment, cpu)
    by_identities = _batches(users, options)
    events = sum(len(batch["events"]) for batch in by_identities)
    now_s = clock.now_ms() // 1000 - 1
    identified = [template(batch, now_s) for batch in by_identities]
    await sender.send(identified)
    mpids = sender.mpids
    addressed = [
        template(batch | {"mpid": mpid}, now_s)
        for batch, mpid in zip(by_identities, mpids, strict=True)
    ]
    for templates in (addressed, identified):  # caches, and event names that are new
        await sender.send(templates)
    asked = deployment.resolutions
    times: dict[bool, list[float]] = {True: [], False: []}
    for number in range(options.rounds):
        taken = {True: 0.0, False: 0.0}
        for place, start in enumerate(range(0, options.users, BATCHES_PER_REQUEST)):
            some = slice(start, start + BATCHES_PER_REQUEST)
            # Neither way is always the one that comes second, and finds everything at hand.
            first = (number + place) % 2 == 0
            for is_identified in (first, not first):
                templates = identified if is_identified else addressed
                taken[is_identified] += await sender.send(templates[some])
                if sender.mpids != mpids[some]:
                    raise NotSteady("a batch was attributed to another user than before")
        for is_identified, seconds in taken.items():
            times[is_identified].append(seconds)
    if deployment.resolutions != asked:
        raise NotSteady("the coordinator was asked about users that it had decided on")
    ratios = [one / other for one, other in zip(times[True], times[False], strict=True)]
    total = events * options.rounds
    return SteadyResult(
        strategy=strategy,
        users=users,
        events=total,
        by_mpid_us=sum(times[False]) / total * 1e6,
        by_identities_us=sum(times[True]) / total * 1e6,
        ratios=ratios,
        ratio=statistics.median(ratios),
    )


class Sender:
    """Sends all users' batches once, as requests of many; no two batches have the same number."""

    def __init__(self, deployment: InProcess, cpu: CpuClock) -> None:
        self._deployment = deployment
        self._cpu = cpu
        self._sent = 0
        self.mpids: list[int] = []  # of the batches that were sent last

    async def send(self, templates: Sequence[Template]) -> float:
        """Return the seconds of processor time that it took. Raises NotSteady."""
        requests = [
            [
                self._numbered(template)
                for template in templates[start : start + BATCHES_PER_REQUEST]
            ]
            for start in range(0, len(templates), BATCHES_PER_REQUEST)
        ]
        begun = self._cpu()
        answers = [await self._deployment.apply(request) for request in requests]
        taken = self._cpu() - begun
        self.mpids = [_mpid(result) for answer in answers for result in answer]
        return taken

    async def send_together(self, requests: Sequence[Sequence[Template]]) -> None:
        """Send requests at once, as many clients do: micro-batches fill. Raises NotSteady."""
        numbered = [[self._numbered(each) for each in request] for request in requests]
        answers = await asyncio.gather(*(self._deployment.apply(each) for each in numbered))
        self.mpids = [_mpid(result) for answer in answers for result in answer]

    def _numbered(self, template: Template) -> bytes:
        self._sent += 1
        return f"{self._sent:0{_SPAN}x}".encode().join(template)


def _mpid(result: object) -> int:
    if not isinstance(result, Accepted) or result.mpid is None:
        raise NotSteady(f"a batch was not attributed to anybody: {type(result).__name__}")
    return result.mpid


def _batches(users: Users, options: SteadyOptions) -> list[Batch]:
    """Make one batch of every user; no two kinds of users share a person."""
    draws = Draws(options.seed)
    first = options.users * USERS.index(users)
    made = []
    for number in range(first, first + options.users):
        person = Person(options.seed, number)
        batch = person.next_batch(options.events_per_batch, draws)
        batch.pop("user_identities", None)
        if users == "customers":
            batch["user_identities"] = {"customer_id": person.customer_id, "email": person.email}
        made.append(batch)
    return made


def template(batch: Batch, now_s: int) -> Template:
    """Return a batch of this second, cut where its number goes."""
    text = msgspec.json.encode(batch | {"source_request_id": TOKEN})
    return text.replace(_SECONDS, b"%010d" % now_s).split(TOKEN.encode())
