"""Lays workspace documents over what was applied before (spec/connections.md, 10).

Works on documents as they are read, so that it need not know what their sections hold: a section
that is a list of objects with ids is one of objects; any other says what holds, as a whole.
"""

from collections.abc import Mapping
from typing import Any

from config.errors import Location

Data = dict[str, Any]
Names = dict[str, frozenset[str]]  # section to names of objects there
# What names an object among its neighbours.
_NAMES = ("id", "client_id", "key")


def name_of(item: object) -> str | None:
    """Return what an object of a list is called there; `None` if nothing names it."""
    if isinstance(item, Mapping):
        for name in _NAMES:
            if isinstance(item.get(name), str):
                return str(item[name])
    return None


def is_of_objects(section: object) -> bool:
    """Tell whether a section is a list of objects with names."""
    return isinstance(section, list) and all(name_of(each) is not None for each in section)


def names_in(data: Mapping[str, Any]) -> Names:
    """Return the names of the objects of each section; a section that has none stands for itself.

    Such a section is called by its own name.
    """
    return {
        section: frozenset(str(name_of(each)) for each in value)
        if is_of_objects(value)
        else frozenset({section})
        for section, value in data.items()
    }


def together(*several: Mapping[str, frozenset[str]]) -> Names:
    """Return the names that are in any of several."""
    return {
        section: frozenset().union(*(each.get(section, ()) for each in several))
        for section in {section for each in several for section in each}
    }


def still_there(names: Names, data: Mapping[str, Any]) -> Names:
    """Return those of some names that a document has."""
    there = names_in(data)
    return {section: each & there.get(section, frozenset()) for section, each in names.items()}


def merged_document(kept: Data, given: Data, gone: Names) -> Data:
    """Return what holds once a document is applied.

    Args:
        kept: what holds now; empty at first.
        given: the document; its objects replace those of the same name, and come first, so that
            problems are placed where its author has written them.
        gone: names of objects that are deleted if it does not have them.
    """
    result = dict(given)
    for section, objects in kept.items():
        if not is_of_objects(objects):
            continue
        there = result.get(section, [])
        if is_of_objects(there):  # else it is faulty, and is said to be
            names = {*map(name_of, there), *gone.get(section, ())}
            if left := [each for each in objects if name_of(each) not in names]:
                result[section] = [*there, *left]
    return result


def counterpart(data: Any, where: Location, original: Any) -> Any:
    """Return what in `data` corresponds to a place of `original`; `None` if nothing does.

    Objects of lists correspond by their names, everything else by its place.
    """
    for part in where:
        original = original[part]
        if isinstance(part, str):
            if not isinstance(data, dict) or part not in data:
                return None
            data = data[part]
            continue
        if not isinstance(data, list):
            return None
        name = name_of(original)
        if name is None:
            found = data[part : part + 1]
        else:
            found = [each for each in data if name_of(each) == name]
        if not found:
            return None
        data = found[0]
    return data
