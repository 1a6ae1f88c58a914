"""What schemas of bodies are made of."""

from collections.abc import Iterable
from typing import Any

from actors.model.workspaces import ENVIRONMENTS
from server.parameters import INT64_END

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer"}
INT64: Schema = {"type": "integer", "format": "int64"}
NUMBER: Schema = INT64 | {"minimum": -INT64_END, "maximum": INT64_END - 1}  # 64 bits, and no more
DAY: Schema = {"type": "string", "format": "date", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
MPID: Schema = {"anyOf": [INT64, {"type": "string", "pattern": r"^-?[0-9]{1,19}$"}]}
ENVIRONMENT: Schema = {"type": "string", "enum": list(ENVIRONMENTS)}
SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
ANYTHING: Schema = {}


def object_of(required: Iterable[str] = (), **members: Schema) -> Schema:
    """Return an object's schema; it may have other members beside these."""
    names = list(required)
    shape: Schema = {"type": "object", "properties": members}
    return shape | {"required": names} if names else shape


def closed(required: Iterable[str] = (), **members: Schema) -> Schema:
    """Return an object's schema; it has no members beside these."""
    return object_of(required, **members) | {"additionalProperties": False}


def shown(*names: str) -> dict[str, Schema]:
    """Return members that may be sent back as they are shown, and set nothing."""
    return {name: {"description": "As it is shown; it cannot be set."} for name in names}


def text(most: int, least: int = 1) -> Schema:
    """Return the schema of a text of some length, in characters."""
    return {"type": "string", "minLength": least, "maxLength": most}


def whole(least: int) -> Schema:
    """Return the schema of a whole number of 64 bits that is not less."""
    return NUMBER | {"minimum": least}


def nullable(of: Schema) -> Schema:
    """Return a schema that takes `null` too."""
    return {"anyOf": [of, {"type": "null"}]}


def many(of: Schema, **bounds: int) -> Schema:
    """Return an array's schema; `bounds`: `minItems` and `maxItems`."""
    return {"type": "array", "items": of, **bounds}


def map_of(of: Schema) -> Schema:
    """Return the schema of an object whose members, of any name, are alike."""
    return {"type": "object", "additionalProperties": of}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}
