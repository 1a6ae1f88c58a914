"""Which values of a workspace document are secret, whatever sections it has.

What a model declares a `SecretStr` is one: of the document, or of the module of an output. In
mappings of which no model is known here, texts are secret that are called like secrets.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from actors.outputs.registry import MODULES
from config.data_plans import DataPlan
from config.errors import Location, is_written
from config.merging import Data, counterpart, name_of
from config.outputs import Output, merged
from config.workspace import WorkspaceDocument

MASK = "***********"  # spec/platform-api.md, 7
SHOWN = 4
UNEXPANDED = "\0"  # before a placeholder that was left

_CALLED_SECRET = re.compile(
    r"secret|passw|token|api_?key|private_?key|access_?key|credential|authorization|dsn",
    re.IGNORECASE,
)
_NOT_OF_NAME = re.compile(r"[^A-Z0-9]+")


def secret_places(document: WorkspaceDocument, data: Data) -> list[Location]:
    """Return where in `data`, of which `document` was made, secrets are written."""
    found = dict.fromkeys(_in_model(document, ()))
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
        holder, last = counterpart(result, where[:-1], kept), where[-1]
        exported = placeholder(kept, where)
        unknown = (None, MASK, masked(secret), exported, UNEXPANDED + exported)
        if isinstance(holder, dict) and last in holder and holder[last] in unknown:
            holder[last] = secret
    return result


def _in_model(value: object, where: Location) -> Iterator[Location]:
    if isinstance(value, SecretStr):
        yield where
    elif isinstance(value, DataPlan):
        return  # its documents name attributes, and hold nothing of them
    elif isinstance(value, Output):
        yield from _in_output(value, where)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _in_model(getattr(value, name), (*where, name))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if isinstance(inner, str) and _CALLED_SECRET.search(str(name)):
                yield (*where, name)
            else:
                yield from _in_model(inner, (*where, name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _in_model(inner, (*where, index))


def _in_output(output: Output, where: Location) -> Iterator[Location]:
    for name in Output.model_fields:
        yield from _in_model(getattr(output, name), (*where, name))
    module = MODULES.get(output.module)
    if module is None:
        return
    layers: dict[Location, dict[str, Any]] = {("settings",): output.settings}
    for environment in type(output.environments).model_fields:
        layers["environments", environment, "settings"] = getattr(
            output.environments, environment
        ).settings
    for place, settings in layers.items():
        try:
            checked = module.settings_model.model_validate(merged(output.settings, settings))
        except ValidationError:  # of an environment that is off, and whose settings nobody reads
            continue
        yield from _in_model(checked, (*where, *place))
