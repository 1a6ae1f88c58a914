"""Workspaces, contexts and batches for the tests of what a batch does to a profile."""

from typing import Any

from actors.model.batches import Batch, BatchContext, Channel, Event
from actors.model.profiles import Profile, Section
from actors.model.workspaces import InputInfo, Limits, WorkspaceInfo
from actors.steps.update_profiles import Update, update_profile

NOW = 1_767_225_600_000
MINUTE = 60_000
DAY = 24 * 60 * MINUTE
STAMP = "0b6f2c1e-7d43-4a8e-9c55-1f2e3d4c5b6a"

BACKEND, IOS, WEB = 1, 2, 3

WORKSPACE = WorkspaceInfo(
    number=11,
    id="w1",
    name="One",
    account=2,
    organization=1,
    scope=7,
    inputs={
        BACKEND: InputInfo(BACKEND, "backend", "Backend", "feed", "Unknown"),
        IOS: InputInfo(IOS, "ios", "iOS app", "platform", "iOS", "iOS"),
        WEB: InputInfo(WEB, "web", "Shop", "platform", "MobileWeb", "web"),
    },
    priority=("customerid", "email", "device_application_stamp"),
    login_ids=frozenset({"customerid"}),
    unique_ids=frozenset({"customerid"}),
    immutable_ids=frozenset({"customerid"}),
    gdpr_purposes=frozenset({"ads", "newsletter"}),
    is_ccpa_enabled=True,
    limits=Limits(),
)


def context(
    received_ms: int = NOW,
    *,
    channel: Channel = "server_to_server",
    source: int = BACKEND,
    is_historical: bool = False,
) -> BatchContext:
    """Make the context of a batch that came through input `source`."""
    return BatchContext(source, "key", channel, received_ms, is_historical)


def event(event_type: str, timestamp_ms: int = NOW, **data: Any) -> Event:
    """Make an event with its data."""
    return Event(event_type, timestamp_ms, {"timestamp_unixtime_ms": timestamp_ms, **data})


def batch(*events: Event, **members: Any) -> Batch:
    """Make a production batch of events, with the members given."""
    return Batch("production", NOW, list(events), **members)


def new_profile() -> Profile:
    """Make a profile that no batch was applied to."""
    return Profile(created_timestamp_ms=NOW)


def apply(
    profile: Profile,
    applied: Batch,
    where: BatchContext | None = None,
    *,
    workspace: WorkspaceInfo = WORKSPACE,
    by_identities: bool = True,
) -> Update:
    """Apply one batch, by default a live one of the backend."""
    return update_profile(
        profile, applied, where or context(), workspace, by_identities=by_identities
    )


def historical(newest_ms: int, **members: Any) -> tuple[Batch, BatchContext]:
    """Make a historical batch received now, whose newest event is of `newest_ms`."""
    events = (
        event("custom_event", newest_ms - DAY, event_name="older"),
        event("custom_event", newest_ms, event_name="newest"),
        event("custom_event", newest_ms - 2 * DAY, event_name="oldest"),
    )
    return batch(*events, **members), context(is_historical=True)


def section(profile: Profile) -> Section:
    """Return the workspace's section of a profile."""
    return profile.workspaces[WORKSPACE.number]


def attributes(profile: Profile) -> dict[str, Any]:
    """Return the user attributes of a profile, names to values."""
    return {name: each.value for name, each in section(profile).user_attributes.items()}
