"""Compiles the document of one version of a data plan (spec/data-plans.md, 1, 2 and 4)."""

import math
from collections.abc import Collection, Mapping
from typing import Any, Literal

import orjson
from msgspec import Struct

from actors.batches.identities import USER_IDENTITIES, USER_IDENTITY_ALIASES
from actors.plans import matching
from actors.plans.findings import Path
from actors.plans.matching import Match, MatchRefused, read_match
from actors.plans.nodes import Node
from actors.plans.patterns import Patterns
from actors.plans.schema import ELEMENT, Exempt, SchemaProblem, compile_schema

MAX_POINTS = 1000
MAX_BYTES = 10 * 1024 * 1024
MAX_NESTING = 200  # of a whole document, annotations and all

EventAction = Literal["allow", "drop_event", "drop_batch"]
EventAttributeAction = Literal["allow", "drop_attribute", "drop_event"]
UserAction = Literal["allow", "drop_attribute", "drop_batch"]

_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "event": ("allow", "drop_event", "drop_batch"),
    "event_attribute": ("allow", "drop_attribute", "drop_event"),
    "user_attribute": ("allow", "drop_attribute", "drop_batch"),
    "user_identity": ("allow", "drop_attribute", "drop_batch"),
}

# spec/data-plans.md, 2.5; and what is added to events on the way in, that nobody has sent.
ALWAYS_PLANNED = frozenset(
    {
        *("timestamp_unixtime_ms", "event_id", "source_message_id", "session_id", "session_uuid"),
        *("session_start_unixtime_ms", "event_start_unixtime_ms", "location"),
        *("device_current_state", "is_goal_defined", "lifetime_value_change"),
        *("lifetime_value_attribute_name", "data_connection_type", "event_num"),
        *("view_controller", "is_main_thread", "canonical_name"),
        "event_system_notification_info",
        *("event_name", "custom_event_type", "screen_name"),
        *("product_action", "promotion_action", "product_impressions"),
        "is_non_interactive",
    }
)
_PRODUCT = frozenset({"total_product_amount"})
_EXEMPT: Exempt = {
    (): frozenset({"event_type", "data"}),
    ("data",): ALWAYS_PLANNED,
    ("data", "product_action"): frozenset({"action"}),
    ("data", "promotion_action"): frozenset({"action"}),
    ("data", "product_action", "products", ELEMENT): _PRODUCT,
    ("data", "product_impressions", ELEMENT, "products", ELEMENT): _PRODUCT,
    ("data", "shopping_cart", "products", ELEMENT): _PRODUCT,
}


class Actions(Struct, frozen=True):
    """What is done about unplanned data; by default nothing."""

    event: EventAction = "allow"
    event_attribute: EventAttributeAction = "allow"
    user_attribute: UserAction = "allow"
    user_identity: UserAction = "allow"


class Point(Struct, frozen=True):
    """A data point; `node` `None` accepts everything."""

    match: Match
    node: Node | None


class PlanDocument(Struct, frozen=True):
    """A compiled document.

    Attributes:
        events: match key to the point of such events.
        user_attributes, user_identities: their points, `None` where the plan is silent on them.
        actions: on unplanned data.
    """

    events: dict[str, Point]
    user_attributes: Point | None
    user_identities: Point | None
    actions: Actions


class DocumentProblem(Struct, frozen=True):
    """Something that is wrong with a document.

    Attributes:
        path: of the place in the document.
        match_key: of the data point that it is in, or `data_points[i]`; empty outside of them.
        keyword: of the schema, at fault; `value`: what is written there, as text.
    """

    message: str
    path: Path
    match_key: str = ""
    keyword: str | None = None
    value: str | None = None


class DocumentRefused(Exception):
    """A document cannot be compiled."""

    def __init__(self, problems: list[DocumentProblem]) -> None:
        super().__init__(problems)
        self.problems = problems


def compile_document(document: Any) -> PlanDocument:
    """Compile a version document. Raises DocumentRefused, with everything that is wrong."""
    problems: list[DocumentProblem] = []
    if not isinstance(document, dict):
        raise DocumentRefused([DocumentProblem("must be an object", ())])
    if (message := _unwieldy(document, MAX_NESTING)) is not None:
        raise DocumentRefused([DocumentProblem(message, ())])
    problems += _unknown(document, _MEMBERS, (), "")
    actions = _actions(document.get("settings"), problems)
    points = _points(document.get("data_points"), problems)
    _check_transformations(document, problems)
    if problems:
        raise DocumentRefused(problems)
    return PlanDocument(
        events={
            key: point
            for key, point in points.items()
            if key not in (matching.USER_ATTRIBUTES, matching.USER_IDENTITIES)
        },
        user_attributes=points.get(matching.USER_ATTRIBUTES),
        user_identities=points.get(matching.USER_IDENTITIES),
        actions=actions,
    )


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """Write a document that can be compiled; its length is what counts against the quota.

    Raises TypeError: it is not JSON.
    """
    return orjson.dumps(document, option=orjson.OPT_PASSTHROUGH_DATETIME)


_MEMBERS = ("data_points", "settings", "transformations", "active_transformation_ids")


def _unwieldy(value: Any, depth: int) -> str | None:
    """Say why a document cannot be kept at all, `None` if it can."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "must have no whole number beyond 64 bits"
    if isinstance(value, float) and not math.isfinite(value):
        return "must have finite numbers"
    if isinstance(value, dict | list):
        if depth == 0:
            return f"must not be nested deeper than {MAX_NESTING} levels"
        for each in value.values() if isinstance(value, dict) else value:
            if (message := _unwieldy(each, depth - 1)) is not None:
                return message
        if isinstance(value, dict) and not all(isinstance(name, str) for name in value):
            return "must have texts as names"
    elif value is not None and not isinstance(value, str | int | float):
        return "must be JSON"  # YAML has more, such as dates
    return None


def _unknown(
    data: Mapping[str, Any], known: Collection[str], at: Path, key: str
) -> list[DocumentProblem]:
    return [DocumentProblem("unknown key", (*at, name), key) for name in data if name not in known]


def _actions(settings: Any, problems: list[DocumentProblem]) -> Actions:
    at: Path = ("settings",)
    if settings is None:
        return Actions()
    if not isinstance(settings, dict):
        problems.append(DocumentProblem("must be an object", at))
        return Actions()
    problems += _unknown(settings, ("validation_actions",), at, "")
    written = settings.get("validation_actions")
    if written is None:
        return Actions()
    at = (*at, "validation_actions")
    if not isinstance(written, dict):
        problems.append(DocumentProblem("must be an object", at))
        return Actions()
    kept = {}
    for name, action in written.items():
        words = _ACTIONS.get(name)
        if words is None:
            problems.append(DocumentProblem("unknown key", (*at, name)))
        elif action is not None and action not in words:
            problems.append(DocumentProblem(f"must be one of {', '.join(words)}", (*at, name)))
        elif action is not None:
            kept[name] = action
    return Actions(**kept)


def _points(listed: Any, problems: list[DocumentProblem]) -> dict[str, Point]:
    at: Path = ("data_points",)
    if listed is None:
        return {}
    if not isinstance(listed, list):
        problems.append(DocumentProblem("must be a list", at))
        return {}
    if len(listed) > MAX_POINTS:
        message = f"Data plan exceeds maximum of {MAX_POINTS} with {len(listed)} data points."
        problems.append(DocumentProblem(message, at))
        return {}
    points: dict[str, Point] = {}
    patterns = Patterns()
    for index, each in enumerate(listed):
        point = _point(each, (*at, index), f"data_points[{index}]", patterns, problems)
        if point is None:
            continue
        key = point.match.key
        if key in points:
            message = f"another data point has the match key '{key}'"
            problems.append(DocumentProblem(message, (*at, index, "match"), key))
        points[key] = point
    return points


def _point(
    data: Any, at: Path, name: str, patterns: Patterns, problems: list[DocumentProblem]
) -> Point | None:
    if not isinstance(data, dict):
        problems.append(DocumentProblem("must be an object", at, name))
        return None
    problems += _unknown(data, ("description", "match", "validator"), at, name)
    if not isinstance(data.get("description", ""), str | None):
        problems.append(DocumentProblem("must be a text", (*at, "description"), name))
    match = None
    try:
        match = read_match(data.get("match"))
    except MatchRefused as refused:
        problems.append(DocumentProblem(str(refused), (*at, "match", *refused.path), name))
    key = name if match is None else match.key
    node = _validator(data.get("validator"), (*at, "validator"), key, match, patterns, problems)
    return None if match is None else Point(match, node)


def _validator(
    data: Any,
    at: Path,
    key: str,
    match: Match | None,
    patterns: Patterns,
    problems: list[DocumentProblem],
) -> Node | None:
    if not isinstance(data, dict):
        problems.append(DocumentProblem("must be an object", at, key))
        return None
    problems += _unknown(data, ("type", "definition"), at, key)
    if data.get("type") != "json_schema":
        problems.append(DocumentProblem("must be json_schema", (*at, "type"), key))
    definition = data.get("definition")
    exempt = _EXEMPT
    if match in (matching.ATTRIBUTES, matching.IDENTITIES):
        exempt = {}
        if match == matching.IDENTITIES:
            definition = _with_canonical_names(definition)
    found: list[SchemaProblem] = []
    node = compile_schema(definition, exempt, patterns, found)
    problems += [
        DocumentProblem(
            each.message, (*at, "definition", *each.path), key, each.keyword, each.value
        )
        for each in found
    ]
    return node if definition else None


def _with_canonical_names(definition: Any) -> Any:
    """Return the schema of identities with the names that batches have after decoding."""
    if not isinstance(definition, dict):
        return definition
    changed = dict(definition)
    members, required = definition.get("properties"), definition.get("required")
    if isinstance(members, dict):
        changed["properties"] = {_canonical(name): each for name, each in members.items()}
    if isinstance(required, list):
        changed["required"] = [
            _canonical(each) if isinstance(each, str) else each for each in required
        ]
    return changed


def _canonical(name: str) -> str:
    return name if name in USER_IDENTITIES else USER_IDENTITY_ALIASES.get(name, name)


def _check_transformations(document: dict[str, Any], problems: list[DocumentProblem]) -> None:
    """Accept transformations to be kept; none of them can be active, as none is run."""
    kept, active = document.get("transformations"), document.get("active_transformation_ids")
    if kept is not None and not (isinstance(kept, list) and all(isinstance(t, dict) for t in kept)):
        problems.append(DocumentProblem("must be a list of objects", ("transformations",)))
    if active not in (None, []):
        message = "must be empty: transformations are kept, and not run"
        problems.append(DocumentProblem(message, ("active_transformation_ids",)))
