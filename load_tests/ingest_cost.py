"""What calculated attributes and audiences add to the cost of an event.

Two deployments in this process get the same batches, turn by turn: one has nothing to keep current,
the other 20 calculated attributes and 100 audiences of what the batches hold. Only processor time
is compared.
"""

import statistics
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from actors.audience_worker import AudienceWorker
from actors.audiences.criteria import Node
from actors.audiences.language.definition import read_definition
from actors.audiences.language.references import References
from actors.audiences.told import LiveAudience, LiveAudiences
from actors.calculated.definition import LiveAttributes
from actors.clock import Clock
from load_tests.calculated import attributes
from load_tests.draws import Draws, zipf_ranks
from load_tests.in_process import InProcess
from load_tests.people import Person
from load_tests.steady import CpuClock, Sender, Template, template

BATCHES_PER_REQUEST = 100
_NAMES = ("Searched", "Played Video", "Applied Filter", "Shared")
_ACTIONS = ("purchase", "add_to_cart", "view_detail", "checkout")
_DAYS = (1, 3, 7, 14, 30)


class CostOptions(Struct, frozen=True, kw_only=True):
    """How much is sent: in each round as many batches, of people of whom some send more."""

    users: int
    rounds: int
    batches: int
    events_per_batch: int
    attributes: int
    audiences: int
    seed: int


class CostResult(Struct, kw_only=True):
    """Microseconds of processor time per event without and with, and their ratio by round."""

    events: int
    without_us: float
    with_us: float
    ratios: list[float]
    ratio: float


def audience_documents(count: int, seed: int) -> list[dict[str, Any]]:
    """Return definitions of two to four criteria on what load batches hold, as one writes them."""
    draws = Draws(seed)
    made = []
    for _ in range(count):
        criteria = [_criterion(draws) for _ in range(2 + draws.below(3))]
        made.append({draws.pick(("and", "and", "or")): criteria})
    return made


def definitions(count: int, seed: int) -> list[Node]:
    """Return `audience_documents` as they are read."""
    known = References(workspaces=frozenset({1}), now_ms=0)
    return [read_definition(each, known).node for each in audience_documents(count, seed)]


def _criterion(draws: Draws) -> dict[str, Any]:
    choice = draws.below(10)
    window = {"value": draws.pick(_DAYS), "unit": "days"}
    count = {"operator": "greater_or_equal", "value": 1 + draws.below(4)}
    if choice < 3:
        name = draws.pick(_NAMES)
        kind = {"event_type": "custom_event", "event_name": name}
        return {"type": "event", **kind, "within": window, "count": count}
    if choice < 6:
        kind = {"event_type": "commerce_event", "action": draws.pick(_ACTIONS)}
        found: dict[str, Any] = {"type": "event", **kind, "within": window, "count": count}
        if draws.chance(0.5):
            found["where"] = {
                "attribute_name": "price",
                "attribute_category": "product_attribute",
                "type": "number",
                "operator": "greater_than",
                "value": draws.below(200),
            }
        return found
    if choice < 8:
        attribute = {"type": "user_attribute", "attribute_name": draws.pick(("tier", "$city"))}
        values = ["gold", "silver", "Lisbon", "Oslo", "Turin"]
        return {**attribute, "operator": "equals", "value": draws.pick(values)}
    if choice < 9:
        age = {"type": "user_attribute", "attribute_name": "$age", "value_type": "number"}
        return {**age, "operator": "greater_than", "value": 18 + draws.below(50)}
    return {"type": "last_seen", "operator": "within_last", **window}


def keep_current(deployment: InProcess, options: CostOptions, clock: Clock) -> None:
    """Give a deployment its calculated attributes and audiences."""
    live = LiveAudiences(
        version=1,
        audiences=tuple(
            LiveAudience(
                number=number,
                revision=1,
                type="real_time",
                name=f"a{number}",
                external_name=f"a{number}",
                environment="production",
                node=node,
            )
            for number, node in enumerate(definitions(options.audiences, options.seed), 1)
        ),
    )
    known = attributes(options.attributes)
    wanted = tuple(each.attribute for each in known.by_number.values())
    for shard in deployment.shards:
        worker = AudienceWorker(shard, clock)
        worker.set_calculated_attributes(LiveAttributes(1, wanted))
        worker.set_audiences(live)
        while worker.audience_step():
            pass


async def measure(
    plain: InProcess, full: InProcess, options: CostOptions, clock: Clock, cpu: CpuClock
) -> CostResult:
    """Send the same to both. Raises NotSteady if something is refused."""
    senders = Sender(plain, cpu), Sender(full, cpu)
    people = [Person(options.seed, number) for number in range(options.users)]
    draws = Draws(options.seed)
    ratios: list[float] = []
    totals = [0.0, 0.0]
    events = 0
    for number in range(options.rounds + 1):
        now_s = clock.now_ms() // 1000 - 1
        ranks = zipf_ranks(options.users, options.batches, options.seed + number).tolist()
        sent = [people[rank].next_batch(options.events_per_batch, draws) for rank in ranks]
        templates = [
            template(batch | {"user_identities": {"customer_id": people[rank].customer_id}}, now_s)
            for rank, batch in zip(ranks, sent, strict=True)
        ]
        taken = await _by_turns(senders, templates, number)
        if number == 0:
            continue  # caches, and people who are new
        ratios.append(taken[1] / taken[0])
        totals = [total + one for total, one in zip(totals, taken, strict=True)]
        events += sum(len(batch["events"]) for batch in sent)
    return CostResult(
        events=events,
        without_us=totals[0] / events * 1e6,
        with_us=totals[1] / events * 1e6,
        ratios=ratios,
        ratio=statistics.median(ratios),
    )


async def _by_turns(
    senders: tuple[Sender, Sender], templates: Sequence[Template], number: int
) -> list[float]:
    """Send all to both, request by request; neither is always the one that comes second."""
    taken = [0.0, 0.0]
    for place, start in enumerate(range(0, len(templates), BATCHES_PER_REQUEST)):
        some = templates[start : start + BATCHES_PER_REQUEST]
        first = (number + place) % 2
        for which in (first, 1 - first):
            taken[which] += await senders[which].send(some)
    return taken
