"""What is kept up to date is what going through everything again gives.

Source: spec/calculated-attributes.md, worked case 32, over generated streams and definitions, with
seeds. Always the same ones.
"""

from random import Random
from typing import Any

import pytest

from actors.calculated.applying import apply, calculate, expire, next_expiry, plant, rebuild
from actors.calculated.definition import Attribute, LiveAttributes
from actors.calculated.live import KnownAttributes
from actors.calculated.reading import canonical, read_definition
from actors.calculated.seeds import SeedTarget, read_seeds
from actors.calculated.state import CalculatedState, Seed
from actors.calculated.validation import check_definition
from actors.model.batches import StoredBatch
from actors.model.profiles import Section
from tests.actors.calculated.builders import UNBOUND
from tests.oracle.audiences.fixture import DAY, HOUR, NOW, WORKSPACE
from tests.oracle.calculated.recompute import Value, calculated_value
from tests.oracle.calculated.streams import make_definition, make_seed, make_stream

NUMBER, NAME = 7, "ltv"
STREAMS, PARTS = 10_000, 10


def as_sent(function: str, seed: Any) -> dict[str, Any]:
    """Return a seed in the form that its function takes."""
    if isinstance(seed, dict):
        return {"key_value_pairs": seed}
    return {"list": seed} if isinstance(seed, list) else {"value": seed}


def read_seed(attribute: Attribute, seed: Any, cutoff: str) -> Seed:
    """Return a seed as the Seeding API takes it."""
    defined = attribute.definition
    assert defined.cutoff_ms is not None
    target = SeedTarget(NUMBER, NAME, defined.function, defined.cutoff_ms)
    sent = {
        "attribute_name": NAME,
        "calculation_type": defined.function,
        "cutoff_date": cutoff[:10],
        "seed": as_sent(defined.function, seed),
    }
    return read_seeds([sent], {NAME: (target,)})[NUMBER]


def present(section: Section) -> Value:
    """Return the value that is kept."""
    state = section.calculated.get(NUMBER)
    return None if state is None else state.value


def follow(randomness: Random) -> int:
    """Follow one stream; return how many times a value was compared and was not null."""
    shown = make_definition(randomness, NOW, is_extended=True)
    assert check_definition(shown, UNBOUND, NOW) == []
    shown = canonical(shown)
    attribute = Attribute(NUMBER, NAME, 1, read_definition(shown))
    known = KnownAttributes(LiveAttributes(1, (attribute,)), WORKSPACE)
    section, seed, planted = Section(NOW, NOW), None, None
    if shown["seeding"] is not None and randomness.random() < 0.6:
        seed = make_seed(randomness, shown["calculation_type"], NOW)
        planted = read_seed(attribute, seed, shown["seeding"]["cutoff_date"])
        plant(section, NUMBER, planted, known, ())
    came: list[StoredBatch] = []
    compared = 0

    def check(now_ms: int) -> None:
        nonlocal compared
        expected = calculated_value(shown, came, WORKSPACE, now_ms, seed=seed)
        assert present(section) == expected, (shown, seed, now_ms, came)
        compared += expected is not None

    arrivals = make_stream(randomness, shown, NOW - 20 * DAY)
    for arrival in arrivals:
        while (expiry_ms := next_expiry(section)) is not None and expiry_ms <= arrival.now_ms:
            expire(section, known, expiry_ms)
            if randomness.random() < 0.2:
                check(expiry_ms)
        came.append(arrival.stored)
        apply(section, arrival.stored, known, arrival.now_ms)
        if randomness.random() < 0.3:
            check(arrival.now_ms)
    last_ms = arrivals[-1].now_ms
    check(last_ms)
    anew = Section(NOW, NOW)
    if planted is not None:
        plant(anew, NUMBER, planted, known, (NUMBER,))
    rebuild(anew, came, known.index, last_ms, 0)
    assert present(anew) == present(section), (shown, seed)
    former = CalculatedState(seed=planted)
    assert calculate(attribute, came, WORKSPACE, last_ms, former) == present(section)
    last_ms += randomness.choice((1, HOUR, DAY, 7 * DAY))
    expire(section, known, last_ms)
    check(last_ms)
    return compared


@pytest.mark.parametrize("part", range(PARTS))
def test_32_incremental_is_full_recomputation(part: int) -> None:
    """Case 32: every function and range, at arrivals, at expiries and after an initialization."""
    randomness = Random(part)
    compared = sum(follow(randomness) for _ in range(STREAMS // PARTS))
    assert compared > STREAMS // PARTS
