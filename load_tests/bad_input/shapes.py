"""JSON Schema -> a value that fits it, or nearly."""

from collections.abc import Mapping
from random import Random
from typing import Any

MAX_DEPTH = 6
_WORDS = ("a", "x1", "2026-01-02", "backend", "gold", "custom_event", "Opened", "email", "5")

Schema = Any


class Shapes:
    """Draws values of a document's schemas."""

    def __init__(self, components: Mapping[str, Schema]) -> None:
        self._components = components

    def draw(self, schema: Schema, random: Random, depth: int = 0) -> Any:
        """Return a value."""
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return random.choice((None, 1, "a"))
        if "$ref" in schema:
            named = self._components[schema["$ref"].rpartition("/")[2]]
            return self.draw(named, random, depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return random.choice(schema["enum"])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self.draw(random.choice(schema[several]), random, depth)
        if "allOf" in schema:
            merged: dict[str, Any] = {}
            for each in schema["allOf"]:
                part = self.draw(each, random, depth)
                merged |= part if isinstance(part, dict) else {}
            return merged
        return self._of_type(schema, random, depth)

    def _of_type(self, schema: Mapping[str, Schema], random: Random, depth: int) -> Any:
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = random.choice(kind)
        match kind:
            case "object":
                return self._object(schema, random, depth)
            case "array":
                least = schema.get("minItems", 0)
                count = random.randint(least, max(least, 3))
                return [self.draw(schema.get("items"), random, depth + 1) for _ in range(count)]
            case "integer":
                return random.choice((0, 1, 2, 5, 1_767_225_600_000, schema.get("minimum", 7)))
            case "number":
                return random.choice((0, 1.5, schema.get("minimum", -2)))
            case "boolean":
                return random.random() < 0.5
            case "null":
                return None
            case "string":
                return schema.get("default", random.choice(_WORDS))
        return {"a": 1}

    def _object(self, schema: Mapping[str, Schema], random: Random, depth: int) -> dict[str, Any]:
        required = schema.get("required", ())
        found = {
            name: self.draw(each, random, depth + 1)
            for name, each in schema.get("properties", {}).items()
            if name in required or random.random() < 0.5
        }
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            found |= {word: self.draw(more, random, depth + 1) for word in random.sample(_WORDS, 2)}
        return found
