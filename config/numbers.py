"""Integer ids of the Platform API (spec/connections.md, 10).

Accounts, workspaces and identity scopes are numbered across the deployment, whatever belongs to a
workspace within it.
"""

from collections.abc import Iterable, Sequence

import msgspec

from config.errors import ConfigError, format_path
from config.workspace import WorkspaceDocument

ORGANIZATION = 1  # there is one per installation
_RETIRED = " deleted "  # no id has spaces


class ObjectNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The number of every object that a workspace ever had, by section of its document and id."""

    inputs: dict[str, int] = {}
    outputs: dict[str, int] = {}
    connections: dict[str, int] = {}
    calculated_attributes: dict[str, int] = {}
    audiences: dict[str, int] = {}


class Numbers(ObjectNumbers, frozen=True, forbid_unknown_fields=True):
    """What one workspace looks up: the numbers of the deployment, and those of its own objects."""

    accounts: dict[str, int] = {}
    workspaces: dict[str, int] = {}
    scopes: dict[str, int] = {}


class KeptNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The number of every id that was ever served: what is removed keeps its number.

    `objects` is by the id of the workspace.
    """

    accounts: dict[str, int] = {}
    workspaces: dict[str, int] = {}
    scopes: dict[str, int] = {}
    objects: dict[str, ObjectNumbers] = {}


_Entry = tuple[str, str, int | None]  # path of the object's number, its id, the number if fixed


def assign_all(
    documents: Sequence[WorkspaceDocument], kept: KeptNumbers
) -> tuple[KeptNumbers, tuple[Numbers, ...]]:
    """Give every object of a deployment its number.

    Args:
        documents: as `load_workspaces` returns them. `number:` fixes the number of its object;
            the others get the least free ones, in the order of the documents.
        kept: numbers given before; they stay.

    Returns:
        What is to be kept, the numbers given before and the new ones; and what each document
        looks up.

    Raises:
        ConfigError: a fixed number differs from the one that its object has, or is another's. Of
            several documents, paths begin with the id of the workspace.
    """
    problems: list[tuple[str, str]] = []
    prefixes = [f"{each.workspace.id}:" if len(documents) > 1 else "" for each in documents]
    named = list(zip(prefixes, documents, strict=True))
    accounts = _assign(
        [(f"{at}account.number", each.account.id, each.account.number) for at, each in named],
        kept.accounts,
        problems,
    )
    workspaces = _assign(
        [(f"{at}workspace.number", each.workspace.id, each.workspace.number) for at, each in named],
        kept.workspaces,
        problems,
    )
    scopes = _assign(
        [(f"{at}workspace.identity_scope", each.workspace.scope_name, None) for at, each in named],
        kept.scopes,
        problems,
    )
    objects = dict(kept.objects)
    for at, each in named:
        known = kept.objects.get(each.workspace.id, ObjectNumbers())
        objects[each.workspace.id] = _assign_objects(at, each, known, problems)
    if problems:
        raise ConfigError(problems)
    return KeptNumbers(accounts, workspaces, scopes, objects), tuple(
        Numbers(
            **msgspec.structs.asdict(objects[each.workspace.id]),
            accounts=accounts,
            workspaces=workspaces,
            scopes=scopes,
        )
        for each in documents
    )


def assign_numbers(document: WorkspaceDocument, known: Numbers) -> Numbers:
    """Give every object of a document that is served alone its number; see `assign_all`."""
    own = ObjectNumbers(*(getattr(known, section) for section in ObjectNumbers.__struct_fields__))
    objects = {document.workspace.id: own}
    kept = KeptNumbers(known.accounts, known.workspaces, known.scopes, objects)
    _, (numbers,) = assign_all((document,), kept)
    return numbers


def retire(kept: KeptNumbers, workspace: str, section: str, name: str) -> KeptNumbers:
    """Let go of the number of a deleted object: nobody else gets it, nor one of the same name.

    What is still stored under the number can so be told from what belongs to a new object.
    """
    objects = kept.objects[workspace]
    numbers: dict[str, int] = dict(getattr(objects, section))
    number = numbers.pop(name)
    numbers[f"{name}{_RETIRED}{number}"] = number
    changed = msgspec.structs.replace(objects, **{section: numbers})
    return msgspec.structs.replace(kept, objects=kept.objects | {workspace: changed})


def retired(numbers: dict[str, int]) -> frozenset[int]:
    """Return the numbers of deleted objects among those of a section."""
    return frozenset(number for name, number in numbers.items() if _RETIRED in name)


def encode_numbers(numbers: KeptNumbers) -> bytes:
    """Encode numbers as JSON, to be kept in the data folder."""
    return msgspec.json.encode(numbers)


def decode_numbers(encoded: bytes) -> KeptNumbers:
    """Decode what `encode_numbers` made; ConfigError if it is anything else."""
    try:
        return msgspec.json.decode(encoded, type=KeptNumbers)
    except msgspec.DecodeError as error:
        raise ConfigError([("", f"the kept numbers are damaged: {error}")]) from error


def _assign_objects(
    prefix: str,
    document: WorkspaceDocument,
    known: ObjectNumbers,
    problems: list[tuple[str, str]],
) -> ObjectNumbers:
    return ObjectNumbers(
        *(
            _assign(
                [
                    (prefix + format_path((section, index, "number")), each.id, each.number)
                    for index, each in enumerate(getattr(document, section))
                ],
                getattr(known, section),
                problems,
            )
            for section in ObjectNumbers.__struct_fields__
        )
    )


def _assign(
    entries: Iterable[_Entry], known: dict[str, int], problems: list[tuple[str, str]]
) -> dict[str, int]:
    """Return the known numbers and those of the entries; an id may come several times."""
    numbers = dict(known)
    owners = {number: name for name, number in known.items()}
    unnumbered = []
    for path, name, fixed in entries:
        if fixed is None:
            unnumbered.append(name)
        elif numbers.get(name, fixed) != fixed:
            problems.append((path, f"'{name}' already has number {numbers[name]}"))
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
