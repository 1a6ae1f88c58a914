"""What a module says of itself: what it wants, what it may be sent, which settings it has.

Source: spec/connections.md, 4.2. Members that are not known here are ignored: the protocol grows.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import nh3
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from actors.outputs.firehose.words import (
    DeviceIdentityType,
    Encoding,
    EventType,
    NotificationType,
    RuntimeType,
    UserIdentityType,
)

MAX_DESCRIPTION = 229
COOKIE_SYNC_ID = "$cookie_sync_id"
_PARTNER_NAME_PARTS = 2


class RegistrationInvalid(Exception):
    """A module's registration cannot be used; `problems`: all of them, as `path: message`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(problems)
        self.problems = problems


class Part(BaseModel):
    """A part of a registration."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)


def _inline_html(text: str) -> str:
    if len(text) > MAX_DESCRIPTION:
        raise ValueError("must have fewer than 230 characters")
    return nh3.clean(text, tags={"a", "b", "br", "code", "em", "i", "strong", "u"})


def _partner_name(name: str) -> str:
    parts = name.split("_")
    if name != COOKIE_SYNC_ID and (len(parts) < _PARTNER_NAME_PARTS or not all(parts)):
        raise ValueError("must have the form PartnerName_IdentityName")
    return name


Text = Annotated[str, Field(min_length=1)]
Listed = Field(default=(), strict=False)


class UserIdentityPermission(Part):
    """That a type of user identity may be sent, and how it is encoded."""

    type: UserIdentityType
    encoding: Encoding = "raw"
    required: bool = False


class DeviceIdentityPermission(Part):
    """Likewise of a device identity."""

    type: DeviceIdentityType
    encoding: Encoding = "raw"
    required: bool = False


class PartnerIdentityPermission(Part):
    """Likewise of the module's own identity."""

    type: Annotated[str, AfterValidator(_partner_name)]
    encoding: Encoding = "raw"
    required: bool = False


class Permissions(Part):
    """What may be sent. What is not granted is absent from every message."""

    user_identities: tuple[UserIdentityPermission, ...] = Listed
    device_identities: tuple[DeviceIdentityPermission, ...] = Listed
    partner_identities: Annotated[
        tuple[PartnerIdentityPermission, ...], Field(strict=False, max_length=1)
    ] = ()
    allow_access_location: bool = False
    allow_access_ip_address: bool = False
    allow_access_device_application_stamp: bool = False
    allow_device_info: bool = False
    allow_user_attributes: bool = False
    allow_consent_state: bool = False
    allow_audience_user_attributes: bool = False
    allow_access_http_user_agent: bool = False
    allow_access_mpid: bool = False
    allow_platform_fields: bool = False
    allow_eventless_batches: bool = False


class Setting(Part):
    """What all settings have: `id` is how messages and documents name it."""

    id: Text
    name: Text
    description: str | None = None
    visible: bool = True


class TextSetting(Setting):
    """A text. A confidential one is never shown again."""

    type: Literal["text"]
    default_value: str | None = None
    required: bool = False
    confidential: bool = False


class NumberSetting(Setting):
    """A number within bounds."""

    type: Literal["integer", "float"]
    default_value: float | None = None
    min_value: float | None = None
    max_value: float | None = None
    required: bool = False


class BooleanSetting(Setting):
    """A switch; `checked` is what it is without being set."""

    type: Literal["boolean"]
    default_value: bool | None = None
    checked: bool = False


AnySetting = Annotated[TextSetting | NumberSetting | BooleanSetting, Field(discriminator="type")]
Settings = Annotated[tuple[AnySetting, ...], Field(strict=False)]


class Scope(Part):
    """Something that the module asks its user's leave for."""

    name: Text
    description: str | None = None


class Authentication(Part):
    """How a module lets itself be authorized: OAuth 2 with an authorization code."""

    type: Literal["oauth2"]
    authorization_url: Text
    token_url: Text
    refresh_url: Text | None = None
    grant_type: Literal["authorization_code"] = "authorization_code"
    default_expires_in: Annotated[int, Field(ge=1)] | None = None
    client_id: Text
    access_token_type: Literal["bearer", "custom_header"] = "bearer"  # noqa: S105
    custom_header_name: Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")] | None = (
        None
    )
    param_client_id_name: Text = "client_id"
    param_secret_name: Text = "client_secret"  # noqa: S105
    scopes: tuple[Scope, ...] = Listed

    @model_validator(mode="after")
    def _named_header(self) -> "Authentication":
        is_header = self.access_token_type == "custom_header"  # noqa: S105
        if is_header and self.custom_header_name is None:
            raise ValueError("custom_header needs custom_header_name")
        return self


class EventProcessing(Part):
    """That a module takes events, and which."""

    account_settings: Settings = ()
    event_connection_settings: Settings = ()
    supported_event_types: tuple[EventType, ...] = Listed
    supported_runtime_environments: tuple[RuntimeType, ...] = Listed
    supported_system_notification_types: tuple[NotificationType, ...] = Listed
    max_data_age_hours: Annotated[int, Field(ge=-1)] = 24
    push_messaging_provider_id: Text | None = None
    authentication: Authentication | None = None

    @model_validator(mode="after")
    def _named_provider(self) -> "EventProcessing":
        takes_receipts = "push_message_receipt" in self.supported_event_types
        if takes_receipts and self.push_messaging_provider_id is None:
            raise ValueError("push_message_receipt needs push_messaging_provider_id")
        return self


class BulkConfiguration(Part):
    """How many changes of members to wait for, and how long at most."""

    bulk_forward_wait_for_messages: Annotated[int, Field(ge=1)] = 1000
    bulk_forward_wait_in_minutes: Annotated[int, Field(ge=0, le=24 * 60)] = 0


class AudienceProcessing(Part):
    """That a module takes audiences."""

    account_settings: Settings = ()
    audience_subscription_settings: Settings = ()
    authentication: Authentication | None = None
    bulk_configuration: BulkConfiguration | None = None


class DsrProcessing(Part):
    """That a module takes data subject requests."""

    account_settings: Settings = ()
    supported_dsr_types: tuple[Literal["erasure"], ...] = ("erasure",)
    domain: str | None = None


class Registration(Part):
    """The answer to a `module_registration_request`. `description` is harmless inline HTML."""

    type: Literal["module_registration_response"] = "module_registration_response"
    sdk_version: str | None = None
    name: Text
    version: Text
    description: Annotated[str, AfterValidator(_inline_html)] | None = None
    permissions: Permissions = Permissions()
    event_processing_registration: EventProcessing | None = None
    audience_processing_registration: AudienceProcessing | None = None
    dsr_processing_registration: DsrProcessing | None = None

    @model_validator(mode="after")
    def _check(self) -> "Registration":
        if not self.processings:
            raise ValueError("at least one of the processing registrations is required")
        for name, settings in self.settings():
            ids = [each.id for each in settings]
            twice = sorted({each for each in ids if ids.count(each) > 1})
            if twice:
                raise ValueError(f"{name} has two settings '{twice[0]}'")
        return self

    @property
    def processings(self) -> list[EventProcessing | AudienceProcessing | DsrProcessing]:
        """What the module takes."""
        found = (
            self.event_processing_registration,
            self.audience_processing_registration,
            self.dsr_processing_registration,
        )
        return [each for each in found if each is not None]

    def settings(self) -> Iterator[tuple[str, tuple[AnySetting, ...]]]:
        """Yield every list of settings, with its path."""
        for field in type(self).model_fields:
            processing = getattr(self, field)
            if isinstance(processing, EventProcessing | AudienceProcessing | DsrProcessing):
                for name in type(processing).model_fields:
                    if name.endswith("_settings"):
                        yield f"{field}.{name}", getattr(processing, name)

    def processing(self, kind: str) -> EventProcessing | AudienceProcessing | DsrProcessing | None:
        """Return what it says of outputs of a kind; `None` if they are not for it."""
        found: EventProcessing | AudienceProcessing | DsrProcessing | None
        found = getattr(self, f"{kind}_processing_registration", None)
        return found

    @property
    def partner_identity(self) -> str | None:
        """The name of the module's own identity."""
        partners = self.permissions.partner_identities
        return partners[0].type if partners else None


def parse_registration(data: Any, former: Registration | None = None) -> Registration:
    """Read a registration as it was sent, decoded from JSON.

    Args:
        former: the one in force.

    Raises:
        RegistrationInvalid: with every problem.
    """
    try:
        found = Registration.model_validate(data)
    except ValidationError as error:
        raise RegistrationInvalid(
            [_problem(each["loc"], each["msg"]) for each in error.errors(include_input=False)]
        ) from None
    name = None if former is None else former.partner_identity
    if name is not None and name != found.partner_identity:
        problem = f"'{name}' can never be changed or removed"
        raise RegistrationInvalid([_problem(("permissions", "partner_identities"), problem)])
    return found


def _problem(location: tuple[int | str, ...], message: str) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    text = message.removeprefix("Value error, ")
    return f"{path.removeprefix('.')}: {text}" if path else text
