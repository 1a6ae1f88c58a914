"""Small changes to JSON documents, and whether a pointer points into one."""

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["date", "number", "exists", "within_last", "equals", "2026-03-10", "type"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)

_Step = str | int


def _places(document: Any, at: tuple[_Step, ...] = ()) -> list[tuple[_Step, ...]]:
    inner: list[tuple[_Step, Any]] = []
    if isinstance(document, dict):
        inner = list(document.items())
    elif isinstance(document, list):
        inner = list(enumerate(document))
    return [at, *(place for step, value in inner for place in _places(value, (*at, step)))]


@st.composite
def mutated(draw: st.DrawFn, documents: st.SearchStrategy[Any]) -> Any:
    """Draw a document with one to three small changes."""
    document = deepcopy(draw(documents))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(_places(document)))
        document = _changed(draw, document, place)
    return document


def _changed(draw: st.DrawFn, document: Any, place: tuple[_Step, ...]) -> Any:
    if not place:
        return draw(values)
    owner = document
    for step in place[:-1]:
        owner = owner[step]
    change = draw(st.sampled_from(["replace", "remove", "rename", "move"]))
    last = place[-1]
    if change == "replace":
        owner[last] = draw(values)
    elif change == "remove":
        del owner[last]
    elif change == "rename" and isinstance(owner, dict):
        owner[draw(st.text(max_size=5) | st.sampled_from(["value", "op", "and", "not"]))] = owner[
            last
        ]
    else:
        source = draw(st.sampled_from(_places(document)))
        moved = document
        for step in source:
            moved = moved[step]
        owner[last] = deepcopy(moved)
    return document


def points_into(pointer: str, document: Any) -> bool:
    """Tell whether a pointer names something in a document, or a member missing from an object."""
    if not pointer:
        return True
    owner, last = document, True
    for token in pointer.split("/")[1:]:
        if not last:
            return False  # nothing can be below what is missing
        step = token.replace("~1", "/").replace("~0", "~")
        if isinstance(owner, dict):
            last = step in owner
            owner = owner.get(step)
        elif isinstance(owner, list) and step.isdigit() and int(step) < len(owner):
            owner = owner[int(step)]
        else:
            return False
    return True
