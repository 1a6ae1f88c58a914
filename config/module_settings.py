"""Settings that a module's own models check, laid over each other in layers."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from actors.model import ENVIRONMENTS
from actors.outputs.connection_settings import ConnectionSettings
from actors.outputs.contract import OutputModule
from config.errors import Found, Location, found_by_model, is_written
from config.outputs import Output, merged


class Layer(NamedTuple):
    """Settings, and where in the document they were written."""

    where: Location
    settings: dict[str, Any]


NOTHING = Layer((), {})


def output_problems(
    output: Output, where: Location, modules: Mapping[str, OutputModule]
) -> Iterator[Found]:
    """List what does not fit an output's module, or within the output.

    Args:
        output: well-formed.
        where: its place in the document.
        modules: output modules by name.
    """
    environments = output.environments
    if output.use_same_settings and any(
        environment.settings for environment in (environments.production, environments.development)
    ):
        yield (
            (*where, "use_same_settings"),
            "must be false where an environment has settings of its own",
        )
    retry = output.retry
    if retry.base is not None and retry.cap is not None and retry.base > retry.cap:
        yield (*where, "retry", "base"), "must not be longer than cap"
    defaults = Layer((*where, "connection_defaults"), output.connection_defaults)
    yield from layer_problems(ConnectionSettings, NOTHING, defaults, defaults.where)
    module = modules.get(output.module)
    if module is None:
        known = ", ".join(sorted(modules))
        yield (*where, "module"), f"no module '{output.module}'; there are {known}"
        return
    if output.kind not in module.kinds:
        kinds = ", ".join(sorted(module.kinds))
        yield (*where, "kind"), f"module '{output.module}' can be {kinds}"
    for name in ENVIRONMENTS:
        if output.is_enabled_in(name):
            base = Layer((*where, "settings"), output.settings)
            over = Layer(
                (*where, "environments", name, "settings"), getattr(environments, name).settings
            )
            yield from layer_problems(module.settings_model, base, over, base.where)


def layer_problems(
    model: type[BaseModel], base: Layer, over: Layer, otherwise: Location
) -> list[Found]:
    """Check settings laid over others; a problem is placed where its value was written.

    `otherwise` is the place of what is in neither layer.
    """
    data = merged(base.settings, over.settings)
    try:
        model.model_validate(data)
    except ValidationError as error:
        return [
            (_origin(location, base, over, otherwise) + location, message)
            for location, message in found_by_model(error, model, data)
        ]
    return []


def _origin(location: Location, base: Layer, over: Layer, otherwise: Location) -> Location:
    for layer in (over, base):
        if layer.settings and is_written(layer.settings, location):
            return layer.where
    return otherwise
