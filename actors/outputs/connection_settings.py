"""Connection settings of the outputs that send raw JSON (spec/connections.md, 6)."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from actors.model.workspaces import Environment
from actors.outputs.module import OutputSettings
from actors.pipeline.connection import Collecting
from actors.steps.payload import PayloadSettings

UniqueId = Literal[
    "mpid",
    "device_application_stamp",
    "customer_id",
    "email",
    "facebook",
    "twitter",
    "google",
    "microsoft",
    "yahoo",
    "alias",
    "facebook_custom_audience_id",
    "other",
    "other_id_2",
    "other_id_3",
    "other_id_4",
    "other_id_5",
    "other_id_6",
    "other_id_7",
    "other_id_8",
    "other_id_9",
    "other_id_10",
    "mobile_number",
    "phone_number_2",
    "phone_number_3",
]

# mParticle's two names for what the batch format calls otherwise. `ip` never goes out at all, so
# that excluding it is granted already.
METADATA_ALIASES = {"device_name": "device_info.device", "ip_address": "ip"}

# Which toggle lets which event types through. Types that are not listed always go out.
TOGGLES: dict[str, tuple[str, ...]] = {
    "send_crash_events": ("crash_report", "breadcrumb"),
    "send_custom_events": ("custom_event",),
    "send_lifecycle_events": (
        "session_start",
        "session_end",
        "application_state_transition",
        "first_run",
        "opt_out",
        "uninstall",
        "profile",
        "pre_attribution",
    ),
    "send_network_performance_events": ("network_performance",),
    "send_push_events": ("push_registration", "push_message", "push_reaction"),
    "send_screen_views": ("screen_view",),
    "send_commerce_events": ("commerce_event",),
    "include_user_attribute_change_events": ("user_attribute_change",),
    "include_user_identity_change_events": ("user_identity_change",),
}


def _metadata_path(path: str) -> str:
    """Return the path of a metadata field with its aliases and `$.` resolved."""
    resolved = METADATA_ALIASES.get(path, path.removeprefix("$."))
    section, _, field = resolved.partition(".")
    if resolved != "ip" and (section not in ("device_info", "application_info") or not field):
        raise ValueError(
            "must be device_name, ip_address or a path under device_info or application_info"
        )
    return resolved


# Without an end of the session, a device is done when nothing has come from it for so long.
IDLE_MS = 30 * 60 * 1000
# A complete batch may be larger than one that is sent from time to time, within what memory takes.
COMPLETE_BYTES = 16 * 1024 * 1024
COMPLETE_EVENTS = 100_000


class BatchSettings(OutputSettings):
    """How much of a device is collected into one batch, where `send_as_batch` is on.

    `max_wait_s`: after the first event; `None` means the module's own default, 0 that batches go
    out as they came in.
    """

    max_events: int = Field(default=1000, ge=1, le=COMPLETE_EVENTS)
    max_bytes: int = Field(default=1024 * 1024, ge=1024, le=COMPLETE_BYTES)
    max_wait_s: Annotated[float, Field(ge=0, le=24 * 60 * 60)] | None = None


class ConnectionSettings(OutputSettings):
    """How batches look on one connection, and which events go out.

    `send_as_batch` `None` means the module's own default. `user_split_group` names the group of
    the input's user split that is forwarded, `None` all of them. With `expand_commerce_events`
    receivers that know no products get one custom event for each of them (spec 2.5).
    """

    unique_id: UniqueId | None = None
    metadata_field_exclusion: list[Annotated[str, AfterValidator(_metadata_path)]] = Field(
        default_factory=list
    )
    send_as_batch: bool | None = None
    wait_for_complete_batch: bool = False
    batch: BatchSettings = BatchSettings()
    send_crash_events: bool = True
    send_custom_events: bool = True
    send_lifecycle_events: bool = True
    send_network_performance_events: bool = True
    send_push_events: bool = True
    send_screen_views: bool = True
    send_commerce_events: bool = True
    include_location: bool = True
    include_event_batch_location: bool = False
    include_metadata: bool = True
    include_mp_device_id: bool = False
    include_consent_state: bool = False
    include_user_attribute_change_events: bool = False
    include_user_identity_change_events: bool = False
    include_system_notifications: bool = True
    ids_as_strings: bool = False
    send_batches_without_events: bool = True
    send_alias_requests: bool = False
    raw_data_feed: bool = False
    expand_commerce_events: bool = False
    user_split_group: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "ConnectionSettings":
        """Refuse what contradicts itself, and what would be accepted and have no effect."""
        if self.wait_for_complete_batch:
            if self.send_as_batch:
                raise ValueError(
                    "Send as Batch and Wait for Complete Batch cannot both be enabled."
                )
            if self.raw_data_feed:
                raise ValueError("raw_data_feed sends batches as they came in, not complete ones")
        if self.expand_commerce_events and self.raw_data_feed:
            raise ValueError("raw_data_feed sends events as they came in, not expanded")
        return self


def collecting(
    settings: ConnectionSettings, *, is_batched: bool, default_wait_s: float
) -> Collecting | None:
    """Return how a connection collects batches (spec/connections.md, 3.6), `None` if it does not.

    Args:
        settings: the connection's.
        is_batched: one payload holds a batch.
        default_wait_s: of the module, where the connection says nothing.
    """
    if settings.wait_for_complete_batch:
        return Collecting(IDLE_MS, COMPLETE_EVENTS, COMPLETE_BYTES, is_until_session_end=True)
    batch = settings.batch
    wait_s = default_wait_s if batch.max_wait_s is None else batch.max_wait_s
    if not is_batched or not wait_s or settings.raw_data_feed:
        return None
    return Collecting(round(wait_s * 1000), batch.max_events, batch.max_bytes)


def payload_settings(
    settings: ConnectionSettings,
    *,
    device_id_environments: frozenset[Environment] = frozenset(),
    include_audience_ids: bool = False,
) -> PayloadSettings:
    """Compile connection settings.

    Args:
        settings: the connection's.
        device_id_environments: where the output asks for the device's id on all its connections
            (spec 7.1).
        include_audience_ids: its module shows them (spec 7.4).
    """
    is_raw = settings.raw_data_feed
    excluded = (
        event_type
        for toggle, event_types in TOGGLES.items()
        if not getattr(settings, toggle)
        for event_type in event_types
    )
    return PayloadSettings(
        excluded_types=frozenset() if is_raw else frozenset(excluded),
        excluded_metadata=tuple(
            tuple(path.split(".")) for path in sorted(settings.metadata_field_exclusion)
        ),
        unique_id=settings.unique_id,
        include_location=settings.include_location,
        include_event_batch_location=settings.include_event_batch_location,
        include_metadata=settings.include_metadata,
        include_mp_device_id=settings.include_mp_device_id,
        include_consent_state=settings.include_consent_state,
        include_system_notifications=settings.include_system_notifications,
        ids_as_strings=settings.ids_as_strings,
        send_batches_without_events=settings.send_batches_without_events,
        is_raw=is_raw,
        has_flat_events=settings.expand_commerce_events,
        include_audience_ids=include_audience_ids,
        device_id_environments=device_id_environments,
    )
