"""The query of a Pixel Service request as a batch (spec/events-api.md, 17)."""

import re
from typing import Any
from urllib.parse import unquote_plus

import orjson

from actors.batches.parse import parse_json
from actors.batches.reading import Fields
from actors.errors import BatchRejected, Problem

_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
_EVENT_TYPES = {
    "appevent": "custom_event",
    "4": "custom_event",
    "screenview": "screen_view",
    "3": "screen_view",
}
_CUSTOM_TYPES = (
    *("unknown", "navigation", "location", "search", "transaction", "user_content"),
    *("user_preference", "social", "other", "media"),
)
# By number, and by name without the underscores that the pixel's own names lack.
_CUSTOM_TYPE_NAMES = {name.replace("_", ""): name for name in _CUSTOM_TYPES} | {
    str(number): name for number, name in enumerate(_CUSTOM_TYPES)
}
_PAGE_ATTRIBUTES = {"hn": "hostname", "ttl": "title", "path": "path"}
_TIME = re.compile(r"[0-9]{1,18}")


def pixel_batch(raw_query: str, received_ms: int) -> bytes:
    """Make the JSON of a batch with one event of a pixel's query string.

    Args:
        raw_query: what follows `?` in the request, still percent-encoded.
        received_ms: the event's time where the query has none.

    Returns:
        A batch for `decode_batch`, whose rules for identities, limits and consent then hold.

    Raises:
        BatchRejected: no known event type (`dt`), or no name (`n`) of a custom event.
    """
    query = _Query(raw_query)
    event_type = _event_type(query)
    data: Fields = {"timestamp_unixtime_ms": _time(query.text("ct"), received_ms)}
    if event_type == "custom_event":
        data["event_name"] = query.text("n")
        kind = query.text("et", "unknown").lower()
        data["custom_event_type"] = _CUSTOM_TYPE_NAMES.get(kind, "unknown")
    else:
        data["screen_name"] = query.text("n") or query.text("path") or query.text("hn") or None
    page = {name: query.text(short) for short, name in _PAGE_ATTRIBUTES.items()}
    page = {name: value for name, value in page.items() if value}
    data["custom_attributes"] = page | query.pairs("attrs_k", "attrs_v")
    data["custom_flags"] = query.pairs("flags_k", "flags_v")
    data["location"] = _location(query.text("lc"))
    identities = query.pairs("ui_t", "ui_v")
    is_debug = query.text("dbg").lower() == "true"
    return orjson.dumps(
        {
            "environment": "development" if is_debug else "production",
            "user_identities": {name.lower(): value for name, value in identities.items()},
            "user_attributes": query.pairs("ua_k", "ua_v"),
            "device_info": {"platform": "web", "amp_id": query.text("amp_id")},
            "application_info": {"application_version": query.text("av") or None},
            "consent_state": _consent(query.text("consent_state")),
            "events": [{"event_type": event_type, "data": data}],
        }
    )


class _Query:
    """Parameters of a query; of a repeated one the last counts."""

    def __init__(self, raw_query: str) -> None:
        clean = raw_query.encode(errors="replace").decode()  # no half surrogate pairs
        parts = (part.partition("=") for part in clean.split("&"))
        self._raw = {unquote_plus(name): value for name, _, value in parts}

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter decoded, `default` if it is absent."""
        return _decoded(self._raw.get(name, "")) or default

    def pairs(self, names: str, values: str) -> dict[str, str]:
        """Return two lists as one map, without the pairs that lack the name or the value."""
        pairs = zip(self._list(names), self._list(values), strict=False)
        return {name: value for name, value in pairs if name and value}

    def _list(self, name: str) -> list[str]:
        """Return a list's elements, which are encoded one by one: split first, decode then."""
        return [_decoded(element) for element in self._raw.get(name, "").split(",")]


def _decoded(raw: str) -> str:
    """Decode a value; a placeholder that nobody filled in is absent."""
    text = unquote_plus(raw)
    return "" if _PLACEHOLDER.fullmatch(text) else text


def _event_type(query: _Query) -> str:
    sent = query.text("dt")
    event_type = _EVENT_TYPES.get(sent.lower())
    problems: list[Problem] = []
    if not sent:
        problems.append(Problem('Required field "dt" is missing or empty.', "dt"))
    elif event_type is None:
        text = 'Invalid value for field "dt": must be AppEvent or ScreenView.'
        problems.append(Problem(text, "dt"))
    if event_type == "custom_event" and not query.text("n"):
        problems.append(Problem('Required field "n" is missing or empty.', "n"))
    if event_type is None or problems:
        raise BatchRejected(problems)
    return event_type


def _time(text: str, received_ms: int) -> int:
    return int(text) if _TIME.fullmatch(text) and int(text) > 0 else received_ms


def _location(text: str) -> dict[str, float] | None:
    latitude, _, longitude = text.partition(",")
    try:
        return {"latitude": float(latitude), "longitude": float(longitude)}
    except ValueError:
        return None


def _consent(text: str) -> Any:
    """Return the consent state; one that cannot be read is left out."""
    try:
        state = parse_json(text.encode())
    except BatchRejected:
        return None
    return state if isinstance(state, dict) else None
