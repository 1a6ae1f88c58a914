"""What the definitions of a valid document mean, outside of a deployment."""

from actors.audiences.criteria import Node
from actors.audiences.language.definition import read_definition
from actors.audiences.language.references import (
    AudienceReference,
    CalculatedAttributeReference,
    References,
)
from actors.calculated.definition import Attribute
from actors.calculated.reading import canonical
from actors.calculated.reading import read_definition as read_calculated
from actors.model import WorkspaceInfo
from config.audience_references import NumbersOfIds, with_numbers
from config.audiences import Audience
from config.compiled import workspace_info
from config.numbers import Numbers, assign_numbers
from config.settings import Settings
from config.workspace import WorkspaceDocument


class Definitions:
    """The audiences and calculated attributes of a document, read.

    Attributes:
        numbers: of its objects, as they would be assigned at the first apply.
        workspace: the rules of the workspace.
        attributes: the active calculated attributes.
        nodes: number of each audience that has a definition to what it means; not of those over
            several workspaces, which need the others' documents too.
        active: numbers of the active real-time audiences.
    """

    def __init__(self, document: WorkspaceDocument) -> None:
        self.numbers = assign_numbers(document, Numbers())
        self.workspace: WorkspaceInfo = workspace_info(document, self.numbers, Settings())
        numbers = self.numbers.calculated_attributes
        active = [each for each in document.calculated_attributes if each.active]
        self.attributes = [
            Attribute(numbers[each.id], each.name, 1, read_calculated(canonical(each.definition)))
            for each in active
        ]
        self.nodes: dict[int, Node] = {}
        for each in document.audiences:
            if each.definition is not None and not each.is_joint:
                self.nodes[self.numbers.audiences[each.id]] = self._read(each)
        self.active = {
            self.numbers.audiences[each.id]
            for each in document.audiences
            if each.type == "real_time" and each.active and not each.is_joint
        }

    def _read(self, audience: Audience) -> Node:
        numbers = self.numbers
        inputs = numbers.all_inputs | numbers.inputs
        names = NumbersOfIds(numbers.workspaces, inputs, numbers.audiences)
        definition = with_numbers(audience.definition, names)
        references = References(
            workspaces=frozenset({self.workspace.number}),
            now_ms=0,
            inputs=tuple(inputs[each] for each in audience.inputs),
            known_inputs=frozenset(self.workspace.inputs),
            calculated_attributes=tuple(
                CalculatedAttributeReference(each.number, each.name) for each in self.attributes
            ),
            audiences={number: AudienceReference() for number in numbers.audiences.values()},
        )
        return read_definition(definition, references, "").node
