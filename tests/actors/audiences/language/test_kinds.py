"""What every kind of criterion has to do; found through the registry."""

from typing import Any

import pytest

from actors.audiences.criteria import Criterion
from actors.audiences.language.registry import KINDS
from tests.actors.audiences.language.examples import ALL, EXAMPLES
from tests.actors.audiences.language.support import criterion_of, read, refused, whole

CANONICAL = [
    pytest.param(document, id=f"{document['type']}-{at}") for at, (document, _) in enumerate(ALL)
]

# Members that a criterion can do without: optional, inferred, or with a default.
OPTIONAL = frozenset(
    {
        *("id", "workspace_ids", "input_ids", "where", "recency", "frequency", "aggregate"),
        *("custom_event_type", "commerce_action", "match", "value_type"),
    }
)

# What is asked for where one of two was there.
MISSED_AS = {
    ("user_attribute", "value_ref"): "value",
    ("calculated_attribute", "calculated_attribute_id"): "attribute_name",
    ("location", "values"): "value",
    ("consent", "field"): "operator",
}


def test_every_kind_has_an_example() -> None:
    assert EXAMPLES.keys() == KINDS.keys()


@pytest.mark.parametrize(("document", "criterion"), ALL)
def test_a_criterion_is_read_as_what_it_says(
    document: dict[str, Any], criterion: Criterion
) -> None:
    """spec/audiences.md, 3.1 and 3.2."""
    assert criterion_of(document) == criterion


@pytest.mark.parametrize("document", CANONICAL)
def test_a_canonical_criterion_is_kept_as_it_is(document: dict[str, Any]) -> None:
    assert read(document).canonical == whole(document)


@pytest.mark.parametrize("document", CANONICAL)
def test_an_unknown_member_is_refused_by_name(document: dict[str, Any]) -> None:
    """spec/audiences.md, 3 and worked case 29: typos must not silently widen an audience."""
    assert refused(whole(document | {"frequencey": {}})) == ["/definition/criteria/frequencey"]


@pytest.mark.parametrize("document", CANONICAL)
def test_whatever_is_not_optional_is_missed(document: dict[str, Any]) -> None:
    for name in document.keys() - OPTIONAL:
        rest = {key: value for key, value in document.items() if key != name}
        missed = MISSED_AS.get((document["type"], name), name)
        assert f"/definition/criteria/{missed}" in refused(whole(rest))


@pytest.mark.parametrize("document", CANONICAL)
def test_null_counts_as_absent(document: dict[str, Any]) -> None:
    assert (
        read(document | {"id": None}).canonical
        == read({name: value for name, value in document.items() if name != "id"}).canonical
    )
