"""Stored batches and definitions of calculated attributes, as short as their tests need them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from actors.calculated.applying import calculate
from actors.calculated.definition import Attribute, Definition, LiveAttributes
from actors.calculated.live import KnownAttributes
from actors.calculated.reading import canonical, read_definition
from actors.calculated.state import CalculatedState, Seed, Value
from actors.calculated.validation import Bounds, check_definition
from actors.model.batches import Batch, Event, StoredBatch
from actors.model.workspaces import WorkspaceInfo
from tests.actors.profiles.builders import WORKSPACE

Json = dict[str, Any]
UNBOUND = Bounds(retention_days=None, has_extended_windows=True)


def ms(text: str) -> int:
    """Return an instant of 2026, UTC: `03-04T10:00` or `03-04T10:00:00.000`."""
    return round(datetime.fromisoformat(f"2026-{text}+00:00").timestamp() * 1000)


AS_OF_MS = ms("03-10T13:00")


def buy(at: str | int, **attributes: str | None) -> Event:
    """Return a custom event `Buy`."""
    time_ms = ms(at) if isinstance(at, str) else at
    data = {
        "event_name": "Buy",
        "custom_event_type": "transaction",
        "custom_attributes": dict(attributes),
    }
    return Event("custom_event", time_ms, data)


def purchase(at: str | int, products: Sequence[Json], **attributes: str) -> Event:
    """Return a purchase."""
    time_ms = ms(at) if isinstance(at, str) else at
    data = {
        "custom_event_type": "purchase",
        "product_action": {"action": "purchase", "products": list(products)},
        "custom_attributes": attributes,
    }
    return Event("commerce_event", time_ms, data)


def stored(*events: Event, received_ms: int = AS_OF_MS, log_id: int = 1) -> StoredBatch:
    """Return a batch of these events."""
    return StoredBatch(
        log_id=log_id,
        previous_log_id=0,
        workspace=WORKSPACE.number,
        scope=WORKSPACE.scope,
        mpid=1,
        input=1,
        received_ms=received_ms,
        channel="server_to_server",
        is_historical=False,
        device_key=None,
        batch=Batch("production", received_ms, list(events)),
    )


def definition_json(
    calculation: str,
    attribute: str | None = None,
    *,
    datapoint: Json | None = None,
    conditions: Sequence[Json] = (),
    period: Json | None = None,
    cutoff: str | None = None,
) -> Json:
    """Return a definition over `Buy`, since 2026-02-15."""
    return {
        "recipe_type": "event",
        "datapoint": {
            "type": "event",
            "event_type": "custom_event",
            "event_name": "Buy",
            "attribute_name": attribute,
        }
        | (datapoint or {}),
        "conditions": list(conditions),
        "calculation_type": calculation,
        "time_period": period or {"type": "since", "date": "2026-02-15"},
        "seeding": None if cutoff is None else {"cutoff_date": cutoff},
    }


def definition(calculation: str, attribute: str | None = None, **members: Any) -> Definition:
    """Return a definition as a type, having checked it."""
    sent = definition_json(calculation, attribute, **members)
    assert check_definition(sent, UNBOUND, AS_OF_MS) == []
    return read_definition(canonical(sent))


def of_products(calculation: str, attribute: str | None, quantity: bool, **members: Any) -> Json:
    """Return the arguments of a definition over the products of purchases."""
    datapoint = {
        "event_type": "commerce_event",
        "event_name": "Purchase",
        "custom_event_type": "purchase",
        "attribute_category": "product_attribute",
        "use_product_quantity": quantity,
    }
    return {"calculation": calculation, "attribute": attribute, "datapoint": datapoint} | members


def condition(kind: str, name: str, operator: str, value: Any = None, **operands: Any) -> Json:
    """Return a condition."""
    return {
        "type": kind,
        "operator": operator,
        "attribute_name": name,
        "value": value,
    } | operands


def previewed(
    events: Sequence[Event],
    defined: Definition,
    as_of_ms: int = AS_OF_MS,
    seed: Seed | None = None,
    workspace: WorkspaceInfo = WORKSPACE,
) -> Value:
    """Return the value over these events, each in a batch of its own."""
    batches = [stored(each, log_id=at) for at, each in enumerate(events, 1)]
    former = CalculatedState(seed=seed)
    return calculate(Attribute(7, "ltv", 1, defined), batches, workspace, as_of_ms, former)


def known(*definitions: Definition, revision: int = 1) -> KnownAttributes:
    """Return these as active attributes 1, 2, ... named `ca1`, `ca2`, ..."""
    attributes = tuple(
        Attribute(number, f"ca{number}", revision, each)
        for number, each in enumerate(definitions, 1)
    )
    return KnownAttributes(LiveAttributes(1, attributes), WORKSPACE)
