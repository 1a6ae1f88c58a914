"""What calculated attributes cost: `python -m load_tests.calculated`.

Applies generated batches to users in this process, without a store, and prints what 20 definitions
cost an event and take of a profile, and what 100 cost a batch.
"""

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

import click
import msgspec
import orjson

from actors.batches.decode import decode_batch
from actors.calculated.applying import apply
from actors.calculated.definition import DAY_MS, Attribute, LiveAttributes
from actors.calculated.live import KnownAttributes
from actors.calculated.reading import canonical, read_definition
from actors.calculated.validation import Bounds, check_definition
from actors.model.batches import BatchContext, StoredBatch
from actors.model.profiles import Section
from actors.model.workspaces import InputInfo, WorkspaceInfo
from load_tests.draws import Draws, zipf_ranks
from load_tests.journeys import SECONDS
from load_tests.people import Person

START_MS = 1_767_225_600_000
EVENTS_A_BATCH = 5
_INPUT = InputInfo(1, "web", "Shop", "platform", "MobileWeb", "web")
_WORKSPACE = WorkspaceInfo(
    number=1,
    id="w",
    name="W",
    account=1,
    organization=1,
    scope=1,
    inputs={1: _INPUT},
    priority=("customerid",),
    login_ids=frozenset(),
    unique_ids=frozenset(),
    immutable_ids=frozenset(),
)
_SINCE = {"type": "since", "date": "2025-12-31"}
_DEAR = {
    "type": "number",
    "operator": "greater_than",
    "attribute_name": "price",
    "value": "100",
}
_SHOP = {"type": "string", "operator": "equals", "attribute_name": "currency_code", "value": "eur"}

# Calculation, event type, event name or action, attribute, days (0: since), products, condition.
_WANTED: tuple[tuple[str, str, str | None, str | None, int, bool, Any], ...] = (
    ("sum", "commerce_event", "purchase", "total_amount", 0, False, _SHOP),
    ("count", "commerce_event", "purchase", None, 30, False, None),
    ("sum", "commerce_event", "purchase", "price", 30, True, None),
    ("average", "commerce_event", "purchase", "total_amount", 30, False, None),
    ("max", "commerce_event", "purchase", "total_amount", 0, False, None),
    ("last_occurrence_timestamp", "commerce_event", "purchase", None, 0, False, None),
    ("first_occurrence_timestamp", "commerce_event", "purchase", None, 0, False, None),
    ("most_frequent", "commerce_event", "view_detail", "category", 30, True, None),
    ("last_occurrence", "commerce_event", "view_detail", "name", 0, True, None),
    ("unique_list", "commerce_event", "view_detail", "category", 0, True, None),
    ("count", "commerce_event", "add_to_cart", None, 7, True, _DEAR),
    ("count", "screen_view", None, None, 7, False, None),
    ("last_occurrence", "screen_view", None, "screen_name", 30, False, None),
    ("count", "custom_event", "Searched", None, 7, False, None),
    ("last_occurrence", "custom_event", "Searched", "category", 0, False, None),
    ("unique_values_count", "custom_event", "Played Video", "category", 30, False, None),
    ("max", "custom_event", "Applied Filter", "position", 7, False, None),
    ("count", "session_start", None, None, 30, False, None),
    ("most_frequent", "session_start", None, "entry", 0, False, None),
    ("average", "session_end", None, "session_duration_ms", 30, False, None),
)


def attribute_documents(count: int) -> list[dict[str, Any]]:
    """Return so many definitions: those of `_WANTED`, over and over with other ranges."""
    made = []
    for number in range(count):
        round_, wanted = divmod(number, len(_WANTED))
        function, event_type, name, attribute, days, is_product, condition = _WANTED[wanted]
        period = (
            {"type": "within", "within": max(days - round_, 1), "within_unit": "days"}
            if days
            else _SINCE
        )
        definition = {
            "recipe_type": "event",
            "datapoint": {
                "type": "event",
                "event_type": event_type,
                "event_name": name,
                "custom_event_type": name if event_type == "commerce_event" else None,
                "attribute_name": attribute,
                "attribute_category": "product_attribute" if is_product else None,
                "use_product_quantity": is_product,
            },
            "conditions": None if condition is None else [condition],
            "calculation_type": function,
            "time_period": period,
        }
        messages = check_definition(definition, Bounds(30), START_MS)
        if messages:
            raise ValueError(f"{function}: {messages}")
        made.append(definition)
    return made


def attributes(count: int) -> KnownAttributes:
    """Return so many active attributes, of `attribute_documents`."""
    made = [
        Attribute(number, f"ca{number}", 1, read_definition(canonical(each)))
        for number, each in enumerate(attribute_documents(count), 1)
    ]
    return KnownAttributes(LiveAttributes(1, tuple(made)), _WORKSPACE)


def batches(users: int, count: int, seed: int) -> Iterator[tuple[int, StoredBatch]]:
    """Yield users and what they send within 30 days, in order of receipt."""
    draws, people = Draws(seed), {}
    times = sorted(draws.below(30 * DAY_MS) for _ in range(count))
    for log_id, (user, offset_ms) in enumerate(
        zip(zipf_ranks(users, count, seed).tolist(), times, strict=True), 1
    ):
        if user not in people:
            people[user] = Person(seed, user)
        received_ms = START_MS + offset_ms
        body = orjson.dumps(people[user].next_batch(EVENTS_A_BATCH, draws))
        raw = body.replace(str(SECONDS).encode(), str(received_ms // 1000 - 1).encode())
        context = BatchContext(1, "key", "server_to_server", received_ms)
        batch = decode_batch(raw, context, _WORKSPACE)
        yield (
            user,
            StoredBatch(
                log_id, 0, 1, 1, user, 1, received_ms, "server_to_server", False, None, batch
            ),
        )


def measure(sent: list[tuple[int, StoredBatch]], known: KnownAttributes) -> dict[str, float]:
    """Apply batches; return CPU time per event and batch, and bytes per user."""
    sections: dict[int, Section] = {}
    spent_ns: list[int] = []
    changes = 0
    for user, stored in sent:
        section = sections.setdefault(user, Section(0, 0))
        started_ns = time.process_time_ns()
        changed = apply(section, stored, known, stored.received_ms)
        spent_ns.append(time.process_time_ns() - started_ns)
        changes += len(changed)
    encode = msgspec.msgpack.Encoder().encode
    sizes = [len(encode(section.calculated)) for section in sections.values()]
    states = [len(section.calculated) for section in sections.values()]
    return {
        "us_per_event": sum(spent_ns) / 1000 / len(sent) / EVENTS_A_BATCH,
        "median_us_per_batch": median(spent_ns) / 1000,
        "p99_us_per_batch": sorted(spent_ns)[len(spent_ns) * 99 // 100] / 1000,
        "changes_per_batch": changes / len(sent),
        "mean_bytes_per_user": sum(sizes) / len(sizes),
        "max_bytes_per_user": max(sizes),
        "mean_states_per_user": sum(states) / len(states),
    }


@click.command()
@click.option("--users", default=2000, show_default=True)
@click.option("--batches", "count", default=20_000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(users: int, count: int, seed: int) -> None:
    """Measure 20 and 100 active definitions over the same batches."""
    sent = list(batches(users, count, seed))
    for active in (20, 100):
        click.echo(f"{active} active calculated attributes, {count} batches of {users} users")
        for name, value in measure(sent, attributes(active)).items():
            click.echo(f"  {name:24}{value:12.1f}")


if __name__ == "__main__":
    main()
