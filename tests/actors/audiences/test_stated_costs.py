"""What audiences will take of memory, beside what they do (`headwater audiences explain-cost`)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.audiences.criteria import Node
from actors.audiences.engine.costs import engine_cost
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.entries import Entry
from actors.audiences.engine.joint import JointEngine
from actors.audiences.engine.packing import pack_entries
from actors.audiences.engine.records import Kept
from actors.audiences.stated_costs import StatedCosts, joint_costs, stated_costs
from actors.model.profiles import Profile, ProfileKey, Section
from actors.profiles.retention import DAY_MS
from tests.oracle.audiences.build import attribute, both, event, negated
from tests.oracle.audiences.fixture import NOW, WORKSPACE

PREMIUM = attribute("status", "string", "equals", "premium")
GOLD = attribute("status", "string", "equals", "gold")
ADULT = attribute("age", "number", "greater_or_equal", 18)
LOGIN = event("Login")
BOTH = [WORKSPACE, replace(WORKSPACE, number=WORKSPACE.number + 1)]
OVER = [each.number for each in BOTH]
NODES: dict[int, Node] = {1: both(PREMIUM, LOGIN), 2: both(GOLD, ADULT), 3: negated(LOGIN)}
VALUED: dict[int, Node] = {1: event("Login", frequency=("greater_than", 1, "sessions"))}


def stated(nodes: dict[int, Node] = NODES) -> StatedCosts:
    return stated_costs(nodes, WORKSPACE)


def test_each_criterion_says_what_it_needs_and_who_needs_it_too() -> None:
    first, second, third, fourth, fifth = stated().criteria
    assert (first.row_bytes, first.entry_bytes, first.shared_with) == (4.0, (), 1)
    assert (second.row_bytes, second.entry_bytes, second.shared_with) == (0, (16,), 1)
    assert (third.columns, third.shared_with) == (first.columns, 1)
    assert (fourth.row_bytes, fourth.shared_with) == (4.0, 0)
    assert (fifth.entry_bytes, fifth.audience, fifth.place) == ((16,), 3, 1)


def test_events_take_more_where_a_value_of_them_is_kept() -> None:
    costs = stated(VALUED)
    assert costs.criteria[0].entry_bytes == (24,)
    assert costs.most_bytes(1000, 10) > stated({1: LOGIN}).most_bytes(1000, 10)


def test_what_several_need_is_there_once() -> None:
    costs = stated()
    assert costs.column_bytes == 4.0 + 4.0
    assert (costs.audiences, costs.streams) == (3, 1)
    assert stated({1: PREMIUM}).column_bytes == 4.0
    assert stated({}).column_bytes == 0


def test_more_than_64_audiences_take_more_bits() -> None:
    many: dict[int, Node] = dict.fromkeys(range(1, 66), PREMIUM)
    assert stated(many).membership_bytes == 16.0


def one_engine(nodes: dict[int, Node]) -> Engine:
    engine = Engine(WORKSPACE, WORKSPACE.audience_event_days * DAY_MS)
    for number, node in nodes.items():
        engine.activate(number, "production", node)
    return engine


def joint_engine(nodes: dict[int, Node]) -> Engine:
    engine = JointEngine(BOTH, WORKSPACE.audience_event_days * DAY_MS)
    for number, node in nodes.items():
        engine.activate_over(number, "production", node, OVER)
    return engine


def filled(engine: Engine, entries: list[int], rounds: int) -> int:
    """Return the bytes of a real engine whose rows have so many entries, after rewriting them."""
    profile = Profile(created_timestamp_ms=NOW)
    profile.workspaces[WORKSPACE.number] = Section(first_seen_ms=NOW, last_seen_ms=NOW)
    holdings = engine.parts[4]
    for turn in range(1, rounds + 1):
        for mpid, most in enumerate(entries, 1):
            count = most * turn // rounds  # segments grow, move and leave gaps
            kept = pack_entries(
                [Entry(0, NOW, number, 0) for number in range(count)], holdings.identity
            )
            key = ProfileKey(WORKSPACE.scope, "production", mpid)
            engine.load(key, profile, Kept(kept))
        engine.evaluate(
            engine.rows_of(
                ProfileKey(WORKSPACE.scope, "production", mpid)
                for mpid in range(1, len(entries) + 1)
            ),
            NOW,
        )
    rows, _, store, memberships, _ = engine.parts
    cost = engine_cost(engine)
    columns = sum(each.array_bytes for each in cost.sources)
    return rows.nbytes + rows.index_bytes + memberships.nbytes + columns + store.nbytes


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=300),
    st.integers(1, 4),
    st.sampled_from([0, 800, 1100]),
    st.sampled_from([NODES, VALUED]),
)
def test_nothing_takes_more_than_is_stated(
    entries: list[int], rounds: int, empty: int, nodes: dict[int, Node]
) -> None:
    """Whatever the profiles have, and however they came to it."""
    everybody = entries + [0] * empty
    most = stated(nodes).most_bytes(len(everybody), max(entries))
    assert filled(one_engine(nodes), everybody, rounds) <= most
    joint = joint_costs(nodes, dict.fromkeys(nodes, OVER), BOTH)
    most = joint.most_bytes(len(everybody), max(entries))
    assert filled(joint_engine(nodes), everybody, rounds) <= most


def test_audiences_over_several_workspaces_have_a_column_for_each() -> None:
    costs = joint_costs({1: both(PREMIUM, LOGIN)}, {1: OVER}, BOTH)
    user, event_ = costs.criteria
    assert len(user.columns) == len({*user.columns}) == 4  # and whether the user is live there
    assert event_.entry_bytes == (16,)
    assert (costs.audiences, costs.streams) == (1, 1)


@pytest.mark.parametrize("profiles", [2_000, 4_000])
def test_what_is_stated_without_room_is_near(profiles: int) -> None:
    costs = stated()
    real = filled(one_engine(NODES), [10] * profiles, 1)
    assert costs.bytes_of(profiles, 10) <= real <= costs.most_bytes(profiles, 10)
    assert real <= 3 * costs.bytes_of(profiles, 10)
