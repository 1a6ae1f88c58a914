"""Which documents can be compiled, and what is said of the others."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.plans.document import DocumentProblem, DocumentRefused, compile_document
from tests.actors.plans.plans import Data, custom_match, document, point


def problems(written: Any) -> list[DocumentProblem]:
    """Return what is wrong with a document."""
    try:
        compile_document(written)
    except DocumentRefused as refused:
        return refused.problems
    return []


def of_schema(definition: Any) -> list[DocumentProblem]:
    """Return what is wrong with a schema."""
    return problems({"data_points": [point(custom_match("E"), definition)]})


@pytest.mark.parametrize(
    "written", [{}, {"data_points": None}, document(), document(event="allow")]
)
def test_documents_may_be_empty(written: Data) -> None:
    assert problems(written) == []


@pytest.mark.parametrize(
    "keyword",
    [
        *("$ref", "$recursiveRef", "$recursiveAnchor", "patternProperties", "allOf", "anyOf"),
        *("oneOf", "if", "then", "else", "not", "dependencies", "dependentRequired"),
        *("dependentSchemas", "minContains"),
    ],
)
def test_case_19_keywords_outside_the_subset_are_refused(keyword: str) -> None:
    [problem] = of_schema({"properties": {"data": {keyword: [{}]}}})
    assert problem.keyword == keyword
    assert problem.match_key == "custom_event:other:E"
    assert problem.value == "[{}]"
    where = ("data_points", 0, "validator", "definition", "properties", "data", keyword)
    assert problem.path == where


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "[", "a" * 1025, "(((a{1000}){1000})"])
def test_case_19_patterns_that_could_take_long_are_refused(pattern: str) -> None:
    [problem] = of_schema({"pattern": pattern})
    assert problem.keyword == "pattern"
    assert problem.value == pattern


def test_a_document_has_only_so_many_patterns() -> None:
    def written(count: int, length: int) -> Data:
        schema = {str(number): {"pattern": f"{number:0{length}}"} for number in range(count)}
        return {"data_points": [point(custom_match("E"), {"properties": schema})]}

    assert problems(written(1000, 4)) == []
    assert len(problems(written(1001, 4))) == 1
    assert problems(written(64, 1024)) == []
    assert len(problems(written(65, 1024))) == 1
    same = [point(custom_match(str(number)), {"pattern": "a+"}) for number in range(1000)]
    assert problems({"data_points": [*same[:-1], point(custom_match("x"), {})]}) == []


def test_after_many_wrong_patterns_no_more_are_compiled() -> None:
    schema = {str(number): {"pattern": f"[{number}"} for number in range(30)}
    found = of_schema({"properties": schema})
    assert len(found) == 30
    assert sum("is not looked at" in each.message for each in found) == 10


def test_case_20_there_are_at_most_a_thousand_points() -> None:
    points = [point(custom_match(f"E{number}"), {}) for number in range(1001)]
    assert problems({"data_points": points[:1000]}) == []
    [problem] = problems({"data_points": points})
    assert problem.message == "Data plan exceeds maximum of 1000 with 1001 data points."


@pytest.mark.parametrize(
    ("match", "path"),
    [
        (None, ()),
        ({"type": "unknown"}, ("type",)),
        ({"type": "session_end"}, ("type",)),
        ({"type": "custom_event"}, ("criteria", "event_name")),
        (custom_match("E", "attribution"), ("criteria", "custom_event_type")),
        (custom_match(""), ("criteria", "event_name")),
        ({"type": "product_action", "criteria": {"action": "unknown"}}, ("criteria", "action")),
        ({"type": "promotion_action", "criteria": {"action": "buy"}}, ("criteria", "action")),
        ({"type": "user_attributes", "criteria": {"x": 1}}, ("criteria", "x")),
        ({"type": "user_attributes", "criteria": []}, ("criteria",)),
        ({"type": "user_attributes", "more": 1}, ("more",)),
    ],
)
def test_matches_have_what_their_type_needs(match: Any, path: tuple[str, ...]) -> None:
    [problem] = problems({"data_points": [point(match, {})]})
    assert problem.path == ("data_points", 0, "match", *path)
    assert problem.match_key == "data_points[0]"


def test_a_match_key_is_there_once() -> None:
    twice = [point(custom_match("E"), {}), point(custom_match("E"), {})]
    [problem] = problems({"data_points": twice})
    assert (problem.path, problem.match_key) == (
        ("data_points", 1, "match"),
        "custom_event:other:E",
    )


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ([], ()),
        ({"points": []}, ("points",)),
        ({"data_points": {}}, ("data_points",)),
        ({"data_points": [1]}, ("data_points", 0)),
        ({"settings": []}, ("settings",)),
        ({"settings": {"actions": {}}}, ("settings", "actions")),
        ({"settings": {"validation_actions": 1}}, ("settings", "validation_actions")),
        (document(events="allow"), ("settings", "validation_actions", "events")),
        (document(event="drop_attribute"), ("settings", "validation_actions", "event")),
        (document(user_identity="drop_event"), ("settings", "validation_actions", "user_identity")),
        ({"transformations": [1]}, ("transformations",)),
        ({"active_transformation_ids": ["t"]}, ("active_transformation_ids",)),
        ({"data_points": [{"match": custom_match("E")}]}, ("data_points", 0, "validator")),
        ({"settings": {"validation_actions": {"event": 2**64}}}, ()),
        ({"settings": float("inf")}, ()),
    ],
)
def test_whatever_is_wrong_is_placed(written: Any, path: tuple[str | int, ...]) -> None:
    [problem] = problems(written)
    assert problem.path == path


@pytest.mark.parametrize(
    "definition",
    [
        None,
        [],
        {"type": "text"},
        {"type": []},
        {"properties": []},
        {"properties": {"x": True}},
        {"required": "x"},
        {"required": ["x", "x"]},
        {"additionalProperties": "no"},
        {"items": [{}]},
        {"minLength": -1},
        {"minItems": 1.5},
        {"minimum": "1"},
        {"multipleOf": 0},
        {"enum": []},
        {"uniqueItems": 1},
        {"format": "colour"},
        {"pattern": 1},
    ],
)
def test_keywords_have_values_of_their_kind(definition: Any) -> None:
    assert len(of_schema(definition)) == 1


def test_schemas_are_nested_only_so_deep() -> None:
    schema: Data = {}
    for _ in range(100):
        schema = {"properties": {"x": schema}}
    assert "nested" in of_schema(schema)[0].message
    for _ in range(500):
        schema = {"properties": {"x": schema}}
    assert "nested" in of_schema(schema)[0].message


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("data_points", "match", "type", "criteria", "validator", "definition"),
                    *("properties", "required", "enum", "const", "pattern", "minimum", "items"),
                    *("additionalProperties", "settings", "validation_actions", "event", "x"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_any_json_is_compiled_or_refused(written: Any) -> None:
    assert isinstance(problems(written), list)
    problems({"data_points": [written]})
    of_schema(written)
    of_schema({"properties": {"data": written}})
