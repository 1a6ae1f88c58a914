"""Install and uninstall attribution."""

from typing import Any
from uuid import UUID

import pytest

from actors.model.batches import Event
from tests.actors.profiles.builders import (
    DAY,
    NOW,
    STAMP,
    WORKSPACE,
    apply,
    batch,
    context,
    event,
    historical,
    new_profile,
    section,
)

SOURCE: dict[str, Any] = {"publisher": "Paper", "campaign": "Spring"}


def _attributed(name: str = "attribution", timestamp_ms: int = NOW, **source: Any) -> Event:
    return event(
        "custom_event",
        timestamp_ms,
        event_name=name,
        custom_event_type="attribution",
        custom_attributes=source,
    )


def test_an_install_event_sets_the_devices_attribution() -> None:
    """spec/events-api.md, worked case 44, first half."""
    profile = new_profile()
    apply(profile, batch(_attributed(timestamp_ms=NOW - 5, **SOURCE), mp_deviceid=STAMP))
    [install] = section(profile).attribution
    assert (install.event, install.device_key, install.timestamp_ms) == ("install", STAMP, NOW - 5)
    assert (install.publisher, install.campaign) == ("Paper", "Spring")
    assert install.service_provider is None


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(_attributed("re-engagement", **SOURCE), id="re-engagement"),
        pytest.param(_attributed("opened", **SOURCE), id="engagement"),
        pytest.param(_attributed(publisher="Paper"), id="no campaign"),
        pytest.param(_attributed(campaign="Spring", publisher=None), id="no publisher"),
        pytest.param(
            event(
                "custom_event",
                event_name="attribution",
                custom_event_type="other",
                custom_attributes=SOURCE,
            ),
            id="not of type attribution",
        ),
        pytest.param(
            event("custom_event", event_name="attribution", custom_event_type="attribution"),
            id="no attributes",
        ),
    ],
)
def test_no_other_event_sets_it(sent: Event) -> None:
    """spec/events-api.md, worked case 44, second half; 12.3."""
    profile = new_profile()
    apply(profile, batch(sent, mp_deviceid=STAMP))
    assert section(profile).attribution == []


def test_repeated_attribution_info_keeps_the_time_of_the_first() -> None:
    """Clients send it with every batch (spec/events-api.md, 7)."""
    profile = new_profile()
    info = {"service_provider": "Tracker", "publisher": "Paper"}
    for later in range(3):
        apply(profile, batch(mp_deviceid=STAMP, attribution_info=info), context(NOW + later))
    [install] = section(profile).attribution
    assert (
        install.service_provider,
        install.publisher,
        install.campaign,
        install.timestamp_ms,
    ) == (
        "Tracker",
        "Paper",
        None,
        NOW,
    )
    apply(profile, batch(mp_deviceid=STAMP, attribution_info=SOURCE), context(NOW + 9))
    [install] = section(profile).attribution
    assert (install.campaign, install.timestamp_ms) == ("Spring", NOW + 9)


def test_a_device_keeps_one_install_and_one_uninstall() -> None:
    """spec/profiles.md, 2.2."""
    profile = new_profile()
    for device in (STAMP, "other"):
        apply(profile, batch(_attributed(**SOURCE), mp_deviceid=device))
        apply(profile, batch(event("uninstall", NOW + 1), mp_deviceid=device))
    apply(profile, batch(event("uninstall", NOW + 2), mp_deviceid=STAMP))
    kept = [(one.event, one.device_key, one.timestamp_ms) for one in section(profile).attribution]
    assert kept == [
        ("install", STAMP, NOW),
        ("uninstall", STAMP, NOW + 2),
        ("install", "other", NOW),
        ("uninstall", "other", NOW + 1),
    ]


def test_history_replaces_no_newer_install() -> None:
    """spec/profiles.md, 3.1."""
    profile = new_profile()
    apply(profile, batch(_attributed(timestamp_ms=NOW - DAY, **SOURCE), mp_deviceid=STAMP))
    older = {"publisher": "Radio"}
    apply(profile, *historical(NOW - 5 * DAY, mp_deviceid=STAMP, attribution_info=older))
    assert [one.publisher for one in section(profile).attribution] == ["Paper"]


def test_a_device_that_is_dropped_at_once_leaves_no_attribution() -> None:
    """History of devices older than all that there is room for."""
    profile, limit = new_profile(), WORKSPACE.limits.devices
    for number in range(limit + 5):
        is_old = number >= limit
        sent_ms = NOW - DAY if is_old else NOW
        sent = batch(
            _attributed(timestamp_ms=sent_ms, **SOURCE),
            event("uninstall", sent_ms),
            mp_deviceid=str(UUID(int=number + 1)),
        )
        apply(profile, sent, context(is_historical=is_old))
    kept = section(profile)
    assert {one.device_key for one in kept.attribution} == kept.devices.keys()
    assert len(kept.devices) == limit
