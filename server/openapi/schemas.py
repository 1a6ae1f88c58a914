"""Schemas of bodies, by name: of the workspace document's objects those that check them.

They say what is sent, not all that is refused: the specification's pages do.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from config.forwarding import Filters
from config.identity import IdentitySettings
from config.inputs import Input
from config.outputs import Connection, Output
from config.workspace import Workspace, WorkspaceDocument
from server.openapi import audience_bodies, event_bodies, identity_bodies, platform_bodies
from server.openapi.shapes import ANYTHING, TEXT, Schema, many, object_of, ref

_WRITTEN: Mapping[str, Schema] = {
    "Anything": ANYTHING,
    "Nothing": {"type": "object", "maxProperties": 0},
    "Errors": object_of(errors=many(ref("Error"))),
    "Error": object_of(code=TEXT, message=TEXT, path=TEXT),
    **event_bodies.BODIES,
    **identity_bodies.BODIES,
    **audience_bodies.BODIES,
    **platform_bodies.BODIES,
}

# The objects of the workspace document, by the models that check it.
_MODELS: Mapping[str, type[BaseModel]] = {
    "WorkspaceDocument": WorkspaceDocument,
    "Workspace": Workspace,
    "Input": Input,
    "Output": Output,
    "Connection": Connection,
    "Filters": Filters,
    "IdentitySettings": IdentitySettings,
}


def referenced(names: Iterable[str]) -> dict[str, Schema]:
    """Return the schemas of some names, and those that they refer to."""
    found: dict[str, Schema] = {}
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name in _WRITTEN:
            found[name] = _WRITTEN[name]
        else:
            template = "#/components/schemas/{model}"
            schema = _MODELS[name].model_json_schema(ref_template=template)
            for inner, each in schema.pop("$defs", {}).items():
                found.setdefault(inner, each)
            found[name] = schema
        waiting += _references(found[name])
    return found


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for each in schema for name in _references(each)]
    if not isinstance(schema, dict):
        return []
    own = schema.get("$ref")
    names = [own.rpartition("/")[2]] if isinstance(own, str) else []
    return names + [name for each in schema.values() for name in _references(each)]
