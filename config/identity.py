"""The `identity` section: how identities become profiles (spec/identity.md, 3)."""

from collections.abc import Collection, Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError, model_validator

from actors.batches.identities import BATCH_NAMES, OTHER_NUMBERS
from actors.identity.registry import STRATEGIES
from config.errors import ConfigError, Found, format_path, found_by_model
from config.fields import Items, Model

DEFAULT_PRIORITY = (
    "customerid",
    "mobile_number",
    "phone_number_2",
    "phone_number_3",
    "email",
    "other",
    *(f"other{number}" for number in OTHER_NUMBERS),
    "facebook",
    "facebookcustomaudienceid",
    "google",
    "twitter",
    "microsoft",
    "yahoo",
    "ios_idfa",
    "ios_idfv",
    "android_aaid",
    "android_uuid",
    "fire_aid",
    "roku_aid",
    "roku_publisher_id",
    "microsoft_publisher_id",
    "microsoft_aid",
    "amp_id",
    "push_token",
    "device_application_stamp",
)


class StrategyDefaults(NamedTuple):
    """What a strategy makes of the keys that a document leaves out."""

    unique_ids: tuple[str, ...]
    login_ids: tuple[str, ...]
    immutable_ids: tuple[str, ...]
    aliasing_enabled: bool


_CUSTOMER = ("customerid",)
_CUSTOMER_AND_EMAIL = ("customerid", "email")
STRATEGY_DEFAULTS = {
    "default": StrategyDefaults(_CUSTOMER, _CUSTOMER, _CUSTOMER, True),
    "profile_conversion": StrategyDefaults(_CUSTOMER, _CUSTOMER, (), True),
    "profile_link": StrategyDefaults(_CUSTOMER_AND_EMAIL, _CUSTOMER_AND_EMAIL, (), True),
    "profile_isolation": StrategyDefaults(_CUSTOMER_AND_EMAIL, _CUSTOMER_AND_EMAIL, (), False),
    "best_match": StrategyDefaults((), (), (), False),
}


class IdentitySettings(Model):
    """Settings of the identity scope. What a document leaves out is filled in by its strategy."""

    strategy: str = "default"
    priority: Annotated[Items[str], Field(min_length=1)] = DEFAULT_PRIORITY
    login_ids: Items[str] = ()
    unique_ids: Items[str] = ()
    immutable_ids: Items[str] = ()
    aliasing_enabled: bool = True
    search_requires_immutable: bool = False
    alias_max_window_days: int = Field(default=90, ge=1)
    alias_delay_hours: float = Field(default=24, ge=0)
    idsync_enabled: bool = True

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        strategy = data.get("strategy", "default")
        defaults = STRATEGY_DEFAULTS.get(strategy) if isinstance(strategy, str) else None
        return (defaults._asdict() if defaults else {}) | data


def identity_problems(identity: IdentitySettings, strategies: Collection[str]) -> Iterator[Found]:
    """List the rules of spec/identity.md, 3 that a configuration breaks.

    Args:
        identity: well-formed settings.
        strategies: the names that this installation has.
    """
    if identity.strategy not in strategies:
        names = ", ".join(sorted(strategies))
        yield ("identity", "strategy"), f"must be one of {names}"
    yield from _type_problems(identity)
    yield from _subset_problems(identity)
    yield from _strategy_problems(identity)


def _type_problems(identity: IdentitySettings) -> Iterator[Found]:
    for key in ("priority", "login_ids", "unique_ids", "immutable_ids"):
        types: tuple[str, ...] = getattr(identity, key)
        for index, name in enumerate(types):
            where = ("identity", key, index)
            if name == "alias":
                yield where, "'alias' cannot be used for matching"
            elif name not in DEFAULT_PRIORITY:
                yield where, f"unknown identity type '{name}'"
            elif name in types[:index]:
                yield where, f"'{name}' is listed twice"
            elif key == "login_ids" and name not in BATCH_NAMES:
                yield where, f"'{name}' is a device identity; only user identities can be login IDs"


def _subset_problems(identity: IdentitySettings) -> Iterator[Found]:
    for key, of in (
        ("unique_ids", "priority"),
        ("login_ids", "unique_ids"),
        ("immutable_ids", "login_ids"),
    ):
        outside = [name for name in getattr(identity, key) if name not in getattr(identity, of)]
        if outside:
            yield ("identity", key), f"not in {of}: {', '.join(outside)}"
    first = identity.priority[: len(identity.immutable_ids)]
    if set(first) != set(identity.immutable_ids):
        yield (
            ("identity", "priority"),
            f"immutable IDs must stand first: {', '.join(identity.immutable_ids)}",
        )


def _strategy_problems(identity: IdentitySettings) -> Iterator[Found]:
    defaults = STRATEGY_DEFAULTS.get(identity.strategy)
    if defaults is None:
        return
    name = identity.strategy
    fixed = ("login_ids", "unique_ids", "immutable_ids") if name == "default" else ()
    for key in fixed:
        if getattr(identity, key) != _CUSTOMER:
            yield ("identity", key), "strategy default fixes it to [customerid]"
    if name == "best_match":
        for key in ("login_ids", "unique_ids", "immutable_ids"):
            if getattr(identity, key):
                yield ("identity", key), "must be empty with strategy best_match"
    elif not identity.login_ids:
        yield ("identity", "login_ids"), f"strategy {name} needs at least one"
    if identity.aliasing_enabled and not defaults.aliasing_enabled:
        yield ("identity", "aliasing_enabled"), f"must be false with strategy {name}"


# spec/identity.md, 3: what the workspaces of a scope share: all but `idsync_enabled`, which each
# workspace has for itself.
SCOPE_KEYS = tuple(name for name in IdentitySettings.model_fields if name != "idsync_enabled")


def parse_identity(data: dict[str, Any]) -> IdentitySettings:
    """Check identity settings that stand alone; ConfigError lists all, by path in the document."""
    try:
        settings = IdentitySettings.model_validate(data)
    except ValidationError as error:
        found = found_by_model(error, IdentitySettings, data, ("identity",))
    else:
        found = list(identity_problems(settings, STRATEGIES))
        if not found:
            return settings
    raise ConfigError(dict.fromkeys((format_path(where), message) for where, message in found))
