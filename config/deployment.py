"""Rules across the workspace documents of one deployment (spec/identity.md, 1 and 3).

Each document is right by itself. What clients and the Platform API name has to be told apart over
all of them, and what several of them say of one thing has to be the same.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from config.errors import Location
from config.identity import SCOPE_KEYS
from config.joint_audiences import joint_audience_problems
from config.validate import keys_of, repeated
from config.workspace import WorkspaceDocument

Place = tuple[int, Location]  # which document, and where in it
Named = tuple[str, WorkspaceDocument]  # with what messages call it

ACCOUNT_KEYS = ("name", "number")
# Their counters are shared, and one counter has one limit.
LIMITS: Location = ("workspace", "limits")
ACCOUNT_LIMITS = (
    "account",
    "profile_requests_per_second",
    "platform_requests_per_minute",
    "users",
    "active_audiences",
    "active_calculated_attributes",
    "data_plan_bytes",
)
SHARED_LIMITS = ("org", "system")


def deployment_problems(
    documents: Sequence[Named], *, are_all: bool = True
) -> Iterator[tuple[Place, str]]:
    """List everything that does not fit together between documents.

    Args:
        documents: each without problems of its own.
        are_all: whether the deployment has no others.
    """
    yield from _repeated_workspaces(documents)
    yield from _repeated_credentials(documents)
    yield from _repeated_outputs(documents)
    yield from _repeated_audience_names(documents)
    yield from _too_many_active(documents)
    yield from _too_large_plans(documents)
    for place, (_, document) in enumerate(documents if are_all else ()):
        found = joint_audience_problems(document, [each for _, each in documents])
        yield from (((place, where), message) for where, message in found)
    yield from _differences(documents, ("account",), ACCOUNT_KEYS, _account)
    yield from _repeated_account_numbers(documents)
    yield from _differences(documents, ("identity",), SCOPE_KEYS, _scope)
    yield from _differences(documents, LIMITS, ACCOUNT_LIMITS, _account)
    yield from _differences(documents, LIMITS, SHARED_LIMITS, lambda _: "organization")


def _account(document: WorkspaceDocument) -> str:
    return f"account '{document.account.id}'"


def _scope(document: WorkspaceDocument) -> str:
    return f"identity scope '{document.workspace.scope_name}'"


def _repeated_workspaces(documents: Sequence[Named]) -> Iterator[tuple[Place, str]]:
    yield from repeated(
        ((place, ("workspace", "id")), document.workspace.id, f"the workspace of {name}")
        for place, (name, document) in enumerate(documents)
    )
    yield from repeated(
        (
            (place, ("workspace", "number")),
            document.workspace.number,
            f"workspace '{document.workspace.id}' of {name}",
        )
        for place, (name, document) in enumerate(documents)
        if document.workspace.number is not None
    )


def _repeated_credentials(documents: Sequence[Named]) -> Iterator[tuple[Place, str]]:
    """A request is known by its key or client id alone, so both tell the workspace."""
    yield from repeated(
        ((place, where), key, f"{owner} of {name}")
        for place, (name, document) in enumerate(documents)
        for where, key, owner in keys_of(dict(enumerate(document.inputs)), document.workspace)
    )
    yield from repeated(
        (
            (place, ("api_credentials", index, "client_id")),
            credential.client_id,
            f"a credential of {name}",
        )
        for place, (name, document) in enumerate(documents)
        for index, credential in enumerate(document.api_credentials)
    )


def _repeated_outputs(documents: Sequence[Named]) -> Iterator[tuple[Place, str]]:
    """Actors, spool folders, metrics and delivery ids know outputs and connections by their ids."""
    for section in ("outputs", "connections"):
        yield from repeated(
            (
                (place, (section, index, "id")),
                each.id,
                f"{section.removesuffix('s')} '{each.id}' of {name}",
            )
            for place, (name, document) in enumerate(documents)
            for index, each in enumerate(getattr(document, section))
        )


def _repeated_audience_names(documents: Sequence[Named]) -> Iterator[tuple[Place, str]]:
    """The names of an account's audiences are unique (spec/audiences.md, 2)."""
    yield from repeated(
        (
            (place, ("audiences", index, "name")),
            (document.account.id, each.name.casefold()),
            f"audience '{each.id}' of {name}",
        )
        for place, (name, document) in enumerate(documents)
        for index, each in enumerate(document.audiences)
    )


def _too_many_active(documents: Sequence[Named]) -> Iterator[tuple[Place, str]]:
    """List what is active beyond the limits of an account (spec/audiences.md, 15;
    spec/calculated-attributes.md, 10)."""
    counts: Counter[tuple[str, str]] = Counter()
    for place, (_, document) in enumerate(documents):
        for section in ("audiences", "calculated_attributes"):
            most = getattr(document.workspace.limits, f"active_{section}")
            for index, each in enumerate(getattr(document, section)):
                if each.active and getattr(each, "type", "real_time") == "real_time":
                    counts[section, document.account.id] += 1
                    if counts[section, document.account.id] > most:
                        what = section.replace("_", " ")
                        problem = f"at most {most} {what} of an account can be active"
                        yield (place, (section, index, "active")), problem


def _too_large_plans(documents: Sequence[Named]) -> Iterator[tuple[Place, str]]:
    """List the active versions beyond what an account's may take (spec/data-plans.md, 1)."""
    sizes: Counter[str] = Counter()
    for place, (_, document) in enumerate(documents):
        for index, plan in enumerate(document.data_plans):
            for number, version in enumerate(plan.versions):
                if not version.is_active:
                    continue
                sizes[document.account.id] += version.size
                if sizes[document.account.id] > document.workspace.limits.data_plan_bytes:
                    where = ("data_plans", index, "versions", number, "activated_environment")
                    yield (place, where), "Data plan memory quota exceeded."


def _repeated_account_numbers(documents: Sequence[Named]) -> Iterator[tuple[Place, str]]:
    firsts: dict[str, tuple[Place, object, str]] = {}  # one account may have several workspaces
    for place, (name, document) in enumerate(documents):
        number = document.account.number
        if number is not None:
            entry = (place, ("account", "number")), number, f"{_account(document)} of {name}"
            firsts.setdefault(document.account.id, entry)
    yield from repeated(firsts.values())


def _differences(
    documents: Sequence[Named],
    section: Location,
    keys: Sequence[str],
    owner_of: Callable[[WorkspaceDocument], str],
) -> Iterator[tuple[Place, str]]:
    """List documents whose section is not that of the first one with the same owner.

    Args:
        documents: in their order.
        section: path of what belongs to the owner.
        keys: of the section; the first one that differs is named.
        owner_of: what messages call the owner of a document's section.
    """
    firsts: dict[str, Named] = {}
    for place, (name, document) in enumerate(documents):
        owner = owner_of(document)
        first_name, first = firsts.setdefault(owner, (name, document))
        here, there = _part(document, section), _part(first, section)
        for key in keys:
            if getattr(here, key) != getattr(there, key):
                yield (
                    (place, (*section, key)),
                    f"differs from {first_name}, which has the same {owner}",
                )
                break


def _part(document: WorkspaceDocument, path: Location) -> object:
    part: object = document
    for name in path:
        part = getattr(part, str(name))
    return part
