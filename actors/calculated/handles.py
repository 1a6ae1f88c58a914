"""The desk of calculated attributes as other processes call it; see `actors.handles`."""

from typing import cast

from actors.calculated.desk import CalculatedDesk
from actors.desk_calls import DeskByName, DeskCall


def calculated_handle(call: DeskCall) -> CalculatedDesk:
    """Return a handle that calls the desk, wherever it is. Arguments go by position."""
    return cast(CalculatedDesk, DeskByName(call))
