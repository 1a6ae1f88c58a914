"""What schemas of bodies are made of."""

from collections.abc import Iterable
from typing import Any

from actors.model.workspaces import ENVIRONMENTS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
WHOLE: Schema = {"type": "integer"}
INT64: Schema = {"type": "integer", "format": "int64"}
MPID: Schema = {"anyOf": [INT64, {"type": "string", "pattern": r"^-?[0-9]{1,19}$"}]}
ENVIRONMENT: Schema = {"type": "string", "enum": list(ENVIRONMENTS)}
SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
ANYTHING: Schema = {}


def object_of(required: Iterable[str] = (), **members: Schema) -> Schema:
    """Return an object's schema; it may have other members beside these."""
    names = list(required)
    shape: Schema = {"type": "object", "properties": members}
    return shape | {"required": names} if names else shape


def many(of: Schema, **bounds: int) -> Schema:
    """Return an array's schema; `bounds`: `minItems` and `maxItems`."""
    return {"type": "array", "items": of, **bounds}


def map_of(of: Schema) -> Schema:
    """Return the schema of an object whose members, of any name, are alike."""
    return {"type": "object", "additionalProperties": of}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}
