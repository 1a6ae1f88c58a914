"""Any definition that there can be is read from its canonical document as it was meant."""

from random import Random

from actors.audiences.language.definition import read_definition
from actors.audiences.language.references import (
    AudienceReference,
    CalculatedAttributeReference,
    References,
)
from tests.oracle.audiences.documents import definition_document
from tests.oracle.audiences.fixture import NOW, WORKSPACE
from tests.oracle.audiences.random_definitions import Definitions
from tests.oracle.audiences.vocabulary import (
    AUDIENCES,
    CALCULATED,
    INPUTS,
    PREDICTIONS,
    SEGMENTS,
    STATIC_AUDIENCE,
)

REFERENCES = References(
    workspaces=frozenset({WORKSPACE.number}),
    now_ms=NOW,
    known_inputs=frozenset(INPUTS),
    calculated_attributes=tuple(
        CalculatedAttributeReference(number, f"ca{number}") for number in CALCULATED
    ),
    audiences={number: AudienceReference() for number in (*AUDIENCES, STATIC_AUDIENCE)},
    segments=frozenset(SEGMENTS),
    predictions=frozenset(PREDICTIONS),
)


def test_a_document_means_the_definition_that_it_was_written_from() -> None:
    """3,000 definitions: the criteria are the same, and the canonical form reads the same again."""
    randomness = Random(5)
    for _ in range(3_000):
        node = Definitions(randomness, NOW).node(3)
        read = read_definition(definition_document(node), REFERENCES)
        assert read.node == node
        assert read.problems == []
        again = read_definition(read.canonical, REFERENCES)
        assert (again.node, again.canonical) == (node, read.canonical)
