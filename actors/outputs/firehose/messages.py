"""The messages of the protocol as they are sent (spec/connections.md, 4.1 to 4.5).

What is null or the default of its field is left out. 64-bit MPIDs are strings.
"""

from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from actors.outputs.firehose.event_messages import EventMessage
from actors.outputs.firehose.identities import SentIdentity

VERSION = "3.2.0"

encode = msgspec.json.Encoder().encode


class Account(Struct, omit_defaults=True):
    """The output that a message is for; settings of every type are texts."""

    account_id: int
    account_settings: dict[str, str] = field(default_factory=dict)


class Message(Struct, omit_defaults=True, kw_only=True):
    """What all messages have. `id` is the same however often a message is sent."""

    id: str
    timestamp_ms: int
    firehose_version: str


class RegistrationRequest(Message, tag_field="type", tag="module_registration_request"):
    """Asks a module what it is."""


class Consent(Struct, omit_defaults=True):
    """One purpose's consent."""

    consented: bool
    document: str | None = None
    timestamp_unixtime_ms: int | None = None
    location: str | None = None
    hardware_id: str | None = None


class ConsentState(Struct, omit_defaults=True):
    """A user's consent, by purpose."""

    gdpr_consent_state: dict[str, Consent] | None = None
    ccpa_consent_state: dict[str, Consent] | None = None


class Notification(Struct, omit_defaults=True):
    """That consent has changed."""

    type: Literal["gdpr_consent_state", "ccpa_consent_state"]
    purpose: str
    old_gdpr_consent_state: Consent | None = None
    new_gdpr_consent_state: Consent | None = None
    old_ccpa_consent_state: Consent | None = None
    new_ccpa_consent_state: Consent | None = None


class PlatformFields(Struct, omit_defaults=True):
    """Where a batch comes from."""

    mp_account_id: str | None = None
    mp_account_name: str | None = None
    workspace_id: str | None = None
    workspace_name: str | None = None
    input_name: str | None = None
    app_name: str | None = None
    app_version: str | None = None
    dataplan_id: str | None = None
    dataplan_name: str | None = None
    dataplan_version: int | None = None


class EventProcessingRequest(Message, tag_field="type", tag="event_processing_request"):
    """A user's events. Without any it asks whether the module is there."""

    account: Account
    events: list[EventMessage]
    source_id: str | None = None
    partner_identities: list[SentIdentity] = field(default_factory=list)
    user_identities: list[SentIdentity] = field(default_factory=list)
    user_attributes: dict[str, str | None] = field(default_factory=dict)
    user_attribute_lists: dict[str, list[str]] = field(default_factory=dict)
    runtime_environment: dict[str, Any] | None = None
    integration_attributes: dict[str, str] = field(default_factory=dict)
    source_channel: str | None = None
    device_application_stamp: str | None = None
    consent_state: ConsentState | None = None
    system_notifications: list[Notification] = field(default_factory=list)
    mpid: str | None = None
    platform_fields: PlatformFields | None = None


class AudienceSubscriptionRequest(Message, tag_field="type", tag="audience_subscription_request"):
    """That an audience is connected, connected differently, or connected no more."""

    account: Account
    audience_id: int
    audience_name: str
    action: Literal["add", "update", "remove"]
    audience_description: str | None = None
    audience_subscription_settings: dict[str, str] = field(default_factory=dict)
    previous_audience_subscription_settings: dict[str, str] = field(default_factory=dict)


class UserAttribute(Struct, omit_defaults=True):
    """A user attribute that is shared with an audience; without values it is a tag."""

    key: str
    action: Literal["upsert", "delete"]
    value: str | None = None
    list_value: list[str] | None = None


class ProfileAudience(Struct, omit_defaults=True):
    """What has become of one membership of a profile."""

    audience_id: int
    audience_name: str
    action: Literal["add", "delete", "attribute_update"]
    audience_subscription_settings: dict[str, str] = field(default_factory=dict)
    user_attributes: list[UserAttribute] = field(default_factory=list)


class UserProfile(Struct, omit_defaults=True):
    """A profile and what has changed for it."""

    audiences: list[ProfileAudience]
    user_identities: list[SentIdentity] = field(default_factory=list)
    device_identities: list[SentIdentity] = field(default_factory=list)
    partner_identities: list[SentIdentity] = field(default_factory=list)
    mpid: str | None = None


class AudienceMembershipChangeRequest(
    Message, tag_field="type", tag="audience_membership_change_request"
):
    """Changes of memberships. Without any it asks whether the module is there."""

    account: Account
    user_profiles: list[UserProfile] = field(default_factory=list)


class SubjectIdentity(Struct):
    """An identity of a data subject request, never hashed."""

    value: str
    encoding: Literal["raw"] = "raw"


class DsrProcessingRequest(Message, tag_field="type", tag="dsr_processing_request"):
    """A data subject request; `submitted_time` in seconds since 1970, with fraction."""

    account: Account
    subject_request_id: str
    subject_request_type: Literal["erasure"]
    submitted_time: float
    subject_identities: dict[str, SubjectIdentity]
    api_version: Literal["3.0"]
    regulation: Literal["unknown", "gdpr", "ccpa"]


class Answer(Struct):
    """What a module answers: `type` and `id` have to be there."""

    type: str
    id: str
    suspend_subscription: bool | None = None
    audience_subscription_settings: dict[str, Any] | None = None


decode_answer = msgspec.json.Decoder(Answer).decode
