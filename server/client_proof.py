"""How a client SDK proves that it may use a key (spec/clients.md, 5.1; spec/identity.md, 4.2)."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from server.context import Edge, count_body
from server.edge_config import EdgeConfig, KeyInfo
from server.signatures import date_ms, is_signed, targets_of

SIGNATURE = "x-mp-signature"

BodyReader = Callable[[], Awaitable[bytes]]  # the body after decompression


async def is_proven(
    request: web.Request,
    edge: Edge,
    key: KeyInfo,
    config: EdgeConfig,
    prefixes: Sequence[str],
    read: BodyReader,
) -> bool:
    """Tell whether a request may use a key: it is signed, or the key needs no signature.

    Args:
        request: a signature that it has must be right, even where none is needed.
        edge, config: of the key's workspace, as of now.
        key: that the request names.
        prefixes: below which the path is served too.
        read: called where the signature has to be verified; what it reads is of the key's input.

    Raises:
        ShardUnavailable: the edge holds as many bodies of the input as it may.
    """
    count_body(request, config, key.input)
    signature = request.headers.get(SIGNATURE)
    if signature is None:
        return key.allows_key_only
    date = request.headers.get("Date", "")
    return _is_recent(date, edge, config) and is_signed(
        key.secret.get_secret_value().encode(),
        signature,
        request.method,
        date,
        targets_of(request.raw_path, prefixes),
        await read(),
    )


def _is_recent(date: str, edge: Edge, config: EdgeConfig) -> bool:
    """Tell whether a Date is near enough to now.

    One that cannot be read does not refuse a request by itself: Android writes the device's zone
    by whatever name it has.
    """
    sent_ms = date_ms(date)
    most = config.identity.max_skew_ms
    if not date or not most or sent_ms is None:
        return bool(date)
    return abs(sent_ms - edge.clock.now_ms()) <= most
