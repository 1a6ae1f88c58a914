"""Filters of a connection's dead letters (spec/platform-api.md, 15)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from msgspec import Struct

from server.deployment import Deployment
from server.parameters import int64, invalid, time_ms
from server.problems import Refused

PAGE = 1000  # dead letters read at once

NAMES = ("reason", "http_status", "from", "to", "mpid")


class DeadLetterFilter(Struct, frozen=True):
    """Which dead letters are meant; `from_ms` <= created < `to_ms`. `None` takes all."""

    reason: str | None = None
    http_status: int | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    mpid: int | None = None

    def matches(self, item: Mapping[str, Any]) -> bool:
        """Tell whether an item of `Deployment.dead_letters` is meant."""
        created_ms = time_ms(item["created_on"], "created_on")
        return (
            self.reason in (None, item["reason"])
            and self.http_status in (None, item["http_status"])
            and self.mpid in (None, item["mpid"])
            and (self.from_ms is None or created_ms >= self.from_ms)
            and (self.to_ms is None or created_ms < self.to_ms)
        )


def dead_letter_filter(given: Mapping[str, Any]) -> DeadLetterFilter:
    """Read a filter from a query or a body; other names are not looked at.

    Raises:
        Refused: a value is not of its kind (400).
    """
    texts: dict[str, str] = {}
    for name in NAMES:
        value = given.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | None):
            raise invalid(name, "must be a string or an integer")
        if value is not None:
            texts[name] = str(value)

    return DeadLetterFilter(
        reason=texts.get("reason"),
        http_status=int64(texts["http_status"], "http_status") if "http_status" in texts else None,
        from_ms=time_ms(texts["from"], "from") if "from" in texts else None,
        to_ms=time_ms(texts["to"], "to") if "to" in texts else None,
        mpid=int64(texts["mpid"], "mpid") if "mpid" in texts else None,
    )


def selection_of(body: dict[str, Any]) -> DeadLetterFilter | list[str]:
    """Read what is to be replayed: by filter, which all of them pass too, or by ids.

    Raises:
        Refused: neither, or a value is not of its kind (400).
    """
    match body:
        case {"all": True, **rest} if not rest:
            return DeadLetterFilter()
        case {"ids": list(ids), **rest} if not rest:
            if not all(isinstance(each, str) for each in ids):
                raise invalid("ids", "must be a list of delivery ids")
            return ids
        case {"filter": dict(given), **rest} if not rest:
            if not given or not given.keys() <= set(NAMES):
                raise invalid("filter", f"must have members of {', '.join(NAMES)}")
            return dead_letter_filter(given)
    raise Refused("BAD_REQUEST", 'Body must have one member: "ids", "filter" or "all": true.')


async def page_of(
    deployment: Deployment,
    connection: int,
    wanted: DeadLetterFilter,
    limit: int,
    cursor: str | None,
    *,
    is_whole: bool = False,
) -> dict[str, Any]:
    """Return up to `limit` dead letters that are wanted, as `Deployment.dead_letters` does."""
    items: list[dict[str, Any]] = []
    while True:
        page = await deployment.dead_letters(
            connection, limit - len(items), cursor, is_whole=is_whole
        )
        items += [item for item in page["items"] if wanted.matches(item)]
        cursor = page["next_cursor"]
        if cursor is None or len(items) >= limit:
            return {"items": items, "next_cursor": cursor}


async def ids_of(
    deployment: Deployment, connection: int, wanted: DeadLetterFilter
) -> AsyncIterator[list[str]]:
    """Yield the delivery ids of all dead letters that are wanted, page by page."""
    cursor: str | None = None
    while True:
        page = await page_of(deployment, connection, wanted, PAGE, cursor)
        cursor = page["next_cursor"]
        yield [item["delivery_id"] for item in page["items"]]
        if cursor is None:
            return
