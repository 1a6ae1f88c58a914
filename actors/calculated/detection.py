"""What an attribute is used for: the type of its newest values (spec/audiences.md, 5).

No catalogue keeps them: they are read from the event log when somebody asks.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from actors.audiences.values import parse_number
from actors.calculated.applying import texts_in
from actors.calculated.calculator import Calculator
from actors.calculated.definition import Attribute, DateRange, Definition
from actors.calculated.live import EventIndex
from actors.model.batches import StoredBatch
from actors.model.workspaces import WorkspaceInfo

MOST_VALUES = 1000
LEAST_SHARE = 0.95  # of the values that have to parse
NUMERIC_FUNCTIONS = frozenset({"sum", "min", "max", "average"})


def newest_values(
    definition: Definition,
    batches: Iterable[StoredBatch],
    workspace: WorkspaceInfo,
    is_over: Callable[[], bool],
) -> list[str]:
    """Return the newest values of a definition's attribute, whatever its conditions are.

    Args:
        definition: of a function that takes values.
        batches: newest first.
        workspace: whose tiers hold; batches of others are passed over.
        is_over: asked before each batch whether to go on no longer.
    """
    datapoint = replace(definition.datapoint, uses_quantity=False)
    wanted = Definition("last_occurrence", datapoint, DateRange("all"))
    index = EventIndex((Calculator(Attribute(0, "", 0, wanted)),), workspace)
    found: list[str] = []
    for stored in batches:
        if is_over() or len(found) >= MOST_VALUES:
            break
        if stored.workspace == workspace.number:
            found += texts_in(stored, index)
    return found[:MOST_VALUES]


def are_numbers(values: Sequence[str]) -> bool:
    """Tell whether values are those of a numeric attribute; of none nothing else is known."""
    parsed = sum(parse_number(each) is not None for each in values)
    return parsed >= LEAST_SHARE * len(values)
