"""The desk of calculated attributes as other processes call it; see `actors.handles`."""

from typing import TYPE_CHECKING, cast

from actors.desk_calls import DeskByName, DeskCall

if TYPE_CHECKING:  # an edge, to be back soon after its death, imports nothing that the desk is of
    from actors.calculated.desk import CalculatedDesk


def calculated_handle(call: DeskCall) -> "CalculatedDesk":
    """Return a handle that calls the desk, wherever it is. Arguments go by position."""
    return cast("CalculatedDesk", DeskByName(call))
