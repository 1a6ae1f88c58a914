"""Rules of audiences over several workspaces, whose documents have to be there together
(spec/audiences.md, 2 and 5, rule 12)."""

from collections.abc import Iterator, Mapping, Sequence

from config.audience_rules import AudienceNames, AudiencePlace, definition_problems
from config.audiences import Audience
from config.errors import Found, Location
from config.workspace import WorkspaceDocument


def joint_audience_problems(
    document: WorkspaceDocument, documents: Sequence[WorkspaceDocument]
) -> Iterator[Found]:
    """List what is wrong with the audiences of a document that are about other workspaces too.

    Args:
        document: that has them; without problems of its own.
        documents: all of the deployment.
    """
    known = {each.workspace.id: each for each in documents}
    if not any(each.is_joint for each in document.audiences):
        return
    names = AudienceNames(
        _place(document),
        document.audiences,
        [each.id for each in document.audiences],
        [_place(each) for each in documents if each.workspace.id != document.workspace.id],
    )
    for index, audience in enumerate(document.audiences):
        if audience.is_joint:
            where: Location = ("audiences", index)
            yield from _place_problems(audience, where, document, known)
            yield from definition_problems(audience, where, names)


def _place(document: WorkspaceDocument) -> AudiencePlace:
    inputs = [each.id for each in document.inputs]
    return AudiencePlace(document.workspace, inputs, document.calculated_attributes)


def _place_problems(
    audience: Audience,
    where: Location,
    document: WorkspaceDocument,
    known: Mapping[str, WorkspaceDocument],
) -> Iterator[Found]:
    for index, each in enumerate(audience.workspaces):
        place, other = (*where, "workspaces", index), known.get(each)
        if other is None:
            yield place, f"no workspace with id '{each}' in the documents"
        elif other.account.id != document.account.id:
            yield place, f"'{each}' is of another account"
        elif other.workspace.scope_name != document.workspace.scope_name:
            yield place, f"'{each}' has another identity scope, thus other users"
    for index, each in enumerate(audience.inputs):
        workspace, _, name = each.rpartition("/")
        owner = known.get(workspace)
        if owner is not None and all(one.id != name for one in owner.inputs):
            place = (*where, "inputs", index)
            yield place, f"no input with id '{name}' in workspace '{workspace}'"
    for index, test in enumerate(audience.tests):
        at: Location = (*where, "tests", index)
        for number, event in enumerate(test.events):
            workspace, _, name = (event.input or "").rpartition("/")
            owner = known.get(workspace)
            if owner is not None and all(one.id != name for one in owner.inputs):
                problem = f"no input with id '{name}' in workspace '{workspace}'"
                yield (*at, "events", number, "input"), problem
        for workspace in test.workspaces:
            owner = known.get(workspace)
            if owner is not None and not owner.inputs:
                yield (*at, "workspaces", workspace), "the workspace has no input"
