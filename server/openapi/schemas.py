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
from server.openapi import (
    audience_bodies,
    computed_bodies,
    event_bodies,
    identity_bodies,
    platform_bodies,
)
from server.openapi.shapes import TEXT, Schema, many, object_of, ref

_WRITTEN: Mapping[str, Schema] = {
    "Unread": {"description": "Anything, or nothing: it is not read."},
    "Nothing": {"type": "object", "maxProperties": 0},
    "Errors": object_of(errors=many(ref("Error"))),
    "Error": object_of(code=TEXT, message=TEXT, path=TEXT),
    **event_bodies.BODIES,
    **identity_bodies.BODIES,
    **audience_bodies.BODIES,
    **computed_bodies.BODIES,
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

_TEMPLATE = "#/components/schemas/{model}"


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
            schema = _MODELS[name].model_json_schema(ref_template=_TEMPLATE)
            inner = schema.pop("$defs", {})
            found[name] = _apart(schema)
            for each in inner:
                found.setdefault(_name_of(each), _apart(inner[each]))
        waiting += _references(found[name])
    return found


def _name_of(model: str) -> str:
    """Return what a part of the document is called: not as what the API takes of the same name."""
    return f"Document{model}" if model in _WRITTEN else model


def _apart(schema: Any) -> Any:
    """Return a schema whose references are to the document's own parts."""
    if isinstance(schema, list):
        return [_apart(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _TEMPLATE.format(model=_name_of(value.rpartition("/")[2]))
        if name == "$ref" and isinstance(value, str)
        else _apart(value)
        for name, value in schema.items()
    }


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for each in schema for name in _references(each)]
    if not isinstance(schema, dict):
        return []
    own = schema.get("$ref")
    names = [own.rpartition("/")[2]] if isinstance(own, str) else []
    return names + [name for each in schema.values() for name in _references(each)]
