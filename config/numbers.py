"""Integer ids of the Platform API (spec/connections.md, 10)."""

from collections.abc import Iterable

import msgspec

from config.errors import ConfigError, Location, format_path
from config.workspace import WorkspaceDocument

# In the order of `Numbers`.
SECTIONS = ("inputs", "outputs", "connections", "calculated_attributes", "audiences")
ORGANIZATION = 1  # there is one per installation


class Numbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The number of every id that was ever served: what is removed keeps its number."""

    accounts: dict[str, int] = {}
    workspaces: dict[str, int] = {}
    inputs: dict[str, int] = {}
    outputs: dict[str, int] = {}
    connections: dict[str, int] = {}
    calculated_attributes: dict[str, int] = {}
    audiences: dict[str, int] = {}


def assign_numbers(document: WorkspaceDocument, known: Numbers) -> Numbers:
    """Give every object of a document its number.

    Args:
        document: `number:` fixes the number of its object; the others get the least free ones, in
            the order of the document.
        known: numbers given before; they stay.

    Returns:
        The known numbers and the new ones.

    Raises:
        ConfigError: a fixed number differs from the one that its object has, or is another's.
    """
    account, workspace = document.account, document.workspace
    problems: list[tuple[str, str]] = []
    numbers = Numbers(
        _assign([(("account",), account.id, account.number)], known.accounts, problems),
        _assign([(("workspace",), workspace.id, workspace.number)], known.workspaces, problems),
        *(
            _assign(
                [
                    ((section, index), each.id, each.number)
                    for index, each in enumerate(getattr(document, section))
                ],
                getattr(known, section),
                problems,
            )
            for section in SECTIONS
        ),
    )
    if problems:
        raise ConfigError(problems)
    return numbers


def encode_numbers(numbers: Numbers) -> bytes:
    """Encode numbers as JSON, to be kept in the data folder."""
    return msgspec.json.encode(numbers)


def decode_numbers(encoded: bytes) -> Numbers:
    """Decode what `encode_numbers` made; ConfigError if it is anything else."""
    try:
        return msgspec.json.decode(encoded, type=Numbers)
    except msgspec.DecodeError as error:
        raise ConfigError([("", f"the kept numbers are damaged: {error}")]) from error


def _assign(
    objects: Iterable[tuple[Location, str, int | None]],
    known: dict[str, int],
    problems: list[tuple[str, str]],
) -> dict[str, int]:
    numbers = dict(known)
    owners = {number: name for name, number in known.items()}
    unnumbered = []
    for where, name, fixed in objects:
        path = format_path((*where, "number"))
        if fixed is None:
            unnumbered.append(name)
        elif name in known and known[name] != fixed:
            problems.append((path, f"'{name}' already has number {known[name]}"))
        elif owners.setdefault(fixed, name) != name:
            problems.append((path, f"number {fixed} belongs to '{owners[fixed]}'"))
        else:
            numbers[name] = fixed
    free = 1
    for name in unnumbered:
        while free in owners:
            free += 1
        if name not in numbers:
            owners[free] = name
            numbers[name] = free
    return numbers
