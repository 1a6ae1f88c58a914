"""Settings that a module's own models check, laid over each other in layers."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.outputs.connection_settings import ConnectionSettings
from actors.outputs.egress import EgressRules
from actors.outputs.module import OutputModule, OutputSettings
from config.errors import Found, Location, found_by_model, is_written
from config.fields import EnvironmentName
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
    module = modules.get(output.module)
    defaults = Layer((*where, "connection_defaults"), output.connection_defaults)
    yield from layer_problems(connection_model(module), NOTHING, defaults, defaults.where)
    if module is None:
        known = ", ".join(sorted(modules))
        yield (*where, "module"), f"no module '{output.module}'; there are {known}"
        return
    if output.kind not in module.kinds:
        kinds = ", ".join(sorted(module.kinds))
        yield (*where, "kind"), f"module '{output.module}' can be {kinds}"
    account = Layer(where, output.account_layer)  # they stand beside `settings`
    has_account = "account_settings" in module.settings_model.model_fields
    if account.settings and not has_account:
        yield (*where, "account_settings"), f"module '{output.module}' registers none"
    for name in ENVIRONMENTS:
        if output.is_enabled_in(name):
            base = Layer((*where, "settings"), output.settings)
            over = Layer(
                (*where, "environments", name, "settings"), getattr(environments, name).settings
            )
            beside = account if has_account else NOTHING
            found = layer_problems(module.settings_model, base, over, base.where, beside)
            yield from found
            if not found and (has_account or not account.settings):
                yield from _kind_problems(output, name, module, (over, base, account))


def connection_model(module: OutputModule | None) -> type[BaseModel]:
    """Return what validates the settings of connections to outputs of a module."""
    own = None if module is None else module.connection_settings_model
    return own or ConnectionSettings


def enabled_settings(output: Output, module: OutputModule) -> dict[Environment, OutputSettings]:
    """Return the settings of each enabled environment, by the module's model."""
    return {
        each: module.settings_model.model_validate(output.settings_in(each))
        for each in output.enabled_environments
    }


def refused_targets(
    output: Output, where: Location, module: OutputModule, egress: EgressRules
) -> Iterator[Found]:
    """List the URLs of a valid output that it cannot send to (spec/connections.md, 3.8).

    Only what is known without resolving names.
    """
    base = Layer((*where, "settings"), output.settings)
    for name, settings in enabled_settings(output, module).items():
        over = getattr(output.environments, name).settings
        layers = (Layer((*where, "environments", name, "settings"), over), base)
        for target in module.targets(settings):
            refusal = egress.refusal(target.url, allow_insecure=target.allow_insecure)
            if refusal is not None:
                location = (target.setting,)
                yield _origin(location, layers, base.where) + location, refusal


def _kind_problems(
    output: Output, name: EnvironmentName, module: OutputModule, layers: tuple[Layer, ...]
) -> Iterator[Found]:
    """List what the module says of well-formed settings; the last layer is the output's own."""
    settings = module.settings_model.model_validate(output.settings_in(name))
    *_, base, account = layers
    for location, message in module.problems(settings, output.kind):
        otherwise = account if location[0] == "account_settings" else base
        yield _origin(location, layers, otherwise.where) + location, message


def layer_problems(
    model: type[BaseModel],
    base: Layer,
    over: Layer,
    otherwise: Location,
    beside: Layer = NOTHING,
) -> list[Found]:
    """Check settings laid over others; a problem is placed where its value was written.

    `otherwise` is the place of what is in no layer; `beside`: settings that are written elsewhere.
    """
    data = merged(base.settings, over.settings) | beside.settings
    try:
        model.model_validate(data)
    except ValidationError as error:
        return [
            (_origin(location, (over, base, beside), otherwise) + location, message)
            for location, message in found_by_model(error, model, data)
        ]
    return []


def _origin(location: Location, layers: Iterable[Layer], otherwise: Location) -> Location:
    for layer in layers:
        if layer.settings and is_written(layer.settings, location):
            return layer.where
    return otherwise
