"""The typed settings of a connection's pipeline; the defaults let everything through.

All of them can be compared, hashed and sent to another process.
"""

from msgspec import Struct

from actors.pipeline.points import DataPoint

EventKey = tuple[str, str]  # event type, name
AttributeKey = tuple[str, str, str]  # event type, name, attribute


class Takes(Struct, frozen=True, kw_only=True):
    """What an output takes, whatever its connections say: a module declares it of its settings.

    Attributes:
        platforms: `os` of the inputs that may be connected, `Unknown` being an unbound feed;
            `None`: any. A module that refuses all unbound feeds says so with `accepts_unbound`.
        event_types: of batches, or for commerce events also one of their parts (`product_action`,
            `promotion_action`, `product_impressions`); `None`: all.
        max_data_age_hours: an event that is older at receipt is left out; `None`: of any age.
        required_identities: a user has to have at least one of these, by their names on profiles
            (`email`, `google_advertising_id`); empty: nobody has to have any.
        max_payload_bytes: a larger payload is cut between its events; one event that is larger is
            left out. `None`: any size.
    """

    platforms: frozenset[str] | None = None
    event_types: frozenset[str] | None = None
    max_data_age_hours: float | None = None
    required_identities: frozenset[str] = frozenset()
    max_payload_bytes: int | None = None


class Sampling(Struct, frozen=True):
    """The share of users that is forwarded, in hundredths of a percent (spec 2.1)."""

    salt: str
    hundredths: int


class AppVersions(Struct, frozen=True):
    """The least version of the app (spec 2.2); `takes_unknown`: also where there is none."""

    least: tuple[int, ...]
    takes_unknown: bool


class EventAttributeRule(Struct, frozen=True, tag="event_attribute"):
    """Looks at one attribute of an event. `includes`: only what matches goes, else only the rest.

    This, and what is said of `includes`, holds for all kinds of forwarding rules (spec 2.3).
    """

    includes: bool
    name: str
    value: str


class UserAttributeRule(Struct, frozen=True, tag="user_attribute"):
    """Looks at one attribute of the user."""

    includes: bool
    name: str
    value: str


class AttributionRule(Struct, frozen=True, tag="attribution"):
    """Looks at where the user came from; what is `None` may be anything."""

    includes: bool
    publisher: str
    service_provider: str | None = None
    campaign: str | None = None


class ConsentRule(Struct, frozen=True, tag="consent"):
    """Looks at the user's consent: any of (regulation, purpose, has consented) suffices."""

    includes: bool
    purposes: tuple[tuple[str, str, bool], ...]


class IdSyncRule(Struct, frozen=True, tag="id_sync"):
    """Lets users through that have one of these login IDs, by their IDSync keys."""

    login_ids: frozenset[str]
    includes: bool = True


Rule = EventAttributeRule | UserAttributeRule | AttributionRule | ConsentRule | IdSyncRule


class DataFilter(Struct, frozen=True):
    """What is switched off (spec 2.4).

    Event types are those of custom events, or keys of commerce events (`product_purchase`).
    `sends_new`: data points that were not known when a connection was first active are on too;
    else those of them that are `enabled`.
    """

    event_types: frozenset[str] = frozenset()
    events: frozenset[EventKey] = frozenset()
    event_attributes: frozenset[AttributeKey] = frozenset()
    screens: frozenset[str] = frozenset()
    screen_attributes: frozenset[tuple[str, str]] = frozenset()
    commerce: frozenset[str] = frozenset()
    commerce_attributes: frozenset[tuple[str, str]] = frozenset()
    user_attributes: frozenset[str] = frozenset()
    user_identities: frozenset[str] = frozenset()
    has_user_attributes: bool = True
    sends_new: bool = True
    enabled: frozenset[DataPoint] = frozenset()


NO_FILTER = DataFilter()


class Fixed(Struct, frozen=True):
    """A fixed value of a mapping's property."""

    value: str


class CustomMapping(Struct, frozen=True):
    """How events of one name go out under another (spec 2.5).

    Attributes:
        source: as `actors.pipeline.names.event_key` returns it.
        name: what they are called then.
        properties: target attribute to source attribute or fixed value; `None`: attributes stay.
    """

    source: EventKey
    name: str
    properties: tuple[tuple[str, str | Fixed], ...] | None = None


class PipelineSettings(Struct, frozen=True, kw_only=True):
    """What a connection lets through.

    Attributes:
        takes: what its output takes.
        is_supported: whether the input's platform is among that.
        split_group: of the input's user split; `None`: all of them.
        filter: what is switched off on the output or the connection.
    """

    takes: Takes = Takes()
    is_supported: bool = True
    split_group: str | None = None
    sampling: Sampling | None = None
    app_versions: AppVersions | None = None
    rules: tuple[Rule, ...] = ()
    filter: DataFilter = NO_FILTER
