"""Predictions as they are kept (spec/predictions.md, 1 and 2; spec/audiences.md, 9).

Their scores come from outside: nothing is trained here.
"""

import re
from typing import Any, Literal, get_args

from msgspec import UNSET, Struct, UnsetType

from actors.model.workspaces import Environment

PredictionStatus = Literal["calculating", "active", "inactive"]
Output = Literal["score", "percentile"]
Operator = Literal["equals", "greater_than", "greater_or_equal", "less_than", "less_than_or_equal"]
OUTPUTS: tuple[Output, ...] = get_args(Output)
# Without scores for three days of a daily schedule a prediction is not relied upon any more.
STALE_MS = 72 * 3_600_000
MAX_SLUG = 40
OWNED = "prediction_attribute_read_only"  # reason that a batch's write is dropped for


class Prediction(Struct, frozen=True, kw_only=True):
    """One prediction.

    Attributes:
        slug: what its attributes begin with, fixed for life.
        goal: the canonical JSON of what is predicted, `None` in it for nothing.
        is_absent: it predicts that the goal is not reached.
        is_off: it was deactivated. `is_leaving`: it was deleted, and users still have its values.
        posted: how often scores came; `applied`: up to which of these users have what came.
        posted_ms, applied_ms: when that was last, `None` if never.
        users: who had a score when it was last applied.
        seen_at: what audiences compared its values with then; smaller changes of a value were left
            out where none of these lay between. `None`: all were written.
    """

    number: int
    name: str
    slug: str
    description: str
    environment: Environment
    goal: dict[str, Any]
    is_absent: bool
    horizon_days: int
    active_within_days: int
    created_by: str
    created_ms: int
    is_off: bool = False
    is_leaving: bool = False
    posted: int = 0
    applied: int = 0
    posted_ms: int | None = None
    applied_ms: int | None = None
    users: int = 0
    seen_at: tuple[float, ...] | None = ()

    @property
    def attributes(self) -> tuple[str, ...]:
        """The user attributes that it owns."""
        return attributes_of(self.slug)

    def status(self, now_ms: int) -> PredictionStatus:
        """Return its status at an instant."""
        if self.is_off:
            return "inactive"
        if self.applied_ms is None or self.posted_ms is None:
            return "calculating"
        return "inactive" if now_ms - self.posted_ms > STALE_MS else "active"


class PredictionFields(Struct, frozen=True, kw_only=True):
    """What a caller gives of a prediction; `goal` is as sent."""

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    environment: Environment | UnsetType = UNSET
    goal: Any = UNSET
    horizon_days: int | UnsetType = UNSET
    active_within_days: int | UnsetType = UNSET


class Ranking(Struct, frozen=True):
    """How scores, in millionths, become percentiles, in ten-thousandths.

    A score has the rank of the last step that is not above it.
    """

    steps: tuple[int, ...]
    ranks: tuple[int, ...]


class Writing(Struct, frozen=True, kw_only=True):
    """What shards write of a prediction; without a `ranking` all that users have is removed.

    `active_within_days`: whoever sent nothing for longer has no score.
    """

    number: int
    slug: str
    environment: Environment
    active_within_days: int
    ranking: Ranking | None


def slug_of(name: str) -> str:
    """Return what the attributes of a prediction of this name begin with."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:MAX_SLUG].strip("_")


def attributes_of(slug: str) -> tuple[str, ...]:
    """Return the names of the attributes that a slug stands for."""
    return tuple(f"{slug}_{output}" for output in OUTPUTS)
