"""The `inputs` section: where batches come from (spec/connections.md, 1.1)."""

from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field

from actors.calculated.feed import FEED_ID
from config.errors import Found, Location
from config.fields import (
    Items,
    KeyText,
    Model,
    Name,
    Number,
    Secret,
    Slug,
    Status,
    canonical_word,
    matching,
)
from config.forwarding import UserSplit
from config.limits import InputLimits

Os = Literal[
    "iOS",
    "tvOS",
    "Android",
    "MobileWeb",
    "Roku",
    "Alexa",
    "SmartTV",
    "FireTV",
    "Xbox",
    "Unknown",
]
FeedModule = Literal["custom", "segment"]  # the Events API, Segment's tracking API
Origin = Annotated[
    str,
    AfterValidator(
        matching(
            r"\*|https?://[^\s/?#@]+", "must be * or an origin such as https://shop.example.com"
        )
    ),
]


class Key(Model):
    """One key and secret of an input."""

    key: KeyText
    secret: Secret
    status: Literal["active", "revoked"] = "active"


class Input(Model):
    """A platform (an app or site with an SDK) or a feed (a server's own batches).

    `os` is what a platform runs on, and what a feed acts as; a feed that leaves it out is unbound
    (`Unknown`). `partner: true` makes a feed a partner's: its channel is `partner` and it cannot
    set consent. `key_only_auth` decides whether identity calls need more than the key.
    `semantic_events`: whether Segment's track calls of known names become commerce and lifecycle
    events. `cors_origins` limits nothing: browsers may ask from any origin (spec/clients.md, 2).
    `user_split` divides its users, for connections to take one group (`user_split_group`).
    """

    id: Slug
    kind: Literal["platform", "feed"]
    name: Name
    number: Number | None = None
    os: Annotated[Os, canonical_word(*get_args(Os))] = "Unknown"
    module: FeedModule | None = None
    partner: bool = False
    keys: Annotated[Items[Key], Field(min_length=1, max_length=5)]
    status: Status = "active"
    is_debug: bool = False
    restrict_device_id_by_limit_ad_tracking: bool = False
    key_only_auth: bool | None = None
    semantic_events: bool = True
    cors_origins: Items[Origin] = ()
    limits: InputLimits = InputLimits()
    user_split: UserSplit | None = None

    @property
    def allows_key_only(self) -> bool:
        """Whether identity calls need no more than the key: as set, else where it is a website."""
        return self.os == "MobileWeb" if self.key_only_auth is None else self.key_only_auth

    @property
    def takes_segment(self) -> bool:
        """Whether its keys are write keys of Segment's API (spec/clients.md, 6.1)."""
        return self.module == "segment" or (self.kind == "platform" and self.os == "MobileWeb")

    @property
    def is_unbound(self) -> bool:
        """Whether its data belongs to no platform."""
        return self.os == "Unknown"


def input_problems(source: Input, where: Location) -> Iterator[Found]:
    """List what does not fit an input's kind, or is kept for a built-in input."""
    if source.id == FEED_ID:
        yield (*where, "id"), f"'{FEED_ID}' is the built-in Calculated Attributes feed"
    if source.kind == "feed":
        return
    if source.is_unbound:
        known = ", ".join(name for name in get_args(Os) if name != "Unknown")
        yield (*where, "os"), f"a platform needs one of {known}"
    if source.module is not None:
        yield (*where, "module"), "only a feed has a module"
    if source.partner:
        yield (*where, "partner"), "only a feed can be a partner's"
    if source.is_debug:
        yield (*where, "is_debug"), "only a feed can be forced to development"
