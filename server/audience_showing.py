"""Audiences together with what shards know of them: sizes, estimates and progress.

An audience can be read and changed also while a shard is away or reads its store: what only shards
know is left out then, or `null`.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from actors.audiences.answers import Counts
from actors.audiences.estimate import Estimate
from actors.audiences.objects import Audience
from actors.errors import ShardUnavailable
from server.audience_requests import Use
from server.audience_views import shown_audience

logger = logging.getLogger("headwater.http")

# What a list waits for estimates; those that take longer are in a later one.
LIST_ESTIMATES_S = 1.0
_NO_COUNTS = Counts(0)
_UNCOUNTED = frozenset({"draft", "inactive"})


async def show_all(
    use: Use, audiences: Sequence[Audience], within_s: float | None = None
) -> list[dict[str, Any]]:
    """Show audiences as version 2 does (spec/audiences.md, 2 and 7).

    Those that are being activated have the estimates that there are `within_s`, `None` for all.
    """
    if not audiences:
        return []
    gateway = use.gateway
    counts = await counts_for(use, audiences)
    journeys = {each.number: each for each in await gateway.desk.journeys()}
    faulted = {
        each.audience
        for each in await gateway.desk.all_subscriptions()
        if each.fault is not None and (each.receiver == use.receiver or not use.is_shared)
    }
    pending = await gateway.desk.pending_audiences()
    estimates = {} if counts is None else await _estimates(use, audiences, within_s)
    now_ms = use.owner.clock.now_ms()

    def shown(audience: Audience) -> dict[str, Any]:
        number = audience.number
        body = shown_audience(
            audience, counts_of(audience, counts), number in faulted, journeys, now_ms
        )
        body["shared"] = use.is_shared
        if number in pending:
            body["pending_prediction"] = True
        if number in estimates:
            body |= {"size": estimates[number].estimate, "is_estimate": True}
        return body

    return [shown(each) for each in audiences]


async def show(use: Use, audience: Audience) -> dict[str, Any]:
    """Show one audience, and how far its evaluation is."""
    [body] = await show_all(use, [audience])
    try:
        percent = await use.desk.calculation_percent(audience.number)
    except ShardUnavailable:
        logger.info("how far an audience is, is not known", extra={"event": "progress_unknown"})
        return body
    return body if percent is None else body | {"calculation_percent_complete": percent}


async def counts_for(use: Use, audiences: Sequence[Audience]) -> Mapping[int, Counts] | None:
    """Return the counts of all audiences; `None` if a shard does not tell."""
    if all(each.status == "draft" for each in audiences):
        return {}
    try:
        return await use.gateway.counts()
    except ShardUnavailable:
        logger.info("sizes of audiences are not known", extra={"event": "sizes_unknown"})
        return None


def counts_of(audience: Audience, counts: Mapping[int, Counts] | None) -> Counts | None:
    """Return the counts of an audience's members, `None` if it has none or they are not known.

    `counts`: of all audiences that have members; `None` if they are not known.
    """
    if counts is None:
        return None
    return counts.get(audience.number, None if audience.status in _UNCOUNTED else _NO_COUNTS)


async def _estimates(
    use: Use, audiences: Sequence[Audience], within_s: float | None
) -> dict[int, Estimate]:
    """Return the first estimates of those that are being activated, as far as they are known.

    One after the other, as each takes the time of all shards. One that takes too long goes on.
    """
    found: dict[int, Estimate] = {}
    gateway = use.gateway
    try:
        async with asyncio.timeout(within_s):
            for each in audiences:
                if each.status == "activating" and each.type == "real_time":
                    asked = await gateway.desk.ask_of(each.number)
                    if asked is not None:
                        found[each.number] = await gateway.first_estimate(
                            each.number, each.revision, asked
                        )
    except (TimeoutError, ShardUnavailable) as error:
        extra = {"event": "estimates_unknown", "kind": type(error).__name__}
        logger.info("estimates of audiences are not known", extra=extra)
    return found
