"""What definitions of tests may refer to, and short ways to read them."""

from typing import Any

import pytest
from msgspec import structs

from actors.audiences.criteria import Criterion, Named
from actors.audiences.language.definition import Definition, DefinitionInvalid, read_definition
from actors.audiences.language.references import (
    AudienceReference,
    CalculatedAttributeReference,
    References,
)

NOW = 1_773_147_600_000  # 2026-03-10T13:00:00Z
DAY_MS = 86_400_000

REFERENCES = References(
    workspaces=frozenset({1}),
    now_ms=NOW,
    known_inputs=frozenset({7, 8}),
    calculated_attributes=(CalculatedAttributeReference(3, "ltv"),),
    audiences={11: AudienceReference(), 12: AudienceReference(reads_membership=True)},
    segments=frozenset({21}),
    predictions=frozenset({31}),
    lookback_ms=30 * DAY_MS,
)

ANYBODY: dict[str, Any] = {"type": "opt_out", "value": False}


def read(document: Any, **changes: Any) -> Definition:
    """Read a definition that is well formed."""
    return read_definition(document, structs.replace(REFERENCES, **changes))


def criterion_of(document: Any) -> Criterion:
    """Read a definition that is one criterion, with nothing wrong."""
    definition = read(document)
    assert definition.problems == []
    assert isinstance(definition.node, Named)
    return definition.node.criterion


def refused(document: Any, **changes: Any) -> list[str]:
    """Return the paths for which a definition is refused as malformed."""
    with pytest.raises(DefinitionInvalid) as refusal:
        read(document, **changes)
    assert {problem.code for problem in refusal.value.problems} == {"VALIDATION_ERROR"}
    return [problem.path for problem in refusal.value.problems]


def broken(document: Any, **changes: Any) -> list[tuple[str, str]]:
    """Return code and path of the rules about other state that a definition breaks."""
    return [(problem.code, problem.path) for problem in read(document, **changes).problems]


def whole(node: Any) -> dict[str, Any]:
    """Make a definition in its full form."""
    return {"version": 1, "criteria": node}


def attribute(operator: str, value_type: str | None = "string", **operands: Any) -> dict[str, Any]:
    """Make a criterion on the user attribute `status`."""
    kind = {} if value_type is None else {"value_type": value_type}
    named = {"type": "user_attribute", "attribute_name": "status"}
    return named | kind | {"operator": operator} | operands


def custom(**members: Any) -> dict[str, Any]:
    """Make a criterion on the custom event `Ping`."""
    return {"type": "event", "event_type": "custom_event", "event_name": "Ping"} | members
