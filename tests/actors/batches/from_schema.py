"""Hypothesis strategies for the part of JSON Schema that events.schema.json uses.

What a `$ref` stands beside (`enum`) narrows what it refers to, as the file means it, and a schema
with properties describes an object. Formats other than those of IP addresses do not occur.
"""

from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]

_TEXT = st.text(max_size=8)
_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": _TEXT,
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    "boolean": st.booleans(),
    "null": st.none(),
}
_FORMATS = {"ipv4": st.ip_addresses(v=4), "ipv6": st.ip_addresses(v=6)}


def values_of(schema: Schema, definitions: dict[str, Schema]) -> st.SearchStrategy[Any]:
    """Return a strategy of JSON values that a schema takes."""

    def resolved(part: Schema) -> Schema:
        """Follow `$ref` and merge `allOf`."""
        if "$ref" in part:
            target = resolved(definitions[part["$ref"].rpartition("/")[2]])
            part = target | {name: value for name, value in part.items() if name != "$ref"}
        if "allOf" in part:
            parts = [resolved(each) for each in part["allOf"]]
            properties = {
                name: value for each in parts for name, value in each["properties"].items()
            }
            needed = [name for each in parts for name in each.get("required", ())]
            part = {"properties": properties, "required": needed}
        return part

    def build(part: Schema) -> st.SearchStrategy[Any]:
        part = resolved(part)
        if "enum" in part:
            return st.sampled_from(part["enum"])
        if alternatives := part.get("oneOf") or part.get("anyOf"):
            return st.one_of([build(each) for each in alternatives])
        if "format" in part:
            return _FORMATS[part["format"]].map(str)
        if "pattern" in part:
            return st.uuids().map(str) | st.uuids().map(lambda uuid: str(uuid).upper())
        kinds = part.get("type", "object")
        return st.one_of(
            [of_kind(kind, part) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
        )

    def of_kind(kind: str, part: Schema) -> st.SearchStrategy[Any]:
        if kind == "object":
            return objects(part)
        if kind == "array":
            return st.lists(build(part["items"]), max_size=3)
        return _SCALARS[kind]

    def objects(part: Schema) -> st.SearchStrategy[Any]:
        members = part.get("properties")
        if members is None:
            others = part.get("additionalProperties", {"type": "null"})
            return st.dictionaries(_TEXT, build(others), max_size=3)
        needed = part.get("required", ())
        return st.fixed_dictionaries(
            {name: lazily(members[name]) for name in needed},
            optional={name: lazily(each) for name, each in members.items() if name not in needed},
        )

    def lazily(part: Schema) -> st.SearchStrategy[Any]:
        return st.deferred(lambda: build(part))

    return build(schema)
