"""Integer ids of the Platform API (spec/connections.md, 10).

Accounts, workspaces and identity scopes are numbered across the deployment, and so are inputs,
calculated attributes and audiences: an audience can be about several workspaces, and its id says
which one it is anywhere. What else belongs to a workspace is numbered within it.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from config.data_plans import quarantines
from config.errors import ConfigError, format_path
from config.workspace import WorkspaceDocument

ORGANIZATION = 1  # there is one per installation
_RETIRED = " deleted "  # no id has spaces
# Sections whose objects have numbers of their own in the whole deployment (spec/audiences.md, 2;
# spec/calculated-attributes.md, 1).
_DEPLOYMENT_WIDE = frozenset({"inputs", "calculated_attributes", "audiences"})


class ObjectNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The number of every object that a workspace ever had, by section of its document and id."""

    inputs: dict[str, int] = {}
    outputs: dict[str, int] = {}
    connections: dict[str, int] = {}
    calculated_attributes: dict[str, int] = {}
    audiences: dict[str, int] = {}
    data_plans: dict[str, int] = {}


class Numbers(ObjectNumbers, frozen=True, forbid_unknown_fields=True):
    """What one workspace looks up: the numbers of the deployment, and those of its own objects.

    `all_inputs`: those of all workspaces, as `workspace/input`.
    """

    accounts: dict[str, int] = {}
    workspaces: dict[str, int] = {}
    scopes: dict[str, int] = {}
    all_inputs: dict[str, int] = {}


class KeptNumbers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The number of every id that was ever served: what is removed keeps its number.

    `objects` is by the id of the workspace.
    """

    accounts: dict[str, int] = {}
    workspaces: dict[str, int] = {}
    scopes: dict[str, int] = {}
    objects: dict[str, ObjectNumbers] = {}


_Name = tuple[str, str]  # id of the workspace, and of the object; "" for what is of no workspace
_Entry = tuple[str, _Name, int | None]  # path of the object's number, the object, it if fixed


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
    accounts = _assign_names(
        [(f"{at}account.number", each.account.id, each.account.number) for at, each in named],
        kept.accounts,
        problems,
    )
    workspaces = _assign_names(
        [(f"{at}workspace.number", each.workspace.id, each.workspace.number) for at, each in named],
        kept.workspaces,
        problems,
    )
    scopes = _assign_names(
        [(f"{at}workspace.identity_scope", each.workspace.scope_name, None) for at, each in named],
        kept.scopes,
        problems,
    )
    objects = _assign_objects(named, kept.objects, problems)
    if problems:
        raise ConfigError(problems)
    all_inputs = {
        f"{workspace}/{name}": number
        for workspace, each in objects.items()
        for name, number in each.inputs.items()
    }
    return KeptNumbers(accounts, workspaces, scopes, objects), tuple(
        Numbers(
            **msgspec.structs.asdict(objects[each.workspace.id]),
            accounts=accounts,
            workspaces=workspaces,
            scopes=scopes,
            all_inputs=all_inputs,
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
    named: Sequence[tuple[str, WorkspaceDocument]],
    kept: Mapping[str, ObjectNumbers],
    problems: list[tuple[str, str]],
) -> dict[str, ObjectNumbers]:
    """Return the numbers of all objects, by the id of the workspace.

    Args:
        named: each document with what the paths of its problems begin with.
        kept: the numbers given before, also of workspaces that are not served now.
        problems: what is found is added here.
    """
    sections = ObjectNumbers.__struct_fields__
    found: dict[str, dict[str, dict[str, int]]] = {
        workspace: {section: {} for section in sections}
        for workspace in [*kept, *(each.workspace.id for _, each in named)]
    }
    for section in sections:
        known = {
            (workspace, name): number
            for workspace, numbers in kept.items()
            for name, number in getattr(numbers, section).items()
        }
        entries = [
            [
                (
                    prefix + format_path((section, index, "number")),
                    (document.workspace.id, name),
                    number,
                )
                for index, (name, number) in enumerate(_numbered(document, section))
            ]
            for prefix, document in named
        ]
        if section in _DEPLOYMENT_WIDE:
            assigned = _assign([each for some in entries for each in some], known, problems)
        else:
            assigned = {}
            for workspace in found:
                own = [each for some in entries for each in some if each[1][0] == workspace]
                its = {name: number for name, number in known.items() if name[0] == workspace}
                assigned |= _assign(own, its, problems)
        for (workspace, name), number in assigned.items():
            found[workspace][section][name] = number
    return {workspace: ObjectNumbers(**numbers) for workspace, numbers in found.items()}


def _numbered(document: WorkspaceDocument, section: str) -> list[tuple[str, int | None]]:
    """Return id and fixed number of what is numbered in a section, in its order.

    Connections of data plans to their quarantine outputs are connections, too.
    """
    found = [(each.id, each.number) for each in getattr(document, section)]
    if section == "connections":
        found += [(name, None) for name in quarantines(document.data_plans)]
    return found


def _assign_names(
    entries: Iterable[tuple[str, str, int | None]],
    known: Mapping[str, int],
    problems: list[tuple[str, str]],
) -> dict[str, int]:
    """Do what `_assign` does, for what is of no workspace."""
    assigned = _assign(
        [(path, ("", name), fixed) for path, name, fixed in entries],
        {("", name): number for name, number in known.items()},
        problems,
    )
    return {name: number for (_, name), number in assigned.items()}


def _assign(
    entries: Iterable[_Entry], known: Mapping[_Name, int], problems: list[tuple[str, str]]
) -> dict[_Name, int]:
    """Return the known numbers and those of the entries; an id may come several times."""
    numbers = dict(known)
    owners = {number: name for name, number in known.items()}
    unnumbered = []
    for path, name, fixed in entries:
        if fixed is None:
            unnumbered.append(name)
        elif name in numbers:
            if numbers[name] != fixed:
                problems.append((path, f"'{name[1]}' already has number {numbers[name]}"))
        elif owners.setdefault(fixed, name) != name:
            owner, owned = owners[fixed]
            where = "" if owner == name[0] else f" of workspace '{owner}'"
            problems.append((path, f"number {fixed} belongs to '{owned}'{where}"))
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
