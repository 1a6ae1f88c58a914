"""What happens in a history: who calls what, what dies when, and what goes wrong on the way.

Plans are drawn from a number, without anything else: Hypothesis would draw other ones whenever a
constant is changed anywhere in the modules that happen to be loaded.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from actors.identity import knowledge
from tests.actors.identity.pool import BEST_MATCH, CONVERSION, DEFAULT, ISOLATION, LINK
from tests.actors.identity.simulation import Faults

RULES = {each.strategy: each for each in (DEFAULT, CONVERSION, LINK, ISOLATION, BEST_MATCH)}
TYPES = ("customerid", "email", "device_application_stamp")
Kind = Literal[
    "identify",
    "login",
    "logout",
    "search",
    "batch",
    "modify",
    "erase",
    "record",
    "lookup",
    "upload",
]
CALLS: tuple[Kind, ...] = ("identify", "login", "logout")
READING: tuple[Kind, ...] = ("search", "lookup", "record")

# What is done, in the proportion in which it is listed. Few kinds on few identities meet each other
# more often than many do.
MIXES: list[tuple[Kind, ...]] = [
    (
        *("identify", "login", "login", "logout", "logout", "search", "batch"),
        *("modify", "modify", "modify", "erase", "record", "lookup"),
    ),
    ("login", "modify", "modify", "search", "lookup", "record"),
    ("logout", "logout", "identify", "batch", "erase", "record"),
    ("login", "identify", "lookup", "record"),
]
# Batches that name an MPID, which may be nobody's, and calls about it.
UPLOADS: list[tuple[Kind, ...]] = [
    ("upload", "record", "modify", "modify", "login", "identify"),
    ("upload", "upload", "record", "modify", "erase", "login", "search", "lookup"),
]
STRANGER = 7  # an MPID that nobody has, until a batch names it
QUIET = [Faults(), Faults(slow=20), Faults(slow=40)]
FAULTY = [Faults(5, 5, 5, 5, 5), Faults(10, 10, 20, 30, 10), Faults(0, 20, 20, 20, 20)]
MOST_TRIES = 500  # to make a plan smaller


class Act(Struct, frozen=True):
    """One thing that a client does.

    `whom` picks an MPID among those that were answered so far; `pause_ms` comes before.
    """

    kind: Kind
    identities: dict[str, str]
    whom: int = 0
    pause_ms: int = 0
    is_read_only: bool = False
    retry: int = 0  # logouts of one number and with the same identities are repetitions

    @property
    def is_reading(self) -> bool:
        """Whether it changes nothing."""
        return self.kind in READING or (self.is_read_only and self.kind in CALLS)


class Crash(Struct, frozen=True):
    """A process that dies at a step of the event loop."""

    at_step: int
    who: Literal["coordinator", "undead", "shard", "all"]
    number: int = 0
    down_ms: int = 0


class Plan(Struct, frozen=True):
    """What happens in one history."""

    strategy: str
    shards: int
    clients: list[list[Act]]
    crashes: list[Crash]
    faults: Faults
    seed: int
    max_known: int = knowledge.MAX_KNOWN


# -- Plans that failed once -----------------------------------------------------------------------

# A login is decided before a modify that was sent before it: its source tells.
LATE_MODIFY = Plan(
    strategy="profile_link",
    shards=3,
    clients=[
        [
            Act("identify", {"device_application_stamp": "1"}),
            Act("modify", {"email": "2"}, whom=1, pause_ms=10, retry=1),
        ],
        [Act("login", {"customerid": "1"}, whom=2, pause_ms=10)],
    ],
    crashes=[],
    faults=Faults(slow=20),
    seed=1,
)


# A coordinator that has lost its store is asked whether a logout is a repetition.
LOST_STORE = Plan(
    strategy="default",
    shards=2,
    clients=[
        [Act("logout", {"email": "2", "device_application_stamp": "1"}, whom=1)],
        [Act("logout", {"device_application_stamp": "1"}, whom=2, retry=2)],
    ],
    crashes=[Crash(at_step=5, who="undead", down_ms=50)],
    faults=Faults(),
    seed=3260870210,
)


# -- Drawing --------------------------------------------------------------------------------------


def draw(
    number: int,
    *,
    mixes: Sequence[tuple[Kind, ...]] = MIXES,
    fewest_crashes: int = 0,
    faults: Sequence[Faults] = (*QUIET, *FAULTY),
) -> Plan:
    """Return the plan of a number, the same one always."""
    source = random.Random(number)
    kinds = source.choice(mixes)
    return Plan(
        strategy=source.choice(sorted(RULES)),
        shards=source.choice((1, 2, 3, 3)),
        clients=[
            [_act(source, kinds) for _ in range(source.randint(1, 5))]
            for _ in range(source.randint(2, 4))
        ],
        crashes=[_crash(source) for _ in range(source.randint(fewest_crashes, 4))],
        faults=source.choice(faults),
        seed=source.getrandbits(32),
        max_known=source.choice((0, 2, 4, knowledge.MAX_KNOWN)),
    )


def _act(source: random.Random, kinds: Sequence[Kind]) -> Act:
    types = source.sample(TYPES, source.randint(1, len(TYPES)))
    return Act(
        kind=source.choice(kinds),
        identities={each: source.choice("112") for each in types},
        whom=source.randrange(4),
        pause_ms=source.choice((0, 0, 0, 1, 3, 10)),
        is_read_only=source.randrange(5) == 0,
        retry=source.randrange(3),
    )


def _crash(source: random.Random) -> Crash:
    return Crash(
        at_step=source.randint(1, 120),
        who=source.choice(("coordinator", "undead", "shard", "shard", "all")),
        number=source.randrange(3),
        down_ms=source.choice((0, 0, 1, 5, 50, 1000)),
    )


def shrunk(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Return a plan of which nothing can be left out without its failing no longer."""
    tries = 0
    is_smaller = True
    while is_smaller and tries < MOST_TRIES:
        is_smaller = False
        for other in _smaller(plan):
            tries += 1
            if fails(other):
                plan, is_smaller = other, True
                break
            if tries == MOST_TRIES:
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Return the plan without one thing, for each that it can do without."""
    clients = plan.clients
    for place, acts in enumerate(clients):
        if len(clients) > 1:
            yield replace(plan, clients=clients[:place] + clients[place + 1 :])
        for number in range(len(acts)):
            if len(acts) > 1:
                fewer = acts[:number] + acts[number + 1 :]
                yield replace(plan, clients=[*clients[:place], fewer, *clients[place + 1 :]])
    for number in range(len(plan.crashes)):
        yield replace(plan, crashes=plan.crashes[:number] + plan.crashes[number + 1 :])
    if plan.faults != Faults():
        yield replace(plan, faults=Faults())
    for place, acts in enumerate(clients):
        for number, act in enumerate(acts):
            for kind in act.identities if len(act.identities) > 1 else ():
                fewer_identities = {
                    each: value for each, value in act.identities.items() if each != kind
                }
                simpler = replace(act, identities=fewer_identities)
                changed = [*acts[:number], simpler, *acts[number + 1 :]]
                yield replace(plan, clients=[*clients[:place], changed, *clients[place + 1 :]])
