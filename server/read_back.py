"""Members that an object is shown with and a body cannot set (spec/platform-api.md, 1 and 15).

What was read can be sent back with some of it changed, and need not be taken apart for that: such a
member is taken as long as it is as it is shown, and refused where it asks for something else.
"""

from collections.abc import Iterable, Mapping
from typing import Any

# They tell what has been done to an object, and are others after every change: also after that of a
# request which is sent once more because its answer got lost. Who wants to be refused if somebody
# else has been faster sends `If-Match`.
MOVING = frozenset(
    {
        *("last_modified_on", "last_modified_by", "etag"),
        *("last_run_on", "last_posted_at", "last_scored_at", "scored_users", "used_by"),
    }
)
# Numbers of objects, and where their ids are shown, which mean the same.
_IDS: Mapping[str, str] = {"id": "slug", "input_id": "input", "output_id": "output"}


def differing(body: Mapping[str, Any], shown: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    """List the members of a body that are not as they are shown.

    Args:
        body: as it was sent.
        shown: the object as it is shown now.
        names: of the members that cannot be set. Those that move are not compared.
    """
    return [
        name
        for name in names
        if name in body and name not in MOVING and not _is_as_shown(name, body[name], shown)
    ]


def _is_as_shown(name: str, value: Any, shown: Mapping[str, Any]) -> bool:
    return any(each in shown and shown[each] == value for each in (name, _IDS.get(name, name)))
