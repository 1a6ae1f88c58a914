"""The workspace that runs with faults serve: counters, audiences, and outputs that misbehave."""

from typing import Any

from ruamel.yaml import YAML

from load_tests.server_process import WORKSPACE

EVENT = "Ping"
WEB_KEY = "us1-faults-web-key"
# Users are members from so many events on; a doubled or lost one moves somebody over a threshold.
THRESHOLDS = tuple(range(1, 41))
COUNT, SUM = "pings", "weight"
HOOKS = ("single", "together")
_RETRY = {"base": "200ms", "cap": "1s"}
_AS_IT_IS = {"send_as_batch": False}
# What came within a moment is sent as one; without a wait of one's own it would be ten minutes.
_COLLECTED = {"send_as_batch": True, "batch": {"max_wait_s": 0.3}}
_BREAKER = {"open_for": "200ms"}


def workspace_document(events: dict[str, str], audiences: str) -> dict[str, Any]:
    """Return the document.

    Args:
        events: name of `HOOKS` to the address of an event webhook.
        audiences: the address of the audience webhook.
    """
    document: dict[str, Any] = YAML(typ="safe").load(WORKSPACE)
    document["workspace"]["limits"]["identity_requests_per_second"] = 0
    document["inputs"].append(
        {
            "id": "web",
            "kind": "platform",
            "os": "MobileWeb",
            "name": "Web",
            "keys": [{"key": WEB_KEY, "secret": "load-secret"}],
        }
    )
    document["outputs"] = [_hook(name, "event", url) for name, url in events.items()]
    document["outputs"].append(_hook("members", "audience", audiences))
    document["connections"] = [
        {
            "id": f"backend-{name}",
            "input": "backend",
            "output": name,
            "settings": _AS_IT_IS if name == "single" else _COLLECTED,
        }
        for name in events
    ]
    document["calculated_attributes"] = [
        {"id": COUNT, "name": COUNT, "definition": _attribute("count", None)},
        {"id": SUM, "name": SUM, "definition": _attribute("sum", "w")},
    ]
    document["audiences"] = [
        {
            "id": audience_id(least),
            "name": audience_id(least),
            "definition": {"and": [_counted(least)]},
            "subscriptions": [{"output": "members"}],
        }
        for least in THRESHOLDS
    ]
    return document


def audience_id(least: int) -> str:
    """Return the id of the audience of those with at least so many events."""
    return f"at-least-{least}"


def _hook(name: str, kind: str, url: str) -> dict[str, Any]:
    settings = {"url": url, "allow_insecure": True, "timeout_s": 5}
    return {
        "id": name,
        "kind": kind,
        "module": "webhook",
        "name": name,
        "settings": settings,
        "retry": _RETRY,
        "breaker": _BREAKER,
    }


def _attribute(function: str, attribute: str | None) -> dict[str, Any]:
    return {
        "recipe_type": "event",
        "datapoint": {
            "type": "event",
            "event_type": "custom_event",
            "event_name": EVENT,
            "custom_event_type": None,
            "attribute_name": attribute,
            "attribute_category": None,
            "use_product_quantity": False,
        },
        "conditions": None,
        "calculation_type": function,
        "time_period": {"type": "since", "date": "2025-12-31"},
    }


def _counted(least: int) -> dict[str, Any]:
    return {
        "type": "event",
        "event_type": "custom_event",
        "event_name": EVENT,
        "within": {"value": 30, "unit": "days"},
        "count": {"operator": "greater_or_equal", "value": least},
    }
