"""Lists page by page: `limit` and `cursor` (spec/platform-api.md, 1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from actors.errors import CursorInvalid
from server.parameters import page_size
from server.problems import json_answer

MAX_PAGE = 1000


def paged(
    request: web.Request, items: Sequence[Mapping[str, Any]], key: str = "id"
) -> web.Response:
    """Answer with a page of a list; see `page_of`."""
    page, headers = page_of(request, items, key)
    return json_answer(page, headers=headers)


def page_of(
    request: web.Request, items: Sequence[Mapping[str, Any]], key: str = "id"
) -> tuple[Sequence[Mapping[str, Any]], dict[str, str]]:
    """Return a page of a list, those after the one whose `key` the cursor is, and its headers.

    Raises:
        Refused: `limit` is none (400).
        CursorInvalid: nothing of the list has that key, perhaps not any more.
    """
    limit = page_size(request, MAX_PAGE, MAX_PAGE)
    cursor, start = request.query.get("cursor"), 0
    if cursor is not None:
        places = [place for place, each in enumerate(items) if str(each[key]) == cursor]
        if not places:
            raise CursorInvalid(cursor)
        start = places[-1] + 1
    page = items[start : start + limit]
    following = str(page[-1][key]) if start + limit < len(items) else None
    return page, next_link(request, following)


def next_link(request: web.Request, cursor: str | None) -> dict[str, str]:
    """Return the header that names the next page; none if there is no next one."""
    if cursor is None:
        return {}
    following = request.rel_url.update_query({"cursor": cursor})
    return {"Link": f'<{following}>; rel="next"'}
