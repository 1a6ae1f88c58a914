"""Names of audiences that are made of other names: unique, and not too long
(spec/audiences.md, 2).

`taken`: names that others have, case-folded.
"""

from collections.abc import Callable, Container

MAX_NAME_LENGTH = 100


def copy_name(name: str, taken: Container[str]) -> str:
    """Return the name of a copy of an audience."""
    return _free(name, taken, lambda number: " (copy)" if number == 1 else f" (copy {number})")


def milestone_name(journey: str, milestone: str, taken: Container[str]) -> str:
    """Return the name of a milestone's audience, by the names of its journey and of itself.

    Only one that has to be cut gets a number where it is taken: what is left of it may be all but
    what tells milestones apart.
    """
    name = f"{journey} - {milestone}"
    if len(name) <= MAX_NAME_LENGTH:
        return name
    return _free(name, taken, lambda number: "" if number == 1 else f" ({number})")


def _free(name: str, taken: Container[str], suffix: Callable[[int], str]) -> str:
    """Cut a name for the first suffix, by number, with which nobody has it."""
    number = 1
    while True:
        end = suffix(number)
        # It must not end with a space, as no name does that somebody sends.
        made = (name[: MAX_NAME_LENGTH - len(end)] + end).rstrip()
        if made.casefold() not in taken:
            return made
        number += 1
