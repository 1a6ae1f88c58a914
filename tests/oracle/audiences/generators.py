"""Random worlds: definitions, the users that they are about, and the instant.

One generator serves twice: `make_world` is fast and takes a seed; `worlds` is the same as a
hypothesis strategy, which shrinks what fails. Users are made for the definitions: their events lie
at the borders of the definitions' windows, to the millisecond, as often as not.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.audiences.criteria import Node
from actors.model.workspaces import WorkspaceInfo
from tests.oracle.audiences.expiration import spans
from tests.oracle.audiences.fixture import DAY, WORKSPACE
from tests.oracle.audiences.people import Person, Surroundings
from tests.oracle.audiences.random_definitions import Definitions
from tests.oracle.audiences.random_events import Events
from tests.oracle.audiences.random_people import People
from tests.oracle.audiences.vocabulary import AUDIENCES, GROUPS, chance, make_now
from tests.oracle.texts import instant_ms

_MPIDS = 1_000


@dataclass(frozen=True)
class World:
    """What is needed to evaluate: `definitions` do not name each other, `around.audiences` do not
    name any other."""

    now_ms: int
    around: Surroundings
    definitions: tuple[Node, ...]
    people: tuple[Person, ...]


def make_world(randomness: Random, definitions: int = 20, people: int = 12) -> World:
    """Return a world with so many definitions and users.

    Args:
        randomness: where everything comes from; the same seed gives the same world.
        definitions: how many.
        people: how many.
    """
    now_ms = make_now(randomness)
    workspace = _make_workspace(randomness)
    inner = Definitions(randomness, now_ms, nests=False)
    audiences = {number: inner.node(1) for number in AUDIENCES}
    outer = Definitions(randomness, now_ms)
    nodes = tuple(outer.node() for _ in range(definitions))
    named = {span for node in (*nodes, *audiences.values()) for span in spans(node)}
    moments = _moments((*nodes, *audiences.values()), now_ms, workspace)
    events = Events(randomness, moments, (0, *sorted(named)), now_ms, workspace)
    maker = People(randomness, events, now_ms, workspace)
    made = tuple(maker.person(_MPIDS + number) for number in range(people))
    return World(now_ms, Surroundings(workspace, audiences, GROUPS), nodes, made)


def worlds(definitions: int = 3, people: int = 4) -> st.SearchStrategy[World]:
    """Return a strategy of small worlds."""
    sources = st.randoms(use_true_random=False)
    return sources.map(lambda randomness: make_world(randomness, definitions, people))


def _make_workspace(randomness: Random) -> WorkspaceInfo:
    """Return a workspace with the usual lookback or another, at times with an event kept aside."""
    lookback_days = randomness.choice((30, 30, 30, 60, 7))
    tiers = {"Read": "preserve"} if chance(randomness, 0.3) else {}
    return replace(
        WORKSPACE,
        audience_event_days=lookback_days,
        profile_idle_days=randomness.choice((30, 90)),
        tiers=tiers,
    )


def _moments(nodes: tuple[Node, ...], now_ms: int, workspace: WorkspaceInfo) -> tuple[int, ...]:
    """Return the instants beside the borders of all windows that the definitions name."""
    borders = {now_ms, now_ms - workspace.audience_event_days * DAY, now_ms - now_ms % DAY}
    for node in nodes:
        borders.update(now_ms - span for span in spans(node))
        for text in _texts(node):
            instant = instant_ms(text)
            if instant is not None:
                borders.update((instant, instant + DAY))
    near = {border + beside for border in borders for beside in (-1, 0, 1)}
    return tuple(sorted(each for each in near if each <= now_ms))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, msgspec.Struct):
        for name in node.__struct_fields__:
            yield from _texts(getattr(node, name))
    elif isinstance(node, tuple):
        for each in node:
            yield from _texts(each)
    elif isinstance(node, str):
        yield node
