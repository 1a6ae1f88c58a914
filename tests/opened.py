"""Users who open something again and again, and what a deployment keeps of it."""

from typing import Any

from tests.serving import WORKSPACE, Served
from tests.webhook_receiver import Receiver

EVENT = "Opened"
MORE = """
calculated_attributes:
  - id: opened
    name: opened
    active: true
    definition:
      recipe_type: event
      datapoint: {type: event, event_type: custom_event, event_name: Opened}
      calculation_type: count
      time_period: {type: since, date: "2025-12-31"}
audiences:
  - id: openers
    name: openers
    definition: {type: event, event_type: custom_event, event_name: Opened,
      within: {value: 30, unit: days}, count: {operator: greater_or_equal, value: 2}}
"""


def workspace_with(receiver: Receiver) -> str:
    """Return a document with what counts `Opened`, and a webhook."""
    url = f"http://127.0.0.1:{receiver.server_port}/in"
    outputs = WORKSPACE.replace(
        "connections:\n",
        "  - id: hook\n    kind: event\n    module: webhook\n    name: Hook\n"
        f"    settings: {{url: '{url}', allow_insecure: true}}\n"
        "    retry: {base: 200ms, cap: 500ms}\n    breaker: {open_for: 200ms}\n"
        "connections:\n  - {id: backend-hook, input: backend, output: hook}\n",
    )
    return outputs + MORE


def batch(user: str, number: int) -> dict[str, Any]:
    """Return a batch, of a user who opens something for the nth time."""
    return {
        "environment": "production",
        "user_identities": {"customer_id": user, "email": f"{user}@example.com"},
        "user_attributes": {"last": number},
        "events": [
            {
                "event_type": "custom_event",
                "data": {"event_name": EVENT, "custom_attributes": {"of": f"{user}/{number}"}},
            }
        ],
        "source_request_id": f"{user}-{number}",
    }


def memberships(served: Served, user: str) -> list[str]:
    """Return the names of the audiences that a user is in."""
    [mpid] = served.find(user)
    _, shown = served.get(f"/userprofile/v1/1/1/1/{mpid}?fields=audience_memberships")
    return [each["audience_name"] for each in shown["audience_memberships"]]
