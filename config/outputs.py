"""The `outputs` and `connections` sections (spec/connections.md, 1 and 3)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from actors.model.workspaces import ENVIRONMENTS
from config.fields import Duration, EnvironmentName, Items, Model, Name, Number, Slug
from config.forwarding import AppVersion, CustomMapping, Filters, ForwardingRule, Sampling

# A text may be a secret: which one is, only the module says.
SettingValue = SecretStr | bool | int | float

OutputKind = Literal["event", "audience", "cookie_sync", "data_warehouse", "dsr"]
# Connections to outputs of this kind have no input: they bring data subject requests.
DSR: OutputKind = "dsr"
NO_INPUT = ""


class Retry(Model):
    """When a failed delivery is tried again and given up; `None` takes the profile's value.

    `jitter` is a share of the delay, 0 to 1.
    """

    profile: Literal["stream", "audience", "warehouse", "file", "dsr"] | None = None
    max_age: Duration | None = None
    base: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    cap: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    jitter: Annotated[float, Field(ge=0, le=1)] | None = None
    min_attempts: Annotated[int, Field(ge=1)] | None = None


class Queue(Model):
    """How much may wait for one connection before new deliveries become dead letters."""

    max_bytes: int = Field(default=4 * 1024**3, ge=1)


class OutputRateLimit(Model):
    """How much an output is sent, over all its connections."""

    requests_per_second: Annotated[float, Field(gt=0)] | None = None
    burst: Annotated[int, Field(ge=1)] | None = None
    events_per_second: Annotated[float, Field(gt=0)] | None = None
    adaptive: bool = True


class Breaker(Model):
    """When an output that fails is left alone; `open_for` doubles with each failed probe."""

    failures: Annotated[int, Field(ge=1)] = 5
    open_for: Annotated[Duration, Field(ge=timedelta(milliseconds=1), le=timedelta(minutes=5))] = (
        timedelta(seconds=5)
    )


class OutputEnvironment(Model):
    """What is different for one environment: its settings are merged over the output's."""

    enabled: bool = True
    settings: dict[str, Any] = Field(default_factory=dict, repr=False)


class OutputEnvironments(Model):
    """An output's differences by environment."""

    production: OutputEnvironment = Field(default_factory=OutputEnvironment)
    development: OutputEnvironment = Field(default_factory=OutputEnvironment)


class Output(Model):
    """One configured instance of a module: a place to deliver to.

    `use_same_settings: true` states that both environments share the settings: no environment may
    then have its own. `settings` and `connection_defaults` are as written and may hold secrets, so
    no `repr` shows them; the module's own models check them and seal the secrets. Without
    `send_new_data_points_by_default` a connection gets the data points that were received before it
    was first active, and those that a filter enables.
    """

    id: Slug
    kind: OutputKind
    module: str
    name: Name
    number: Number | None = None
    settings: dict[str, Any] = Field(default_factory=dict, repr=False)
    use_same_settings: bool | None = None
    environments: OutputEnvironments = Field(default_factory=OutputEnvironments)
    retry: Retry = Retry()
    ordering: Literal["user", "none", "strict"] = "user"
    max_in_flight: int = Field(default=16, ge=1, le=1024)
    queue: Queue = Queue()
    rate_limit: OutputRateLimit = OutputRateLimit()
    breaker: Breaker = Breaker()
    connection_defaults: dict[str, Any] = Field(default_factory=dict, repr=False)
    send_new_data_points_by_default: bool = True
    filters: Filters = Filters()
    account_settings: dict[str, SettingValue] = Field(default_factory=dict)

    def is_enabled_in(self, environment: EnvironmentName) -> bool:
        """Whether batches of an environment are delivered at all."""
        override: OutputEnvironment = getattr(self.environments, environment)
        return override.enabled

    @property
    def enabled_environments(self) -> tuple[EnvironmentName, ...]:
        """The environments whose batches are delivered."""
        return tuple(each for each in ENVIRONMENTS if self.is_enabled_in(each))

    def settings_in(self, environment: EnvironmentName) -> dict[str, Any]:
        """Return the module settings of one environment, as written."""
        override: OutputEnvironment = getattr(self.environments, environment)
        settings = merged(self.settings, override.settings)
        return settings | self.account_layer

    @property
    def account_layer(self) -> dict[str, Any]:
        """The account settings as part of the module's settings, if there are any."""
        return {"account_settings": self.account_settings} if self.account_settings else {}


class Connection(Model):
    """An input joined to an output; `NO_INPUT` where that is of kind `dsr`.

    All `forwarding_rules` have to allow what goes out; what is switched off in `filters` of the
    connection or of its output does not.
    """

    id: Slug
    input: Slug = NO_INPUT
    output: Slug
    number: Number | None = None
    active: bool = True
    settings: dict[str, Any] = Field(default_factory=dict, repr=False)
    sampling: Sampling | None = None
    min_app_version: AppVersion | None = None
    forwarding_rules: Items[ForwardingRule] = ()
    filters: Filters = Filters()
    custom_mappings: Items[CustomMapping] = ()

    def settings_with_defaults(self, output: Output) -> dict[str, Any]:
        """Return the connection settings over the output's `connection_defaults`, as written."""
        return merged(output.connection_defaults, self.settings)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one mapping over another, mappings inside likewise; anything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            result[key] = merged(below, value)
        else:
            result[key] = value
    return result
