"""A workspace, its inputs and its limits, as everybody who handles a batch knows them."""

from typing import Literal

from msgspec import Struct

Environment = Literal["production", "development"]


ENVIRONMENTS: tuple[Environment, Environment] = ("production", "development")


class UserSplit(Struct, frozen=True):
    """How an input's users are divided (spec/rules.md, 9).

    `groups`: name, and end of its buckets of `actors.pipeline.sampling`; the last one ends them.
    """

    id: str
    groups: tuple[tuple[str, int], ...]


class InputInfo(Struct, frozen=True):
    """What a shard has to know of the input that a batch came through.

    `platform` is the value that `device_info.platform` gets when a batch has none, `None` for an
    unbound feed; `os` the input's own word (`iOS`, `MobileWeb`, `Unknown`, ...).
    """

    number: int
    id: str
    name: str
    kind: Literal["platform", "feed"]
    os: str
    platform: str | None = None
    is_partner: bool = False
    is_debug: bool = False
    restrict_device_id: bool = False
    split: UserSplit | None = None


class Limits(Struct, frozen=True):
    """Limits of spec/events-api.md, 14. Lengths in Unicode code points."""

    event_name_length: int = 256
    event_attributes: int = 100
    event_attribute_name_length: int = 256
    event_attribute_value_length: int = 4096
    user_attributes: int = 100
    user_attribute_name_length: int = 256
    user_attribute_value_length: int = 4096
    user_attribute_list_entries: int = 1000
    user_attribute_entry_length: int = 512
    product_attributes: int = 100
    unique_event_names: int = 1000
    devices: int = 100  # spec/profiles.md, 11
    real_time_bytes_per_user: int = 30_000_000  # spec/profiles.md, 4 and 11


class WorkspaceInfo(Struct, frozen=True):
    """What the shards have to know of the workspace; made from the workspace document.

    Attributes:
        number, account, organization: integer ids; `scope`: number of the identity scope.
        inputs: number to input.
        gdpr_purposes: canonical (trimmed, lower-case) names, `None` if GDPR is not enabled.
        partner_identities: registered names.
        priority, login_ids, unique_ids, immutable_ids: IDSync keys (spec/identity.md, 3).
        default_tier: `personalize`, `preserve` or `connect`; `tiers`: event name to tier.
        att_default: ATT status of Apple devices that send none.
        alias_delay_ms: from the acceptance of an alias until it is applied.
        neighbours: number of each other workspace of the scope to its `profile_idle_days`.
    """

    number: int
    id: str
    name: str
    account: int
    organization: int
    scope: int
    inputs: dict[int, InputInfo]
    priority: tuple[str, ...]
    login_ids: frozenset[str]
    unique_ids: frozenset[str]
    immutable_ids: frozenset[str]
    strategy: str = "default"
    search_requires_immutable: bool = False
    gdpr_purposes: frozenset[str] | None = None
    is_ccpa_enabled: bool = False
    partner_identities: frozenset[str] = frozenset()
    limits: Limits = Limits()
    default_tier: str = "personalize"
    tiers: dict[str, str] = {}
    att_default: str | None = None
    events_days: int = 730
    audience_event_days: int = 30
    profile_idle_days: int = 30
    dedup_days: int = 30
    alias_delay_ms: int = 24 * 60 * 60 * 1000
    neighbours: dict[int, int] = {}

    @property
    def regulations(self) -> frozenset[str]:
        """Those that are enabled: records of others are kept and not seen."""
        is_enabled = {"gdpr": self.gdpr_purposes is not None, "ccpa": self.is_ccpa_enabled}
        return frozenset(name for name, enabled in is_enabled.items() if enabled)
