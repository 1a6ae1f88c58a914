"""Every module that an output can be made of. A new output is one file and one line here."""

from collections.abc import Mapping
from dataclasses import replace

from actors.model import Environment
from actors.outputs import (
    audience_csv,
    devnull,
    file,
    kafka,
    log,
    pixel,
    python,
    redis_profile,
    segment_relay,
    warehouse_duckdb,
    warehouse_postgres,
    webhook,
)
from actors.outputs.contract import (
    BulkOutput,
    Bundle,
    Delivered,
    Fatal,
    Outcome,
    Output,
    OutputEnvironment,
    OutputModule,
    OutputSettings,
    RequestLimits,
    Retry,
    Split,
    StreamOutput,
)
from actors.outputs.firehose import output as firehose

__all__ = [
    "MODULES",
    "BulkOutput",
    "Bundle",
    "Delivered",
    "Fatal",
    "Outcome",
    "Output",
    "OutputEnvironment",
    "OutputModule",
    "OutputSettings",
    "RequestLimits",
    "Retry",
    "Split",
    "StreamOutput",
    "open_outputs",
]

MODULES: dict[str, OutputModule] = {
    module.module: module
    for module in (
        audience_csv.MODULE,
        devnull.MODULE,
        file.MODULE,
        firehose.MODULE,
        kafka.MODULE,
        log.MODULE,
        pixel.MODULE,
        python.MODULE,
        redis_profile.MODULE,
        segment_relay.MODULE,
        warehouse_duckdb.MODULE,
        warehouse_postgres.MODULE,
        webhook.MODULE,
    )
}


def open_outputs(
    module: str, settings: Mapping[Environment, OutputSettings], surroundings: OutputEnvironment
) -> dict[Environment, StreamOutput | BulkOutput]:
    """Open an output for each environment that is enabled; equal settings share one.

    Args:
        module: name of its module.
        settings: the validated settings of each environment.
        surroundings: what it is handed besides; each gets a spool folder of its own below.
    """
    opened: dict[Environment, StreamOutput | BulkOutput] = {}
    for environment, chosen in settings.items():
        twin = next((each for each in opened if settings[each] == chosen), None)
        if twin is not None:
            opened[environment] = opened[twin]
        else:
            own = replace(surroundings, spool_dir=surroundings.spool_dir / environment)
            opened[environment] = MODULES[module].open(chosen, own)
    return opened
