"""What the definitions of valid documents mean, outside of a deployment."""

from collections.abc import Sequence

from actors.audiences.criteria import Node
from actors.audiences.language.definition import read_definition
from actors.audiences.language.references import (
    AudienceReference,
    CalculatedAttributeReference,
    References,
)
from actors.audiences.trial import Place
from actors.calculated.definition import Attribute
from actors.calculated.reading import canonical
from actors.calculated.reading import read_definition as read_calculated
from actors.model.workspaces import WorkspaceInfo
from config.audience_references import NumbersOfIds, with_numbers
from config.audiences import Audience
from config.numbers import KeptNumbers, Numbers, assign_all
from config.settings import Settings
from config.workspace import WorkspaceDocument
from config.workspace_info import workspace_info


class Definitions:
    """The audiences and calculated attributes of a document, read.

    Attributes:
        numbers: of its objects, as they would be assigned at the first apply.
        workspace: the rules of the workspace.
        places: of all documents, by the number of the workspace.
        nodes: number of each audience that has a definition to what it means.
        over: number of each of those over several workspaces to the numbers of these.
        active: numbers of the active real-time audiences among them.
    """

    def __init__(
        self, document: WorkspaceDocument, others: Sequence[WorkspaceDocument] = ()
    ) -> None:
        """Read.

        Args:
            document: that has the audiences.
            others: the other documents of the deployment; audiences over several workspaces are
                left out if one of these is missing.
        """
        documents = (document, *others)
        _, numbers = assign_all(documents, KeptNumbers())
        self.numbers = numbers[0]
        found = [_place(each, own) for each, own in zip(documents, numbers, strict=True)]
        self.places = {each.workspace.number: each for each in found}
        self.workspace: WorkspaceInfo = found[0].workspace
        self.nodes: dict[int, Node] = {}
        self.over: dict[int, tuple[int, ...]] = {}
        known = {each.workspace.id for each in documents}
        for audience in document.audiences:
            number = self.numbers.audiences[audience.id]
            if audience.definition is None or not known.issuperset(audience.workspaces):
                continue
            if audience.is_joint:
                workspaces = self.numbers.workspaces
                self.over[number] = tuple(workspaces[each] for each in audience.workspaces)
            self.nodes[number] = self._read(audience, self.places_of(number))
        self.active = {
            self.numbers.audiences[each.id]
            for each in document.audiences
            if each.type == "real_time" and each.active
        } & self.nodes.keys()

    def places_of(self, audience: int) -> list[Place]:
        """Return the workspaces of an audience, by its number; that of the document first."""
        home = self.workspace.number
        others = [each for each in self.over.get(audience, ()) if each != home]
        return [self.places[each] for each in (home, *others)]

    def _read(self, audience: Audience, places: Sequence[Place]) -> Node:
        numbers = self.numbers
        inputs = numbers.all_inputs | numbers.inputs
        names = NumbersOfIds(numbers.workspaces, inputs, numbers.audiences)
        definition = with_numbers(audience.definition, names)
        attributes = {each.name: each.number for place in places for each in place.attributes}
        references = References(
            workspaces=frozenset(each.workspace.number for each in places),
            now_ms=0,
            inputs=tuple(inputs[each] for each in audience.inputs),
            known_inputs=frozenset(one for each in places for one in each.workspace.inputs),
            calculated_attributes=tuple(
                CalculatedAttributeReference(number, name) for name, number in attributes.items()
            ),
            audiences={number: AudienceReference() for number in numbers.audiences.values()},
        )
        return read_definition(definition, references, "").node


def _place(document: WorkspaceDocument, numbers: Numbers) -> Place:
    return Place(
        workspace_info(document, numbers, Settings()),
        [
            Attribute(
                numbers.calculated_attributes[each.id],
                each.name,
                1,
                read_calculated(canonical(each.definition)),
            )
            for each in document.calculated_attributes
            if each.active
        ],
    )
