"""Which values of a workspace document are secret, whatever sections it has.

What a model declares a `SecretStr` is one: of the document, or of the module of an output, whose
settings are read in whole and written in layers. In mappings of which no model is known here, texts
are secret that are called like secrets.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from actors.model.workspaces import ENVIRONMENTS
from actors.outputs.module import OutputModule
from actors.outputs.registry import MODULES
from config.data_plans import DataPlan
from config.errors import Location, format_path, is_written
from config.merging import Data, counterpart, name_of
from config.module_settings import connection_model
from config.outputs import Output
from config.workspace import WorkspaceDocument

MASK = "***********"  # spec/platform-api.md, 7
SHOWN = 4
UNEXPANDED = "\0"  # before a placeholder that was left
EVERYTHING: list[Location] = [()]

_CALLED_SECRET = re.compile(
    r"secret|passw|token|api_?key|private_?key|access_?key|credential|authorization|dsn",
    re.IGNORECASE,
)
_NOT_OF_NAME = re.compile(r"[^A-Z0-9]+")


def secret_places(document: WorkspaceDocument, data: Data) -> list[Location]:
    """Return where in `data`, of which `document` was made, secrets are written."""
    found = dict.fromkeys((*_in_model(document, ()), *_in_module_settings(document)))
    return [where for where in found if is_written(data, where)]


def hidden(document: WorkspaceDocument, data: Data) -> Data:
    """Return a copy of `data`, of which `document` was made, with its secrets masked."""
    where = secret_places(document, data)
    return replaced(data, where, {each: masked(value_at(data, each)) for each in where})


def masked(value: object) -> str:
    """Return what is shown of a secret: nothing of a short one, else its last characters."""
    text = str(value)
    return MASK + (text[-SHOWN:] if len(text) > 2 * SHOWN else "")


def replaced(data: Data, places: list[Location], shown: Mapping[Location, Any]) -> Data:
    """Return a copy of a document with other values in some places."""
    copy = deepcopy(data)
    for where in places:
        inner: Any = copy
        for part in where[:-1]:
            inner = inner[part]
        inner[where[-1]] = shown[where]
    return copy


def value_at(data: Any, where: Location) -> Any:
    """Return the value at a place that is written."""
    for part in where:
        data = data[part]
    return data


def placeholder(data: Data, where: Location) -> str:
    """Return the placeholder that an export has in a secret's place (spec/connections.md, 10)."""
    words: list[str] = []
    inner: Any = data
    for depth, part in enumerate(where):
        inner = inner[part]
        if depth == 0:
            words.append(str(part).removesuffix("s"))
        elif isinstance(part, str):
            words += [] if part in ("settings", "environments") else [part]
        else:
            words.append(name_of(inner) or str(part))
    return "${env:" + _NOT_OF_NAME.sub("_", "_".join(words).upper()) + "}"


def with_kept_secrets(given: Data, kept: Data, document: WorkspaceDocument) -> Data:
    """Put the secrets that are kept back where a document shows that it does not know them.

    That is where it has the mask or the placeholder of the secret, or null.

    Args:
        given: a document that was read or exported before, and edited.
        kept: what holds now; `document` is made of it.
    """
    result = deepcopy(given)
    for where in secret_places(document, kept):
        secret = value_at(kept, where)
        holder, last = counterpart(result, where[:-1], kept), where[-1:]
        exported = placeholder(kept, where)
        unknown = (None, MASK, masked(secret), exported, UNEXPANDED + exported)
        if is_written(holder, last) and value_at(holder, last) in unknown:
            holder[last[0]] = secret
    return result


def new_masks(data: Data, document: WorkspaceDocument, kept: Data) -> Iterator[tuple[str, str]]:
    """List, as path and message, masks in the place of secrets that nothing is known of.

    That of a secret which stood elsewhere, or under another name, when it was read.

    Args:
        data: a document with the secrets that are kept; `document` is made of it.
        kept: what holds now; of a mask that it has itself, nobody knows better.
    """
    for where in secret_places(document, data):
        value = value_at(data, where)
        is_mask = isinstance(value, str) and value.startswith(MASK)
        if is_mask and counterpart(kept, where, data) != value:
            yield format_path(where), "is a mask; give the secret"


def _in_model(value: object, where: Location) -> Iterator[Location]:
    if isinstance(value, SecretStr):
        yield where
    elif isinstance(value, DataPlan):
        return  # its documents name attributes, and hold nothing of them
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _in_model(getattr(value, name), (*where, name))
        for name, inner in (value.model_extra or {}).items():
            yield from _in_model(inner, (*where, name))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, str) and _CALLED_SECRET.search(str(name)):
                yield (*where, name)
            else:
                yield from _in_model(inner, (*where, name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _in_model(inner, (*where, index))


def _in_module_settings(document: WorkspaceDocument) -> Iterator[Location]:
    """Yield where settings are written that their module's own models call secret."""
    for index, output in enumerate(document.outputs):
        yield from _in_output(output, ("outputs", index))
    for index, connection in enumerate(document.connections):
        whole = connection.settings_with_defaults(document.outputs_by_id[connection.output])
        found = _by_model(connection_model(_module_of(document, connection.output)), whole)
        yield from _written(found, connection.settings, ("connections", index, "settings"))
    for index, audience in enumerate(document.audiences):
        for nth, each in enumerate(audience.subscriptions):
            found = _by_model(connection_model(_module_of(document, each.output)), each.settings)
            where = ("audiences", index, "subscriptions", nth, "settings")
            yield from _written(found, each.settings, where)


def _in_output(output: Output, where: Location) -> Iterator[Location]:
    module = MODULES.get(output.module)
    model = None if module is None else module.settings_model
    found = {name: _by_model(model, output.settings_in(name)) for name in ENVIRONMENTS}
    for name, of_environment in found.items():
        own = getattr(output.environments, name).settings
        yield from _written(of_environment, own, (*where, "environments", name, "settings"))
    # What one environment that can be read says of the common settings holds for both.
    read = [each for each in found.values() if each != EVERYTHING] or [EVERYTHING]
    common = [place for each in read for place in each]
    yield from _written(common, output.settings, (*where, "settings"))
    defaults = output.connection_defaults
    found_there = _by_model(connection_model(module), defaults)
    yield from _written(found_there, defaults, (*where, "connection_defaults"))


def _by_model(model: type[BaseModel] | None, settings: Data) -> list[Location]:
    """Return where settings hold secrets; of those that no model can read, all may be."""
    if model is None:
        return EVERYTHING
    try:
        return list(_in_model(model.model_validate(settings), ()))
    except ValidationError:  # of what is off or not sent yet, which nobody has read
        return EVERYTHING


def _written(places: Iterable[Location], layer: Data, where: Location) -> Iterator[Location]:
    """Yield the texts that a layer of settings has at some places of the whole of them."""
    for place in places:
        yield from _texts(layer, place, where)


def _texts(value: Any, below: Location, where: Location) -> Iterator[Location]:
    """Yield the texts of a value below a place; where it is shaped otherwise, all of it.

    The entries of a list are alike: another layer may have written more of them.
    """
    if isinstance(value, str):
        yield where
    elif isinstance(value, dict):
        is_named = bool(below) and isinstance(below[0], str)
        for name, inner in value.items():
            if not is_named or name == below[0]:
                yield from _texts(inner, below[1:] if is_named else (), (*where, name))
    elif isinstance(value, list):
        rest = below[1:] if below and isinstance(below[0], int) else ()
        for index, inner in enumerate(value):
            yield from _texts(inner, rest, (*where, index))


def _module_of(document: WorkspaceDocument, output: str) -> OutputModule | None:
    known = document.outputs_by_id.get(output)
    return None if known is None else MODULES.get(known.module)
