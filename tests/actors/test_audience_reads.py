"""What a shard answers about all its users, and why (spec/audiences.md, 7 and 14)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from actors.audience_questions import QuestionViews
from actors.audiences.answers import Difference, Reason
from actors.audiences.calls import AudienceShard
from actors.audiences.criteria import (
    Aggregate,
    AudienceMembership,
    CartAbandonment,
    Consent,
    Criterion,
    EventFilter,
    Group,
    LocationWithin,
    Named,
    Node,
    SeenAt,
)
from actors.audiences.estimate import WHOLE, sample_number
from actors.audiences.handles import AudienceDeskHandle
from actors.audiences.queries import Asked as Question
from actors.audiences.standing import decode_standing
from actors.audiences.told import Span
from actors.store.profiles import decode_profile
from server.audience_gateway import AudienceGateway
from tests.actors.audience_shards import Asked, audience, fixture_shard, query
from tests.actors.shards import profile_of
from tests.oracle.audiences.build import (
    attribute,
    both,
    event,
    list_attribute,
    named,
    negated,
    passing,
    purchase,
    within_last,
)
from tests.oracle.audiences.event_cases import then_purchase
from tests.oracle.audiences.fixture import (
    DAY,
    HOUR,
    NOW,
    PEOPLE,
    WORKSPACE,
    commerce,
)

PREMIUM = attribute("status", "string", "equals", "premium")
GOLD = attribute("status", "string", "equals", "gold")
ADULT = attribute("age", "number", "greater_or_equal", 18)
ONE, TWO, LIST = 1, 2, 3


@pytest.fixture
def shard(tmp_path: Path) -> Iterator[Asked]:
    """Open the users of the worked cases at their instant."""
    with fixture_shard(tmp_path) as asked:
        yield asked


def every_slice(call: Callable[[bytes], tuple[Any, bytes | None]]) -> list[Any]:
    """Return what all slices give."""
    parts, cursor = [], b""
    while True:
        part, following = call(cursor)
        parts.append(part)
        if following is None:
            return parts
        assert following > cursor
        cursor = following


# -- All users ------------------------------------------------------------------------------------


def crowd(shard: Asked) -> None:
    """Let there be 100 users, of whom 13 are gold."""
    for number in range(95):
        status = "gold" if number < 12 else "silver"
        shard.send(5000 + number, {"user_attributes": {"status": status}})


class Remote:
    """A shard's views as a remote caller has them."""

    def __init__(self, views: QuestionViews) -> None:
        self._views = views

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any) -> Any:
            return getattr(self._views, name)(*arguments)

        return call


async def no_pause() -> None:
    """Go on at once."""


@pytest.mark.parametrize("slice_s", [0.0, 10.0])
async def test_50_an_estimate_over_all_users_is_exact(shard: Asked, slice_s: float) -> None:
    """Case 50, in slices of one user and in one."""
    crowd(shard)
    shard.restart(slice_s=slice_s)
    remotes = cast(list[AudienceShard], [Remote(shard.questions)])
    gateway = AudienceGateway(remotes, cast(AudienceDeskHandle, None), no_pause)
    asked = Question(query(both(GOLD, negated(ADULT))), ("gold", "adult"))
    whole, (gold, adult) = await gateway.estimate(asked)
    assert (whole.estimate, whole.low, whole.high) == (13, 13, 13)
    assert (whole.method, whole.state, whole.sample_size) == ("exact", "ok", 100)
    assert (gold.estimate, adult.estimate) == (13, 2)


def test_a_sample_is_of_the_users_whose_number_is_low(shard: Asked) -> None:
    crowd(shard)
    below = WHOLE // 4
    numbers = [*PEOPLE, *range(5000, 5095)]
    expected = [each for each in numbers if sample_number(each) < below]
    [(sample)] = every_slice(lambda at: shard.questions.sample_audience(query(GOLD), below, at))
    assert 0 < sample.size == len(expected) < 100
    gold = {1005, *range(5000, 5012)}
    assert sample.hits == sample.criteria[0] == len(gold & set(expected))


def test_a_slice_ends_when_its_time_is_over_and_the_next_goes_on(shard: Asked) -> None:
    shard.restart(slice_s=0.0)
    asked = query(event("Login"))
    parts = every_slice(lambda at: shard.questions.sample_audience(asked, WHOLE, at))
    assert [each.size for each in parts] == [1] * len(PEOPLE)
    assert sum(each.hits for each in parts) == 1
    counts = every_slice(lambda at: shard.questions.audience_population(asked, at))
    assert sum(counts) == len(PEOPLE)
    other = replace(asked, environment="development")
    assert sum(every_slice(lambda at: shard.questions.audience_population(other, at))) == 0


def test_users_outside_the_population_are_in_no_sample(shard: Asked) -> None:
    opt_out = {"event_type": "opt_out", "data": {"is_opted_out": True}}
    shard.send(1002, {"events": [opt_out]})
    assert shard.questions.audience_population(query(PREMIUM)) == (4, None)
    sample, _ = shard.questions.sample_audience(query(PREMIUM), WHOLE)
    assert (sample.size, sample.hits, sample.criteria) == (4, 1, (1,))


@pytest.mark.parametrize("slice_s", [0.0, 10.0])
def test_a_comparison_tells_who_would_enter_and_leave(shard: Asked, slice_s: float) -> None:
    shard.restart(slice_s=slice_s)
    shard.define(audience(ONE, PREMIUM))
    parts = every_slice(lambda at: shard.questions.compare_audience(query(ADULT), ONE, 5, at))
    total = Difference(
        sum(each.entering for each in parts),
        sum(each.leaving for each in parts),
        sum(each.staying for each in parts),
        tuple(mpid for each in parts for mpid in each.entering_mpids),
        tuple(mpid for each in parts for mpid in each.leaving_mpids),
    )
    assert total == Difference(1, 1, 1, (1003,), (1002,))
    named_none, _ = shard.questions.compare_audience(query(ADULT), ONE, 0)
    assert (named_none.entering_mpids, named_none.leaving_mpids) == ((), ())


def test_44_a_standard_range_has_its_own_events_and_tiers(tmp_path: Path) -> None:
    """Case 44: an event at the end of the last day counts, and so do those of tier `preserve`."""
    workspace = replace(WORKSPACE, tiers={"Login": "preserve"})
    midnight = NOW - NOW % DAY
    with fixture_shard(tmp_path, workspace=workspace) as shard:
        late = event("Login", frequency=("equals", 3))  # 03-04, 03-06 and 03-08T23:59:59.999
        spans = {
            Span(None, midnight - DAY): {1004},
            Span(None, midnight - DAY - 1): set(),
            Span(midnight - 5 * DAY, midnight - DAY): set(),
            Span(midnight - 6 * DAY, midnight - DAY): {1004},
        }
        for span, expected in spans.items():
            found = shard.questions.evaluate_audience(query(late, span=span), PEOPLE, None)
            assert {each.mpid for each in found if each.result} == expected, span
        assert shard.matching(late, PEOPLE, None) == set()


# -- Reasons --------------------------------------------------------------------------------------

TOTAL = Aggregate(
    "sum", "price", "product_attribute", True, passing("number", "greater_or_equal", 35)
)
ADDED = EventFilter("commerce_event", commerce_actions=("add_to_cart",))
REASONS: list[tuple[str, int, Node | Criterion, Reason]] = [
    ("attribute", 1001, PREMIUM, Reason(True, ("Premium",))),
    ("null", 1003, PREMIUM, Reason(False, ("null",))),
    ("missing", 1004, PREMIUM, Reason(False, (), is_missing=True)),
    ("list", 1001, list_attribute("tags", "includes", "jazz"), Reason(True, ("Jazz", "Rock"))),
    ("empty", 1003, list_attribute("tags", "empty"), Reason(True, ("empty list",))),
    ("count", 1004, event("Login"), Reason(True, ("4 events",))),
    ("none", 1001, event("Login"), Reason(False, ("0 events",))),
    (
        "days",
        1001,
        event("Clip Played", frequency=("greater_or_equal", 3, "days")),
        Reason(False, ("2 days",)),
    ),
    (
        "sum",
        1002,
        event(purchase(), aggregate=TOTAL),
        Reason(True, ("1 event", "sum 35")),
    ),
    (
        "cart",
        1003,
        CartAbandonment(ADDED, 2 * HOUR),
        Reason(True, ("added to cart 2026-03-10T11:00:00.000Z",)),
    ),
    (
        "sequence",
        1002,
        then_purchase(2 * HOUR),
        Reason(True, ("step 1: 1 event", "step 2: 1 event")),
    ),
    (
        "place",
        1005,
        LocationWithin(40.7128, -74.0060, 14_000),
        Reason(False, ("40.7357, -74.1724", "14252 m away")),
    ),
    ("consent", 1005, Consent("gdpr", "ads", "consented"), Reason(True, ("consented",))),
    ("no member", 1001, AudienceMembership(ONE, True), Reason(True, ("member",))),
    (
        "seen",
        1003,
        SeenAt("first_seen", passing("date", "within_last", 1, unit="days")),
        Reason(True, ("2026-03-10T11:00:00.000Z",)),
    ),
]


@pytest.mark.parametrize(
    ("mpid", "criterion", "expected"), [pytest.param(*rest, id=id_) for id_, *rest in REASONS]
)
def test_the_value_that_decided_is_told(
    shard: Asked, mpid: int, criterion: Node | Criterion, expected: Reason
) -> None:
    shard.define(audience(ONE, PREMIUM))
    node = criterion if isinstance(criterion, Named | Group) else named(criterion)
    found = shard.questions.explain_audience(query(node), ONE, mpid)
    assert found is not None
    assert found.criteria == (expected,)


def test_an_explanation_is_of_the_whole_definition_too(shard: Asked) -> None:
    node = both(PREMIUM, event("Clip Played", within_last(2 * DAY)))
    shard.define(audience(ONE, node))
    found = shard.questions.explain_audience(query(node), ONE, 1002)
    assert found is not None
    assert (found.result, found.since_ms, found.is_counted) == (True, NOW, True)
    assert found.expiration_ms == NOW - 26 * HOUR + 2 * DAY
    assert [each.result for each in found.criteria] == [True, True]
    assert shard.questions.explain_audience(query(node), ONE, 42) is None


# -- Cost and records -----------------------------------------------------------------------------


def test_the_cost_tells_of_rows_entries_and_sources(shard: Asked) -> None:
    assert shard.members.audience_costs().rows == 0
    shard.define(audience(ONE, both(PREMIUM, event("Login"))), audience(TWO, event("Login")))
    found = shard.members.audience_costs()
    assert (found.rows, found.audiences, found.criteria, found.streams) == (5, 2, 2, 1)
    assert found.entries == 4
    assert found.entry_bytes >= 4 * found.bytes_per_entry > 0
    [source] = found.sources
    assert "status" in source.source
    assert source.array_bytes > 0
    assert found.row_bytes > 0
    assert found.membership_bytes > 0


def test_a_standing_is_the_same_as_in_the_whole_profile(shard: Asked) -> None:
    shard.define(audience(ONE, PREMIUM))
    shard.send(1004, {"events": [commerce("purchase", NOW)]})
    with shard.shard.store.read() as txn:
        records = [encoded for _, encoded in txn.scan("profiles")]
    assert len(records) == len(PEOPLE)
    for encoded in records:
        whole, part = decode_profile(encoded), decode_standing(encoded)
        section = whole.workspaces[WORKSPACE.number]
        shown = part.workspaces[WORKSPACE.number]
        assert (shown.audiences, shown.is_aged_out) == (section.audiences, section.is_aged_out)
        assert part.last_stored_timestamp_ms == whole.last_stored_timestamp_ms
        assert part.status_messages == whole.status_messages
    profile = profile_of(shard.shard, 1001)
    assert profile is not None
    assert profile.workspaces[WORKSPACE.number].audiences == {ONE: NOW}
