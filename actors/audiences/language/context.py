"""What is found while a definition is read."""

from actors.audiences.language.problems import Code, DefinitionProblem, DefinitionWarning
from actors.audiences.language.references import CalculatedAttributeReference, References

# Stands for a calculated attribute that does not exist: it never has a value.
NO_CALCULATED_ATTRIBUTE = -1


class Context:
    """Collects problems, and resolves what criteria refer to."""

    def __init__(self, references: References) -> None:
        self.references = references
        self.problems: list[DefinitionProblem] = []
        self.warnings: list[DefinitionWarning] = []
        self.criteria = 0  # number of criteria seen

    def fail(self, place: str, message: str, code: Code = "VALIDATION_ERROR") -> None:
        """Note that something is wrong at a place."""
        self.problems.append(DefinitionProblem(code, place, message))

    def warn(self, place: str, message: str) -> None:
        """Note something that is allowed and perhaps not meant."""
        self.warnings.append(DefinitionWarning(place, message))

    def calculated_attribute(self, place: str, *, name: str | None = None, number: int = 0) -> int:
        """Return the number of a calculated attribute, known by name or else by number."""
        for reference in self.references.calculated_attributes:
            if (reference.name == name) if name is not None else (reference.number == number):
                self._check_active(place, reference)
                return reference.number
        self.fail(place, "is no calculated attribute.", "REFERENCE_NOT_FOUND")
        return NO_CALCULATED_ATTRIBUTE

    def name_of(self, number: int, sent: str) -> str:
        """Return the name of a calculated attribute: what was sent, or that of its number."""
        known = (each.name for each in self.references.calculated_attributes)
        numbers = (each.number for each in self.references.calculated_attributes)
        return sent or dict(zip(numbers, known, strict=True)).get(number, "")

    def _check_active(self, place: str, reference: CalculatedAttributeReference) -> None:
        if self.references.is_activation and not reference.is_active:
            self.fail(place, "is not active.", "INVALID_STATE")

    def check_audience(self, place: str, number: int) -> None:
        """Check that membership of an audience can be tested (8.4 and 15)."""
        references = self.references
        if number == references.audience:
            self.fail(place, "is this audience itself.", "NESTED_AUDIENCE")
            return
        target = references.audiences.get(number)
        if target is None:
            self.fail(place, "is no audience.", "REFERENCE_NOT_FOUND")
        elif target.reads_membership:
            self.fail(place, "tests membership of an audience itself.", "NESTED_AUDIENCE")
        elif target.is_elsewhere:
            message = "is over several workspaces: only an audience that is, too, can test it."
            self.fail(place, message, "INVALID_STATE")
        elif references.is_activation and not target.is_active:
            self.fail(place, "is not active.", "INVALID_STATE")
        if references.is_referenced:
            message = "cannot be tested here: other audiences refer to this one."
            self.fail(place, message, "NESTED_AUDIENCE")

    def check_segment(self, place: str, number: int) -> None:
        """Check that there is an analytics segment of this id."""
        if number not in self.references.segments:
            self.fail(place, "is no segment.", "REFERENCE_NOT_FOUND")

    def check_prediction(self, place: str, number: int) -> None:
        """Check that there is a prediction of this id."""
        if number not in self.references.predictions:
            self.fail(place, "is no prediction.", "REFERENCE_NOT_FOUND")

    def check_workspace(self, place: str, number: int) -> None:
        """Check that a workspace is one of the audience's."""
        if number not in self.references.workspaces:
            self.fail(place, "is no workspace of this audience.", "REFERENCE_NOT_FOUND")

    def check_input(self, place: str, number: int) -> None:
        """Check that an input is one of the audience's."""
        references = self.references
        if number not in references.known_inputs:
            self.fail(place, "is no input of the workspaces.", "REFERENCE_NOT_FOUND")
        elif references.inputs and number not in references.inputs:
            self.fail(place, "is no input of this audience.", "REFERENCE_NOT_FOUND")

    def check_tier(self, place: str, data_point: str) -> None:
        """Check that the audience sees the events of a data point (spec/rules.md, 8)."""
        references = self.references
        tier = references.tiers.get(data_point, references.default_tier)
        if tier not in references.visible_tiers:
            message = f"names an event of tier {tier}, which this audience does not see."
            self.fail(place, message, "TIER_NOT_PERSONALIZE")
