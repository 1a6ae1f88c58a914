"""What shards are told of audiences, and how far they are with it.

All of it is plain structs and can be pickled. Audiences and calculated attributes go by number.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from actors.audiences.announce import Subscription
from actors.audiences.criteria import Node
from actors.audiences.objects import AbTest
from actors.model.workspaces import Environment


class Span(Struct, frozen=True):
    """Event times of a standard audience in ms: `start_ms` <= t < `end_ms`; `None` is open."""

    start_ms: int | None = None
    end_ms: int | None = None


class LiveAudience(Struct, frozen=True, kw_only=True):
    """An audience whose members shards keep.

    Attributes:
        revision: a shard that has evaluated another one for a user evaluates the user anew. Of a
            standard audience it counts the calculations: each is evaluated once per user, and never
            again by itself.
        name: shown in the Profile API; `external_name`: sent to outputs.
        node: what is evaluated; `None` for a static audience, whose list the shard has.
        span: of a standard audience, `None` for all others.
        workspaces: numbers of those whose users it is about.
    """

    number: int
    revision: int
    type: Literal["real_time", "standard", "static"]
    name: str
    external_name: str
    environment: Environment
    node: Node | None
    test: AbTest | None = None
    span: Span | None = None
    workspaces: tuple[int, ...] = ()

    @property
    def is_joint(self) -> bool:
        """Whether it is over several workspaces."""
        return len(self.workspaces) > 1


class LiveSubscription(Struct, frozen=True, kw_only=True):
    """An active connection of an audience, live or not; its changes become deliveries.

    Attributes:
        subscription: what is announced to whom.
        variation: of the audience's A/B test, whose users are announced; `None` for all.
        is_faulted: what changes is held, the last change of a user only.
        resumed: a greater number than the one known means that the held net changes are sent.
        sends: `None` where changes are sent as they come. Of a standard audience nothing is sent
            but all its members, once for each time that this number grows. It never does where the
            output is given lists of members.
    """

    subscription: Subscription
    variation: str | None
    is_faulted: bool
    resumed: int
    sends: int | None = None


class LiveAudiences(Struct, frozen=True, kw_only=True):
    """All that shards have to know; a greater `version` is newer.

    Members of an audience that is not in it any more lose their membership. Nothing is sent of
    that, except `delete` for members of those in `leaving`; `leaving_tests` are the A/B tests that
    these have, by number of the audience. The user attributes in `owned_attributes` are written by
    predictions alone.
    """

    version: int = 0
    audiences: tuple[LiveAudience, ...] = ()
    subscriptions: tuple[LiveSubscription, ...] = ()
    leaving: frozenset[int] = frozenset()
    owned_attributes: frozenset[str] = frozenset()
    leaving_tests: Mapping[int, AbTest] = {}


class Progress(Struct, frozen=True):
    """How far a shard is with one audience: profiles that were walked, of how many there are."""

    revision: int
    walked: int
    total: int
    is_done: bool


class ShardProgress(Struct, frozen=True):
    """How far a shard is.

    Attributes:
        version: of the `LiveAudiences` that it works by.
        audiences: number to progress, of every live audience.
        leaving: audiences of `LiveAudiences.leaving` that still have members here.
        list_change: number of the last `ListChange` that is applied.
        loaded: numbers, as of `Subscription`, of the active subscriptions that were told of all
            members that there were when they began.
    """

    version: int
    audiences: dict[int, Progress]
    leaving: frozenset[int]
    list_change: int
    loaded: frozenset[int] = frozenset()
