"""Applies the messages of a request, in their order per user, once each (spec/clients.md, 6)."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import orjson
from aiohttp import web

from actors.model.batches import BatchContext
from actors.model.micro_batches import Rejected
from actors.model.workspaces import Environment
from server.browsers import client_address, user_agent
from server.context import Edge
from server.edge_config import EdgeConfig, KeyInfo
from server.rates import admit
from server.segment.aliasing import Aliasing, apply_alias
from server.segment.batches import batch_of
from server.segment.contexts import is_browser
from server.segment.requests import Message, SegmentRefused, Sent, Skipped
from server.segment.times import event_time_ms
from server.segment.values import as_object

MAX_TOGETHER = 100  # batches given to the shards at once
UNWRITABLE = "It is nested too deep, or has numbers of more than 64 bits."


async def take_in(
    request: web.Request, edge: Edge, config: EdgeConfig, key: KeyInfo, sent: Sent
) -> list[Skipped]:
    """Store what the messages say; return those that are left out, in their order.

    Raises:
        SegmentRefused: there are messages, and none can be stored (400).
        Refused: a rate limit is exceeded (429); nothing was stored.
    """
    admit(edge, key.limits, len(sent.messages))
    received_ms = edge.clock.now_ms()
    skipped = list(sent.skipped)
    is_further = False
    for (is_alias, is_of_browser), messages in groupby(sent.messages, _kind):
        if is_alias:
            for each in messages:
                await apply_alias(each, _aliasing(each, edge, config, key, received_ms))
            is_further = True
            continue
        context = BatchContext(
            input=key.input,
            # Repeats are known by input: another of its keys, given meanwhile, changes nothing.
            api_key=key.input_id,
            channel="javascript" if is_of_browser else "server_to_server",
            received_ms=received_ms,
            is_lenient=True,
            ip=client_address(request, config) if is_of_browser else None,
            user_agent=user_agent(request) if is_of_browser else None,
            updates_attributes=True,
        )
        for some in _parts(list(messages)):
            batches: dict[int, bytes] = {}
            for each in some:
                time_ms = event_time_ms(each.members, sent, received_ms)
                try:
                    batches[each.index] = batch_of(
                        each, key.input_id, time_ms, has_semantic_events=key.has_semantic_events
                    )
                except (orjson.JSONEncodeError, RecursionError):
                    skipped.append(Skipped(each.index, "invalid_message", UNWRITABLE))
            if not batches:
                continue
            together = list(batches.values())
            results = await edge.deployment.apply(together, context, is_further=is_further)
            is_further = True
            skipped += [
                Skipped(index, "invalid_message", result.problems[0].message)
                for index, result in zip(batches, results, strict=True)
                if isinstance(result, Rejected)
            ]
    for left_out in skipped:
        edge.metrics.ingest_drops.labels(config.workspace_slug, key.input_id, left_out.code).inc()
    if skipped and len(skipped) == len(sent.messages) + len(sent.skipped):
        raise SegmentRefused(400, "invalid_request", f"No message is valid: {skipped[0].message}")
    return sorted(skipped)


def _kind(message: Message) -> tuple[bool, bool]:
    context = as_object(message.members.get("context"))
    return message.type == "alias", is_browser(context)


def _parts(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    for start in range(0, len(messages), MAX_TOGETHER):
        yield messages[start : start + MAX_TOGETHER]


def _aliasing(
    message: Message, edge: Edge, config: EdgeConfig, key: KeyInfo, received_ms: int
) -> Aliasing:
    context = as_object(message.members.get("context"))
    is_development = key.is_debug or context.get("environment") == "development"
    environment: Environment = "development" if is_development else "production"
    return Aliasing(edge.deployment, config.identity, key, environment, received_ms)
