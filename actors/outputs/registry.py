"""Every module that an output can be made of. A new output is one file and one line here."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module

from actors.model.workspaces import Environment
from actors.outputs.contract import (
    BulkOutput,
    Bundle,
    Delivered,
    Fatal,
    Outcome,
    Output,
    RequestLimits,
    Retry,
    Split,
    StreamOutput,
)
from actors.outputs.environment import OutputEnvironment
from actors.outputs.module import OutputModule, OutputSettings

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

# By the name of a module the file that has it as `MODULE`.
_FILES = {
    "audience_csv": "actors.outputs.audience_csv",
    "devnull": "actors.outputs.devnull",
    "file": "actors.outputs.file",
    "firehose": "actors.outputs.firehose.output",
    "kafka": "actors.outputs.kafka",
    "log": "actors.outputs.log",
    "pixel": "actors.outputs.pixel",
    "python": "actors.outputs.python",
    "redis_profile": "actors.outputs.redis_profile",
    "segment_relay": "actors.outputs.segment_relay",
    "warehouse_duckdb": "actors.outputs.warehouse_duckdb",
    "warehouse_postgres": "actors.outputs.warehouse_postgres",
    "webhook": "actors.outputs.webhook",
}


class _Modules(Mapping[str, OutputModule]):
    """Reads a file when its module is first looked up: most processes need few, and to be back
    soon after their death none of the others' libraries."""

    def __getitem__(self, name: str) -> OutputModule:
        module: OutputModule = import_module(_FILES[name]).MODULE
        return module

    def __contains__(self, name: object) -> bool:
        return name in _FILES

    def __iter__(self) -> Iterator[str]:
        return iter(_FILES)

    def __len__(self) -> int:
        return len(_FILES)


MODULES: Mapping[str, OutputModule] = _Modules()


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
