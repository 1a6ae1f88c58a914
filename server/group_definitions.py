"""Group definitions as JSON: what a body has to be, and how one is shown (spec/identity.md, 13)."""

import re
from datetime import UTC, datetime
from typing import Any

from actors.errors import Problem
from actors.groups.aggregates import AGGREGATIONS
from actors.groups.definitions import GroupAttribute, GroupDefinition, KeptDefinition
from server.problems import Refused
from server.read_back import differing

MAX_ATTRIBUTES = 50
MAX_NAME_LENGTH = 256
MAX_DESCRIPTION_LENGTH = 1024

ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_FIELDS = ("id", "description", "source_user_attribute", "attributes")
_ATTRIBUTE_FIELDS = ("id", "type")


def read_definition(body: dict[str, Any], former: KeptDefinition | None = None) -> GroupDefinition:
    """Read a definition from a body.

    Args:
        body: decoded.
        former: the definition that is replaced; what the body has of it that cannot be set has to
            be as it is shown.

    Raises:
        Refused: with all that is wrong (400).
    """
    shown = {} if former is None else shown_definition(former)
    read_only = [name for name in shown if name == "id" or name not in _FIELDS]
    problems: list[Problem] = _unknown_fields(body, tuple(shown) or _FIELDS)
    problems += [_problem(name, "cannot be changed") for name in differing(body, shown, read_only)]
    definition_id = body.get("id", shown.get("id"))
    if not isinstance(definition_id, str) or not ID.fullmatch(definition_id):
        problems.append(_problem("id", f"must match ^{ID.pattern}$"))
    description = body.get("description", "")
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION_LENGTH:
        limit = f"must be a string of at most {MAX_DESCRIPTION_LENGTH} characters"
        problems.append(_problem("description", limit))
    source = body.get("source_user_attribute")
    if not _is_name(source):
        problems.append(_problem("source_user_attribute", _NAME_RULE))
    attributes = _read_attributes(body.get("attributes"), problems)
    if problems:
        raise Refused("BAD_REQUEST", problems)
    return GroupDefinition(str(definition_id), str(description), str(source), attributes)


def shown_definition(kept: KeptDefinition) -> dict[str, Any]:
    """Return a definition as the API shows it."""
    definition = kept.definition
    return {
        "id": definition.id,
        "description": definition.description,
        "source_user_attribute": definition.source_user_attribute,
        "attributes": [{"id": each.id, "type": each.type} for each in definition.attributes],
        "created_on": _time(kept.created_ms),
        "last_run_on": None if kept.last_run_ms is None else _time(kept.last_run_ms),
    }


_NAME_RULE = f"must be a string of 1 to {MAX_NAME_LENGTH} characters"


def _read_attributes(sent: Any, problems: list[Problem]) -> tuple[GroupAttribute, ...]:
    if not isinstance(sent, list) or not 1 <= len(sent) <= MAX_ATTRIBUTES:
        rule = f"must be an array of 1 to {MAX_ATTRIBUTES} attributes"
        problems.append(_problem("attributes", rule))
        return ()
    attributes: dict[str, GroupAttribute] = {}
    for index, each in enumerate(sent):
        path = f"attributes[{index}]"
        if not isinstance(each, dict):
            problems.append(_problem(path, "must be an object"))
            continue
        problems += _unknown_fields(each, _ATTRIBUTE_FIELDS, path + ".")
        attribute_id, kind = each.get("id"), each.get("type")
        if not _is_name(attribute_id):
            problems.append(_problem(path + ".id", _NAME_RULE))
        elif attribute_id in attributes:
            problems.append(_problem(path + ".id", "is that of another attribute"))
        if not isinstance(kind, str) or kind not in AGGREGATIONS:
            problems.append(_problem(path + ".type", f"must be of {', '.join(AGGREGATIONS)}"))
        attributes.setdefault(str(attribute_id), GroupAttribute(str(attribute_id), str(kind)))
    return tuple(attributes.values())


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_NAME_LENGTH


def _unknown_fields(body: dict[str, Any], known: tuple[str, ...], path: str = "") -> list[Problem]:
    if all(name in known for name in body):
        return []
    where = f" in {path[:-1]}" if path else ""
    return [Problem(f"Unknown field{where}; known are {', '.join(known)}.")]


def _problem(name: str, rule: str) -> Problem:
    return Problem(f'Invalid value for field "{name}": {rule}.')


def _time(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
