"""Whose a request of the tracking API is: by its write key (spec/clients.md, 6.1)."""

from typing import NamedTuple

from aiohttp import web

from server.auth import basic_user
from server.context import EDGES, Edge, edge_of
from server.edge_config import EdgeConfig, KeyInfo
from server.segment.requests import SegmentRefused, write_key_of

UNAUTHORIZED = SegmentRefused(401, "unauthorized", "invalid write key")


class Writer(NamedTuple):
    """The workspace of a write key, its configuration now, and the key."""

    edge: Edge
    config: EdgeConfig
    key: KeyInfo


def writer_in_header(request: web.Request) -> Writer | None:
    """Find the write key in `Authorization`; `None` where there is no such header.

    Raises:
        SegmentRefused: it has none, or none that may be used here (401).
    """
    header = request.headers.get("Authorization")
    return None if header is None else _writer(edge_of(request), basic_user(header))


def writer_of(request: web.Request, body: bytes) -> Writer:
    """Find the write key of a request: in `Authorization`, else in its body, else in its query.

    Raises:
        SegmentRefused: there is none, or none that may be used here (401).
    """
    writer = writer_in_header(request)
    if writer is not None:
        return writer
    key = write_key_of(body) or request.query.get("writeKey")
    return _writer(request.app[EDGES].of_key(key or ""), key)


def writer_in_path(request: web.Request) -> Writer:
    """Find the write key that a path names. Raises SegmentRefused."""
    key = request.match_info["write_key"]
    return _writer(request.app[EDGES].of_key(key), key)


def _writer(edge: Edge, key: str | None) -> Writer:
    config = edge.config.current
    found = config.keys.get(key or "")
    if found is None or not found.is_active or not found.takes_segment:
        raise UNAUTHORIZED
    return Writer(edge, config, found)
