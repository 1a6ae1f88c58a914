"""The one place where what is kept here asks for the criteria language."""

from typing import Any

from actors.audiences.language.definition import Definition, DefinitionInvalid, read_definition
from actors.audiences.language.problems import DefinitionProblem
from actors.audiences.language.references import References
from actors.errors import AudienceRefused, Problem


def understand(sent: Any, references: References, path: str = "/definition") -> Definition:
    """Read a definition; it may still break rules about other state (`problems`).

    Args:
        sent: JSON values.
        references: what it may refer to.
        path: JSON pointer of the definition in what was sent.

    Raises:
        AudienceRefused: with all that is wrong with it.
    """
    try:
        return read_definition(sent, references, path)
    except DefinitionInvalid as error:
        raise as_refused(error.problems) from None


def as_refused(problems: list[DefinitionProblem]) -> AudienceRefused:
    """Make the error of problems; those of the first one's kind are told."""
    code = problems[0].code
    told = [Problem(each.message, each.path) for each in problems if each.code == code]
    return AudienceRefused(code, told)
