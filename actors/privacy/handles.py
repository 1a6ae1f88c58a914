"""The desk of data subject requests as other processes call it; see `actors.handles`."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, cast

from actors.desk_calls import DeskByName, DeskCall

if TYPE_CHECKING:  # an edge, to be back soon after its death, imports nothing that the desk is of
    from actors.privacy.callbacks import Post
    from actors.privacy.desk import PrivacyDesk


class Surroundings(NamedTuple):
    """What the desk reaches beyond its process.

    Attributes:
        domain: that the deployment is reached by.
        post: sends callbacks.
        wake: called with the id of an output for which there is something.
        reread: has the forwarder of an output (its id) let go of what it holds in memory.
    """

    domain: str
    post: "Post"
    wake: Callable[[str], None]
    reread: Callable[[str], Awaitable[None]]


def privacy_handle(call: DeskCall) -> "PrivacyDesk":
    """Return a handle that calls the desk, wherever it is. Arguments go by position."""
    return cast("PrivacyDesk", DeskByName(call))
