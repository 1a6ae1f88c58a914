"""The workspace document: what `headwater` serves (spec/connections.md, 10)."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from config.audiences import Audience
from config.calculated import CalculatedAttribute
from config.client_sdks import ClientSdks
from config.data_plans import DataPlan
from config.errors import Found, Location
from config.fields import (
    ClientId,
    EnvironmentName,
    Items,
    KeyText,
    Model,
    Name,
    Number,
    Secret,
    Slug,
    Status,
    matching,
)
from config.identity import IdentitySettings
from config.inputs import Input
from config.limits import WorkspaceLimits
from config.outputs import Connection, Output
from config.privacy import Privacy

MAX_FORMER = 5  # secrets that work beside a credential's own
# Sections that are kept by desks of their own, which are told what a file has of them.
DESKS = ("audiences", "calculated_attributes")
Tier = Literal["personalize", "preserve", "connect"]
Api = Literal[
    "platform",
    "profile",
    "data_planning",
    "custom_roles",
    "privacy",
    "observability",
    "analytics",
]

RoleId = Annotated[
    str,
    AfterValidator(
        matching(r"[A-Za-z0-9_-]{1,64}", "must be 1 to 64 characters of A-Z, a-z, 0-9, _ and -")
    ),
]


def _canonical_purpose(purpose: str) -> str:
    trimmed = purpose.strip().lower()
    if not 1 <= len(trimmed) <= 256:
        raise ValueError("must have 1 to 256 characters")
    return trimmed


Purpose = Annotated[str, AfterValidator(_canonical_purpose)]


class Account(Model):
    """The account that the workspace belongs to."""

    id: Slug
    name: Annotated[Name, Field(max_length=100)]
    number: Number | None = None


class Gdpr(Model):
    """Whether GDPR consent is kept, and for which purposes (trimmed, lower-case)."""

    enabled: bool = False
    purposes: Items[Purpose] = ()


class Ccpa(Model):
    """Whether CCPA consent is kept. Its one purpose is `data_sale_opt_out`."""

    enabled: bool = False


class Regulations(Model):
    """Regulations whose consent is kept (spec/privacy.md, 1)."""

    gdpr: Gdpr = Gdpr()
    ccpa: Ccpa = Ccpa()


class Retention(Model):
    """How long data is kept, in days (spec/profiles.md, 6)."""

    events_days: int = Field(default=730, ge=30)
    audience_event_days: int = Field(default=30, ge=1)
    profile_idle_days: Annotated[int, Field(ge=1)] | None = None

    @property
    def profile_lifetime_days(self) -> int:
        """Days without activity after which a profile ages out; by default the lookback."""
        return self.profile_idle_days or self.audience_event_days


class TierOverride(Model):
    """The tier of one event name."""

    event: Annotated[str, Field(min_length=1)]
    tier: Tier


class EventTiers(Model):
    """What is kept of which event (spec/rules.md, 8)."""

    default: Tier = "personalize"
    overrides: Items[TierOverride] = ()


class DsrCredentials(Model):
    """The workspace's own key and secret, for data subject requests."""

    key: KeyText
    secret: Secret


class ConfigSettings(Model):
    """Whether the API may change what a configuration file has (spec/connections.md, 10)."""

    allow_api_edits: bool = False


class CalculatedAttributeSettings(Model):
    """How calculated attributes may be defined (spec/calculated-attributes.md, 4)."""

    extended_windows: bool = False


class Workspace(Model):
    """What belongs to the workspace itself.

    `identity_scope` names the pool of users that it belongs to (spec/identity.md, 1); without one
    that is a pool of its own, named like the workspace, which others may join by that name.
    `partner_identities` are the registered names that batches may send; `att_default` the
    tracking authorization of Apple devices that send none.
    """

    id: Slug
    name: Annotated[Name, Field(max_length=64)]
    number: Number | None = None
    identity_scope: Slug | None = None
    environments: Annotated[Items[EnvironmentName], Field(min_length=1)] = (
        "development",
        "production",
    )
    regulations: Regulations = Regulations()
    retention: Retention = Retention()
    limits: WorkspaceLimits = WorkspaceLimits()
    event_tiers: EventTiers = EventTiers()
    dsr_credentials: DsrCredentials | None = None
    privacy: Privacy = Privacy()
    client_audience_api: bool = False
    client_sdks: ClientSdks = ClientSdks()
    calculated_attributes: CalculatedAttributeSettings = CalculatedAttributeSettings()
    config: ConfigSettings = ConfigSettings()
    partner_identities: Items[Name] = ()
    att_default: Literal["authorized", "denied", "not_determined", "restricted"] | None = None

    @property
    def scope_name(self) -> str:
        """The identity scope that the workspace belongs to; scopes are named across documents."""
        return self.identity_scope or self.id


class FormerSecret(Model):
    """A secret that still works beside the one in its place, until an instant (Unix ms)."""

    client_secret: Secret
    until_ms: Annotated[int, Field(ge=0)]


class ApiCredential(Model):
    """A client of the management and read APIs (spec/platform-api.md, 3).

    `role` is a standard or a custom one (spec/privacy.md, 10). `former_secrets` are written by
    rotations through the Platform API.
    """

    client_id: ClientId
    client_secret: Secret
    former_secrets: Annotated[Items[FormerSecret], Field(max_length=MAX_FORMER)] = ()
    role: RoleId = "read_only"
    apis: Annotated[Items[Api], Field(min_length=1)]
    status: Status = "active"


class WorkspaceDocument(Model):
    """A whole document. Frozen, and can be pickled to be sent to actors.

    This is its shape alone: `config.load` also checks that its parts fit together.
    """

    version: Literal[1]
    account: Account
    workspace: Workspace
    api_credentials: Items[ApiCredential] = ()
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    inputs: Items[Input] = ()
    outputs: Items[Output] = ()
    connections: Items[Connection] = ()
    calculated_attributes: Items[CalculatedAttribute] = ()
    audiences: Items[Audience] = ()
    data_plans: Items[DataPlan] = ()

    @cached_property
    def inputs_by_id(self) -> dict[str, Input]:
        """Inputs by id."""
        return {each.id: each for each in self.inputs}

    @cached_property
    def outputs_by_id(self) -> dict[str, Output]:
        """Outputs by id."""
        return {each.id: each for each in self.outputs}


def workspace_problems(workspace: Workspace) -> Iterator[Found]:
    """List what does not fit together within the `workspace` section."""
    retention = workspace.retention
    for name in ("audience_event_days", "profile_idle_days"):
        if (getattr(retention, name) or 0) > retention.events_days:
            yield (
                ("workspace", "retention", name),
                f"must not exceed events_days, which is {retention.events_days}",
            )
    lists: list[tuple[Location, tuple[str, ...]]] = [
        (("environments",), workspace.environments),
        (("regulations", "gdpr", "purposes"), workspace.regulations.gdpr.purposes),
        (("partner_identities",), workspace.partner_identities),
        (("event_tiers", "overrides"), tuple(o.event for o in workspace.event_tiers.overrides)),
    ]
    for where, values in lists:
        for index, value in enumerate(values):
            if value in values[:index]:
                yield ("workspace", *where, index), "listed twice"
