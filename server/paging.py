"""Lists page by page: `limit` and `cursor` (spec/platform-api.md, 1)."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from actors.errors import CursorInvalid
from server.parameters import page_size
from server.problems import json_answer

MAX_PAGE = 1000


def paged(request: web.Request, items: Sequence[Mapping[str, Any]], *keys: str) -> web.Response:
    """Answer with a page of a list; see `page_of`."""
    page, headers = page_of(request, items, *keys)
    return json_answer(page, headers=headers)


def page_of(
    request: web.Request, items: Sequence[Mapping[str, Any]], *keys: str
) -> tuple[Sequence[Mapping[str, Any]], dict[str, str]]:
    """Return a page of a list, and its headers.

    Args:
        request: asks for those after the one that its cursor names.
        items: all of them.
        keys: the fields that name an item; `id` if none are said.

    Raises:
        Refused: `limit` is none (400).
        CursorInvalid: nothing of the list has that name, perhaps not any more.
    """
    limit = page_size(request, MAX_PAGE, MAX_PAGE)
    cursor, start = request.query.get("cursor"), 0
    if cursor is not None:
        places = [place for place, each in enumerate(items) if _name(each, keys) == cursor]
        if not places:
            raise CursorInvalid(cursor)
        start = places[-1] + 1
    page = items[start : start + limit]
    following = _name(page[-1], keys) if start + limit < len(items) else None
    return page, next_link(request, following)


def next_link(request: web.Request, cursor: str | None) -> dict[str, str]:
    """Return the header that names the next page; none if there is no next one."""
    if cursor is None:
        return {}
    following = request.rel_url.update_query({"cursor": cursor})
    return {"Link": f'<{following}>; rel="next"'}


def _name(item: Mapping[str, Any], keys: Sequence[str]) -> str:
    return "|".join(str(item[key]) for key in keys or ("id",))
