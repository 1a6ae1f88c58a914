"""Event tiers: what is kept."""

import pytest
from msgspec.structs import replace

from actors.model.batches import Event
from actors.profiles.tiers import event_name, kept_events
from tests.actors.profiles.builders import WORKSPACE, batch, event

PING = event("custom_event", event_name="Ping")
PONG = event("custom_event", event_name="Pong")
PURCHASE = event("commerce_event", custom_event_type="purchase", product_action={})
NAMELESS = event("screen_view")
CRASH = event("crash_report")


@pytest.mark.parametrize(
    ("named", "name"),
    [
        (PING, "Ping"),
        (event("screen_view", screen_name="Home"), "Home"),
        (NAMELESS, None),
        (PURCHASE, "purchase"),
        (
            event("application_state_transition", application_transition_type="application_exit"),
            "application_exit",
        ),
        (CRASH, "crash_report"),
    ],
)
def test_an_event_is_known_by_what_names_its_data_point(named: Event, name: str | None) -> None:
    """spec/rules.md, 8."""
    assert event_name(named) == name


@pytest.mark.parametrize(
    ("default", "tiers", "kept"),
    [
        pytest.param("personalize", {}, [PING, PONG, PURCHASE, NAMELESS, CRASH], id="all"),
        pytest.param(
            "personalize",
            {"Ping": "connect", "Pong": "preserve", "purchase": "connect"},
            [PONG, NAMELESS, CRASH],
            id="profiles case 27: connect is not kept",
        ),
        pytest.param("connect", {"Pong": "preserve"}, [PONG], id="only what has another tier"),
    ],
)
def test_events_of_tier_connect_are_not_kept(
    default: str, tiers: dict[str, str], kept: list[Event]
) -> None:
    """spec/profiles.md, worked case 27, part on what is stored."""
    workspace = replace(WORKSPACE, default_tier=default, tiers=tiers)
    sent = batch(PING, PONG, PURCHASE, NAMELESS, CRASH)
    assert kept_events(sent, workspace) == kept
    assert len(sent.events) == 5
