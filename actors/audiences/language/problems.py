"""What can be wrong with a definition (spec/audiences.md, 14)."""

from typing import Literal

from msgspec import Struct

Code = Literal[
    "VALIDATION_ERROR",  # the document itself is wrong: 400
    "LIMIT_EXCEEDED",  # the others: a rule about other state is broken, 422
    "REFERENCE_NOT_FOUND",
    "NESTED_AUDIENCE",
    "TIER_NOT_PERSONALIZE",
    "INVALID_STATE",
]


class DefinitionProblem(Struct, frozen=True):
    """One thing that is wrong, for the author to mend.

    `path` is a JSON pointer into the request body; of a member that is missing, where it should be.
    """

    code: Code
    path: str
    message: str


class DefinitionWarning(Struct, frozen=True):
    """Something that is allowed and perhaps not meant."""

    path: str
    message: str


def pointer(place: str, *steps: str | int) -> str:
    """Return the JSON pointer of what lies below a place (RFC 6901)."""
    return place + "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
