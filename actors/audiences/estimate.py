"""The size of a definition from a sample (spec/audiences.md, 7)."""

from collections.abc import Sequence
from hashlib import sha256
from math import ceil, sqrt
from typing import Literal

from msgspec import Struct

from actors.audiences.answers import Sample

WHOLE = 1_000_000
EXACT_POPULATION = 100_000
SAMPLED_USERS = 10**11  # threshold x population: a hundred thousand users are looked at
LEAST_HITS = 30
CONFIDENCE = 1.96  # standard deviations to each side: 95 %


class Estimate(Struct, frozen=True, kw_only=True):
    """A size; `estimate`, `low` and `high` are `None` where it is not known."""

    estimate: int | None
    low: int | None
    high: int | None
    sample_size: int
    method: Literal["exact", "sample"]
    state: Literal["ok", "too_small", "error"]
    message: str | None = None


def sample_number(mpid: int) -> int:
    """Return the number by which it is decided whether a user is in a sample."""
    return int.from_bytes(sha256(f"est:{mpid}".encode("ascii")).digest()[:8], "big") % WHOLE


def threshold(population: int) -> int:
    """Return the number below which users are in the sample."""
    return WHOLE if population <= EXACT_POPULATION else ceil(SAMPLED_USERS / population)


def estimated(hits: int, sample_size: int, below: int) -> Estimate:
    """Make the estimate of so many hits among the users of a sample."""
    is_exact = below == WHOLE
    if not is_exact and hits < LEAST_HITS:
        return Estimate(
            estimate=None,
            low=None,
            high=None,
            sample_size=sample_size,
            method="sample",
            state="too_small",
        )
    size = round(hits * WHOLE / below)
    spread = 0 if is_exact else CONFIDENCE * sqrt(hits) * WHOLE / below
    return Estimate(
        estimate=size,
        low=max(round(hits * WHOLE / below - spread), 0),
        high=round(hits * WHOLE / below + spread),
        sample_size=sample_size,
        method="exact" if is_exact else "sample",
        state="ok",
    )


def failed(message: str) -> Estimate:
    """Make the estimate of what cannot be computed; `message`: why."""
    return Estimate(
        estimate=None,
        low=None,
        high=None,
        sample_size=0,
        method="sample",
        state="error",
        message=message,
    )


def added(samples: Sequence[Sample]) -> Sample:
    """Add up what all shards found."""
    return Sample(
        size=sum(each.size for each in samples),
        hits=sum(each.hits for each in samples),
        criteria=tuple(
            sum(column) for column in zip(*(each.criteria for each in samples), strict=True)
        ),
    )
