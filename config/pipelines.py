"""What connections let through, made of the workspace document."""

from pydantic import ValidationError

from actors.model import ENVIRONMENTS
from actors.outputs.contract import OutputModule
from actors.pipeline.settings import PipelineSettings, Takes
from config.inputs import Input
from config.outputs import Output


def takes_of(output: Output, module: OutputModule) -> Takes:
    """Return what an output takes: by its settings for production, if that is enabled.

    Raises:
        ValidationError: the settings do not fit the module.
    """
    enabled = [each for each in ENVIRONMENTS if output.is_enabled_in(each)]
    if not enabled:
        return Takes()
    settings = module.settings_model.model_validate(output.settings_in(enabled[0]))
    return module.takes(settings)


def platform_problem(source: Input, output: Output, module: OutputModule) -> str | None:
    """Return why an output cannot take what an input brings, `None` if it can."""
    if source.is_unbound and not module.accepts_unbound:
        return "does not accept unbound feeds"
    try:
        takes = takes_of(output, module)
    except ValidationError:  # reported where the output is checked
        return None
    if _is_supported(source, takes):
        return None
    if source.is_unbound:
        return "does not accept unbound feeds"
    return f"does not support platform '{source.os}'"


def pipeline_settings(
    output: Output, module: OutputModule, source: Input | None
) -> PipelineSettings:
    """Compile what a connection lets through; `source` `None`: a built-in feed."""
    takes = takes_of(output, module)
    return PipelineSettings(
        takes=takes, is_supported=source is None or _is_supported(source, takes)
    )


def _is_supported(source: Input, takes: Takes) -> bool:
    return takes.platforms is None or source.os in takes.platforms
