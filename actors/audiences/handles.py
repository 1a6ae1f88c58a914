"""The desk of audiences as other processes call it; see `actors.handles` for the conventions."""

from typing import TYPE_CHECKING, cast

from actors.desk_calls import DeskByName, DeskCall

if TYPE_CHECKING:  # an edge, to be back soon after its death, imports nothing that the desk is of
    from actors.audiences.abtests import AbTests
    from actors.audiences.downloads import Downloads
    from actors.audiences.forwarding import Forwarding
    from actors.audiences.journeys import Journeys
    from actors.audiences.lifecycle import Lifecycle
    from actors.audiences.lists import StaticLists
    from actors.audiences.queries import Queries
    from actors.audiences.registry import Registry
    from actors.audiences.sharing import Sharing
    from actors.audiences.subscriptions import Subscriptions
    from actors.predictions.desk import Predictions

    class AudienceDeskHandle(
        Registry,
        Lifecycle,
        AbTests,
        StaticLists,
        Subscriptions,
        Forwarding,
        Journeys,
        Sharing,
        Queries,
        Downloads,
        Predictions,
    ):
        """The type of a handle: it has the methods of all parts. Nothing is ever made of it."""

else:
    AudienceDeskHandle = DeskByName


def desk_handle(call: DeskCall) -> AudienceDeskHandle:
    """Return a handle that calls the desk, wherever it is. Arguments go by position."""
    return cast(AudienceDeskHandle, DeskByName(call))
