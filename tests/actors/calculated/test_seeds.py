"""Seeds (spec/calculated-attributes.md, 8; worked cases 22 to 28)."""

from typing import Any

import msgspec
import pytest

from actors.calculated.applying import apply, calculate, expire, plant, rebuild, values
from actors.calculated.definition import Attribute, LiveAttributes
from actors.calculated.live import KnownAttributes
from actors.calculated.seeds import SeedsInvalid, SeedTarget, read_seeds
from actors.calculated.state import CalculatedState, Seed
from actors.model.profiles import Section
from tests.actors.calculated.builders import (
    AS_OF_MS,
    buy,
    definition,
    known,
    ms,
    previewed,
    stored,
)
from tests.actors.calculated.test_worked_cases import BUYS
from tests.actors.profiles.builders import WORKSPACE

Json = dict[str, Any]
MARCH_1, MARCH_3 = "2026-03-01", "2026-03-03"


def seed_of(function: str, cutoff: str, content: Json, name: str = "ltv") -> Seed:
    """Return a seed as it is read from a request."""
    target = SeedTarget(7, name, function, ms(f"{cutoff[5:]}T00:00"))
    sent = {
        "attribute_name": name,
        "calculation_type": function,
        "cutoff_date": cutoff,
        "seed": content,
    }
    [(number, seed)] = read_seeds([sent], {name: [target]}).items()
    assert number == 7
    return seed


@pytest.mark.parametrize("sent", [100, "100", 100.0])
def test_22_a_sum_goes_on_from_its_seed(sent: Any) -> None:
    """Case 22: events before the cut-off date do not count, with a seed or without."""
    defined = definition("sum", "amt", cutoff=MARCH_3)
    assert previewed(BUYS, defined, seed=seed_of("sum", MARCH_3, {"value": sent})) == "97"
    assert previewed(BUYS, defined) == "-3"


def test_23_an_average_goes_on_from_sum_and_count() -> None:
    """Case 23: 299.2 of 20 values and 30.8 of two make 15."""
    seed = seed_of("average", MARCH_1, {"key_value_pairs": {"sum": 299.2, "count": 20}})
    live = [buy("03-02T00:00", amt="10.8"), buy("03-03T00:00", amt="20")]
    assert previewed(live, definition("average", "amt", cutoff=MARCH_1), seed=seed) == "15"


@pytest.mark.parametrize(
    ("function", "content", "expected"),
    [
        pytest.param(
            "most_frequent", {"key_value_pairs": {"bags": 1, "ink": 5}}, "ink", id="24: counts"
        ),
        pytest.param(
            "unique_list",
            {"list": ["ink", "bags"]},
            ["Bags", "bags", "ink", "shoes"],
            id="24: list",
        ),
        pytest.param("unique_values_count", {"list": ["ink", "bags"]}, "4", id="24: count"),
        pytest.param("first_occurrence", {"value": "pens"}, "pens", id="25: first"),
        pytest.param("last_occurrence", {"value": "pens"}, "bags", id="25: last"),
        pytest.param(
            "first_occurrence_timestamp",
            {"value": "1500000000000"},
            "2017-07-14T02:40:00.000Z",
            id="25: first t",
        ),
        pytest.param(
            "last_occurrence_timestamp",
            {"value": 1500000000000},
            "2026-03-05T10:00:00.000Z",
            id="25: last t",
        ),
    ],
)
def test_24_25_functions_of_values_go_on_from_seeds(
    function: str, content: Json, expected: Any
) -> None:
    """Cases 24 and 25."""
    seed = seed_of(function, MARCH_1, content)
    assert previewed(BUYS, definition(function, "cat", cutoff=MARCH_1), seed=seed) == expected


@pytest.mark.parametrize(
    ("function", "content", "expected"),
    [
        ("count", {"value": 7}, "7"),
        ("min", {"value": "2.5"}, "2.5"),
        ("average", {"key_value_pairs": {"sum": 3, "count": "2"}}, "1.5"),
        ("most_frequent", {"key_value_pairs": {"b": 2, "a": 2}}, "a"),
        ("unique_list", {"list": ["b", 1]}, ["1", "b"]),
        ("unique_values_count", {"list": ["b", "b"]}, "1"),
        ("first_occurrence", {"value": 5}, "5"),
        ("last_occurrence", {"value": "pens"}, "pens"),
        ("last_occurrence_timestamp", {"value": 0}, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_a_seed_alone_is_a_value(function: str, content: Json, expected: Any) -> None:
    """Without any event the value is that of the seed."""
    seed = seed_of(function, MARCH_1, content)
    assert previewed([], definition(function, "cat", cutoff=MARCH_1), seed=seed) == expected


def test_26_a_seed_never_leaves_a_rolling_range() -> None:
    """Case 26: 7 and one event make 8; when the event has left the range, 7."""
    period = {"type": "within", "within": 5, "within_unit": "days"}
    active, section = known(definition("count", period=period, cutoff=MARCH_1)), Section(1, 1)
    assert plant(section, 1, seed_of("count", MARCH_1, {"value": 7}, "ca1"), active, ()) == {1: "7"}
    event = buy("03-09T13:00")
    assert apply(section, stored(event), active, AS_OF_MS) == {1: "8"}
    assert expire(section, active, ms("03-14T13:00")) == {}
    assert expire(section, active, ms("03-14T13:00") + 1) == {1: "7"}


@pytest.mark.parametrize(
    ("function", "content", "expected"),
    [
        ("count", {"value": 1}, "No matching calculated attribute definition found"),
        ("sum", {"value": "abc"}, "Seed value must be numeric"),
        ("sum", {"value": True}, "Seed value must be numeric"),
        ("sum", {}, "Seed value is required"),
        ("sum", None, "Seed value is required"),
        (
            "sum",
            {"value": 1, "list": ["a"]},
            "Seed must have exactly one of value, key_value_pairs, list",
        ),
    ],
)
def test_27_what_is_wrong_is_said_with_the_name(function: str, content: Any, expected: str) -> None:
    """Case 27: of a calculated attribute `LTV` that is a sum."""
    target = SeedTarget(7, "LTV", "sum", ms("03-01T00:00"))
    sent = {
        "attribute_name": "LTV",
        "calculation_type": function,
        "cutoff_date": MARCH_1,
        "seed": content,
    }
    with pytest.raises(SeedsInvalid) as caught:
        read_seeds([sent], {"LTV": [target]})
    assert caught.value.messages == [f"LTV: {expected}"]


@pytest.mark.parametrize(
    ("function", "content", "expected"),
    [
        (
            "average",
            {"key_value_pairs": {"sum": 1, "count": 0}},
            "Seed count must be a positive integer",
        ),
        ("average", {"key_value_pairs": {"count": 1}}, "Seed value must be numeric"),
        ("average", {"value": 1}, "Seed key_value_pairs is required"),
        (
            "most_frequent",
            {"key_value_pairs": {"a": 1.5}},
            "Seed count must be a positive integer",
        ),
        ("unique_list", {"list": "a"}, "Seed list is required"),
        ("unique_list", {"list": []}, "Seed list is required"),
        ("unique_values_count", {"list": [None]}, "Seed list is required"),
        ("count", {"value": -1}, "Seed value must be an integer of at least 0"),
        (
            "last_occurrence_timestamp",
            {"value": "2026-03-01"},
            "Seed timestamp must be epoch milliseconds",
        ),
    ],
)
def test_27_each_function_has_its_form(function: str, content: Any, expected: str) -> None:
    """Case 27, and the other texts of section 8."""
    with pytest.raises(SeedsInvalid) as caught:
        seed_of(function, MARCH_1, content)
    assert caught.value.messages == [f"ltv: {expected}"]


def test_27_one_problem_each() -> None:
    """A problem is said of each seed, a second seed for one attribute is one."""
    target = SeedTarget(7, "ltv", "sum", ms("03-01T00:00"))
    good = {
        "attribute_name": "ltv",
        "calculation_type": "sum",
        "cutoff_date": MARCH_1,
        "seed": {"value": 1},
    }
    sent = [good, good, good | {"cutoff_date": "03/01/2026"}, {}, good | {"cutoff_date": MARCH_3}]
    with pytest.raises(SeedsInvalid) as caught:
        read_seeds(sent, {"ltv": [target]})
    assert caught.value.messages == [
        "ltv: Duplicate seed",
        "ltv: Invalid cutoff_date",
        "attribute_name is required",
        "ltv: No matching calculated attribute definition found",
    ]


def test_28_a_new_seed_takes_the_place_of_the_former() -> None:
    """Case 28: the value follows the last seed; after an edit of the cut-off it is live only."""
    defined = definition("sum", "amt", cutoff=MARCH_1)
    active, section = known(defined), Section(1, 1)
    apply(section, stored(*BUYS), active, AS_OF_MS)
    plant(section, 1, seed_of("sum", MARCH_1, {"value": 100}, "ca1"), active, ())
    assert values(section, active) == {"ca1": "127.3"}
    changed = plant(section, 1, seed_of("sum", MARCH_1, {"value": 50}, "ca1"), active, ())
    assert changed == {1: "77.3"}

    edited = Attribute(1, "ca1", 2, definition("sum", "amt", cutoff=MARCH_3))
    active = KnownAttributes(LiveAttributes(2, (edited,)), WORKSPACE)
    assert values(section, active) == {"ca1": "77.3"}, "until it is calculated anew"
    changed = rebuild(section, [stored(*BUYS)], active.index_of({1}), AS_OF_MS, 0)
    assert changed == {1: "-3"}
    assert section.calculated[1].seed is None
    changed = plant(section, 1, seed_of("sum", MARCH_3, {"value": 50}, "ca1"), active, ())
    assert changed == {1: "47"}


def test_a_seed_that_came_early_has_effect_at_activation() -> None:
    """Seeds of a draft wait; those of one that is being initialised too."""
    defined = definition("count", cutoff=MARCH_1)
    seed, section = seed_of("count", MARCH_1, {"value": 7}, "ca1"), Section(1, 1)
    assert plant(section, 1, seed, known(), ()) == {}
    active = known(defined)
    assert values(section, active) == {}
    assert apply(section, stored(BUYS[0]), active, AS_OF_MS, waiting={1}) == {}
    assert plant(section, 1, seed, active, {1}) == {}
    assert rebuild(section, [stored(BUYS[0])], active.index_of({1}), AS_OF_MS, 0) == {1: "8"}


def test_13_a_seed_of_the_draft_of_an_active_attribute_waits_for_its_activation() -> None:
    """Cases 13 and 28: until then the value follows the seed in force, and after it the new one."""
    active, section = known(definition("sum", "amt", cutoff=MARCH_1)), Section(1, 1)
    apply(section, stored(*BUYS), active, AS_OF_MS)
    plant(section, 1, seed_of("sum", MARCH_1, {"value": 100}, "ca1"), active, ())
    assert plant(section, 1, seed_of("sum", MARCH_3, {"value": 50}, "ca1"), active, ()) == {}
    assert values(section, active) == {"ca1": "127.3"}
    apply(section, stored(buy("03-09T13:00", amt="1")), active, AS_OF_MS)
    rebuild(section, [stored(*BUYS)], active.index, AS_OF_MS, 0)
    section = msgspec.msgpack.decode(msgspec.msgpack.encode(section), type=Section)
    assert values(section, active) == {"ca1": "127.3"}

    edited = Attribute(1, "ca1", 2, definition("sum", "amt", cutoff=MARCH_3))
    assert calculate(edited, [stored(*BUYS)], WORKSPACE, AS_OF_MS, section.calculated[1]) == "47"
    active = KnownAttributes(LiveAttributes(2, (edited,)), WORKSPACE)
    assert rebuild(section, [stored(*BUYS)], active.index, AS_OF_MS, 0) == {1: "47"}


def test_a_seed_of_a_draft_waits_for_users_of_whom_nothing_has_come() -> None:
    """Events and a seed in force come between; an activation that it is not for deletes it."""
    active, section = known(definition("sum", "amt", cutoff=MARCH_1)), Section(1, 1)
    plant(section, 1, seed_of("sum", MARCH_3, {"value": 50}, "ca1"), active, ())
    assert values(section, active) == {}
    apply(section, stored(*BUYS), active, AS_OF_MS)
    plant(section, 1, seed_of("sum", MARCH_1, {"value": 100}, "ca1"), active, ())
    assert values(section, active) == {"ca1": "127.3"}
    other = Attribute(1, "ca1", 2, definition("max", "amt", cutoff=MARCH_3))
    active = KnownAttributes(LiveAttributes(2, (other,)), WORKSPACE)
    rebuild(section, [stored(*BUYS)], active.index, AS_OF_MS, 0)
    assert (section.calculated[1].seed, section.calculated[1].next_seed) == (None, None)
    assert values(section, active) == {"ca1": "-3"}


@pytest.mark.parametrize("amt", ["5", "n/a"])
def test_a_seed_that_no_initialization_came_to_is_gone_on_from(amt: str) -> None:
    """Such were left by earlier versions: what comes now counts, and so does the seed."""
    seed, section = seed_of("sum", MARCH_1, {"value": 100}, "ca1"), Section(1, 1)
    active = known(definition("sum", "amt", cutoff=MARCH_1))
    for again in (False, True):
        section.calculated[1] = CalculatedState(seed=seed)
        if again:
            assert plant(section, 1, seed, active, ()) == {1: "100"}
        apply(section, stored(buy("03-09T13:00", amt=amt)), active, AS_OF_MS)
        assert values(section, active) == {"ca1": "105" if amt == "5" else "100"}


def test_seed_values_take_the_first_of_100_places() -> None:
    """A value of the seed is counted even if 100 others came before it."""
    texts = [f"v{number:03}" for number in range(150)] + ["zinc"] * 3
    events = [buy(ms("03-02T00:00") + at, cat=text) for at, text in enumerate(texts)]
    seed = seed_of("most_frequent", MARCH_1, {"key_value_pairs": {"zinc": 1}})
    for period in ({"type": "all"}, {"type": "within", "within": 9, "within_unit": "days"}):
        defined = definition("most_frequent", "cat", cutoff=MARCH_1, period=period)
        assert previewed(events, defined, seed=seed) == "zinc"
        assert previewed(events, defined) == "v000"
