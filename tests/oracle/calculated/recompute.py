"""The value of a calculated attribute, by going through everything again.

Source: spec/calculated-attributes.md, 2 to 5 and 8. Written from the spec alone and independent of
`actors.calculated`, which is checked against it.
"""

import math
from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from actors.model.batches import StoredBatch
from actors.model.workspaces import WorkspaceInfo
from tests.oracle.calculated.rows import (
    DAY_MS,
    Json,
    Qualifying,
    UsedRow,
    in_range,
    qualifying,
)
from tests.oracle.texts import EPOCH, instant_ms, number

MOST_TRACKED = 100
MOST_COUNTED = 10_000

Value = str | list[str] | None


def calculated_value(
    definition: Json,
    batches: Iterable[StoredBatch],
    workspace: WorkspaceInfo,
    now_ms: int,
    *,
    seed: Any = None,
    activated_ms: int | None = None,
) -> Value:
    """Return the text, or the list of texts, of one user's value; `None` for null.

    Args:
        definition: as canonical JSON, `min` and `max` by these names.
        batches: of the user, in any order; `log_id` is the order of arrival.
        workspace: its tiers and lookback count.
        now_ms: the evaluation time; events after it are not seen.
        seed: the member `value`, `key_value_pairs` or `list` of the user's seed, `None` without.
        activated_ms: when the definition was activated: of what was stored by then only the
            lookback is seen, and historical batches received later do not count. By default
            everything counts.
    """
    events = qualifying(definition, batches, workspace, now_ms)
    if activated_ms is not None:
        start_ms = activated_ms - workspace.audience_event_days * DAY_MS
        events = [each for each in events if _counts(each, activated_ms, start_ms)]
    cutoff = (definition.get("seeding") or {}).get("cutoff_date")
    if cutoff is not None:
        cutoff_ms = instant_ms(cutoff)
        assert cutoff_ms is not None
        events = [each for each in events if each.seen.t_ms >= cutoff_ms]
    period = definition["time_period"]
    inside = in_range(period, events, now_ms)
    # What is before `since` never was inside; what a range has moved past once was.
    ever = inside if period["type"] == "since" else events
    function = _FUNCTIONS[definition["calculation_type"]]
    live = [row for each in inside for row in each.rows]
    return function(definition, live, seed, any(each.rows for each in ever))


def number_text(value: float) -> str:
    """Return a number as a value shows it (2.3)."""
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = f"{value:.15g}"
    is_plain = abs(value) >= 1e-6 and "e+" not in text
    return format(Decimal(text), "f") if is_plain else text


def timestamp_text(at_ms: int) -> str:
    """Return an instant as a value shows it (2.3)."""
    instant = EPOCH + timedelta(milliseconds=at_ms)
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def flat_text(values: list[str]) -> str:
    """Return a list as it stands in CSV files and the user interface (2.3)."""
    return ",".join('"' + value.replace('"', '""') + '"' for value in values)


def alphabetical(values: Iterable[str]) -> list[str]:
    """Sort by case-folded, then by raw code points."""
    return sorted(values, key=lambda value: (value.casefold(), value))


def _counts(event: Qualifying, activated_ms: int, start_ms: int) -> bool:
    stored = event.seen.stored
    if stored.received_ms <= activated_ms:
        return event.seen.t_ms >= start_ms
    return not stored.is_historical


def _numbers(live: list[UsedRow]) -> list[tuple[float, float]]:
    """Return (weight, number) of the rows of a numeric function."""
    return [(row.weight, value) for row in live if (value := number(row.value)) is not None]


def _seed_number(seed: Any) -> float:
    value = number(str(seed))
    assert value is not None
    return value


def _count(definition: Json, live: list[UsedRow], seed: Any, was_usable: bool) -> Value:
    datapoint = definition["datapoint"]
    by_quantity = (
        datapoint.get("use_product_quantity")
        and datapoint.get("attribute_category") == "product_attribute"
    )
    if by_quantity:
        count = math.fsum(row.weight for row in live)
    else:
        count = float(len({row.seen.order for row in live}))
    if seed is not None:
        return number_text(count + _seed_number(seed))
    return number_text(count) if live or was_usable else None


def _sum(_: Json, live: list[UsedRow], seed: Any, was_usable: bool) -> Value:
    numbers = _numbers(live)
    products = [weight * value for weight, value in numbers]
    if seed is not None:
        return number_text(math.fsum([*products, _seed_number(seed)]))
    return number_text(math.fsum(products)) if numbers or was_usable else None


def _extreme(definition: Json, live: list[UsedRow], seed: Any, _: bool) -> Value:
    pick = min if definition["calculation_type"] == "min" else max
    values = [value for _, value in _numbers(live)]
    if seed is not None:
        values.append(_seed_number(seed))
    return number_text(pick(values)) if values else None


def _average(_: Json, live: list[UsedRow], seed: Any, __: bool) -> Value:
    numbers = _numbers(live)
    total, weight = [weight * value for weight, value in numbers], [each for each, _ in numbers]
    if seed is not None:
        total.append(_seed_number(seed["sum"]))
        weight.append(_seed_number(seed["count"]))
    return number_text(math.fsum(total) / math.fsum(weight)) if weight else None


def _most_frequent(_: Json, live: list[UsedRow], seed: Any, __: bool) -> Value:
    weights: dict[str, list[float]] = {}
    for value in alphabetical(seed or {})[:MOST_TRACKED]:
        weights[value] = [_seed_number(seed[value])]
    for row in live:
        if row.value in weights or len(weights) < MOST_TRACKED:
            weights.setdefault(row.value, []).append(row.weight)
    if not weights:
        return None
    most = max(math.fsum(each) for each in weights.values())
    return alphabetical(value for value, each in weights.items() if math.fsum(each) == most)[0]


def _unique_count(_: Json, live: list[UsedRow], seed: Any, was_usable: bool) -> Value:
    values = {row.value for row in live} | set(map(str, seed or ()))
    if not values and seed is None and not was_usable:
        return None
    return number_text(float(min(len(values), MOST_COUNTED)))


def _unique_list(_: Json, live: list[UsedRow], seed: Any, __: bool) -> Value:
    kept = dict.fromkeys([*map(str, seed or ()), *(row.value for row in live)])
    return alphabetical(list(kept)[:MOST_TRACKED]) or None


def _first(_: Json, live: list[UsedRow], seed: Any, __: bool) -> Value:
    if seed is not None:
        return str(seed)
    return min(live, key=lambda row: row.place).value if live else None


def _last(_: Json, live: list[UsedRow], seed: Any, __: bool) -> Value:
    if live:
        return max(live, key=lambda row: row.place).value
    return None if seed is None else str(seed)


def _instants(definition: Json, live: list[UsedRow]) -> list[int]:
    is_of_part = definition["datapoint"].get("attribute_category") in (
        "product_attribute",
        "promotion_attribute",
    )
    return [
        row.seen.stored.received_ms
        if is_of_part and row.seen.event.event_type == "commerce_event"
        else row.seen.t_ms
        for row in live
    ]


def _first_timestamp(definition: Json, live: list[UsedRow], seed: Any, _: bool) -> Value:
    if seed is not None:
        return timestamp_text(int(seed))
    return timestamp_text(min(_instants(definition, live))) if live else None


def _last_timestamp(definition: Json, live: list[UsedRow], seed: Any, _: bool) -> Value:
    if live:
        return timestamp_text(max(_instants(definition, live)))
    return None if seed is None else timestamp_text(int(seed))


_FUNCTIONS = {
    "count": _count,
    "sum": _sum,
    "min": _extreme,
    "max": _extreme,
    "average": _average,
    "most_frequent": _most_frequent,
    "unique_values_count": _unique_count,
    "unique_list": _unique_list,
    "first_occurrence": _first,
    "last_occurrence": _last,
    "first_occurrence_timestamp": _first_timestamp,
    "last_occurrence_timestamp": _last_timestamp,
}
