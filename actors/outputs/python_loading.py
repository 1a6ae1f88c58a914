"""Loads the class of an output of the module `python`, and calls what it may have.

Run as a program it tries one in a process of its own, so that a class which hangs or ends its
process harms nothing: it reads `{"file", "class_name", "settings"}` and writes `{"outcome"}`, both
as JSON.
"""

import asyncio
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from actors.outputs.contract import Delivered, Fatal, Retry
from actors.outputs.python_jobs import Result


class LoadFailed(Exception):
    """A class cannot be had; the text says why, without what the code itself says."""


class Wanted(Struct, frozen=True):
    """A class to be tried; `settings` are handed to it, secrets among them."""

    file: str
    class_name: str
    settings: dict[str, Any]

    def __repr__(self) -> str:
        return f"Wanted({self.file!r}, {self.class_name!r})"


def find(folder: Path | None, path: str) -> Path:
    """Return the file that a setting names below the operator's folder.

    Raises:
        LoadFailed: there is no such folder or file, or the file is elsewhere.
    """
    if folder is None:
        raise LoadFailed("the process setting python_outputs is not set")
    found = (folder / path).resolve()
    if not found.is_relative_to(folder.resolve()) or not found.is_file():
        raise LoadFailed(f"there is no file {path} in the folder of python_outputs")
    return found


def load(file: Path, class_name: str, settings: dict[str, Any]) -> Any:
    """Run a file, and make the object.

    Raises:
        LoadFailed: the code fails, or it has no such class with `async def send(self, jobs)`.
    """
    spec = importlib.util.spec_from_file_location(f"python_output_{file.stem}", file)
    assert spec is not None, "the name of the file ends in .py"
    assert spec.loader is not None, "likewise"
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        line = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise LoadFailed(f"{file.name} cannot be run: {type(error).__name__}{line}") from error
    found: Callable[[dict[str, Any]], Any] | None = getattr(module, class_name, None)
    if found is None or not isinstance(found, type):
        raise LoadFailed(f"{file.name} has no class {class_name}")
    if not inspect.iscoroutinefunction(getattr(found, "send", None)):
        raise LoadFailed(f"{class_name} has no `async def send(self, jobs)`")
    try:
        return found(settings)
    except (Exception, SystemExit) as error:
        raise LoadFailed(f"{class_name} cannot be made: {type(error).__name__}") from error


async def call(made: Any, method: str) -> Any:
    """Call a method that an object may have."""
    found = getattr(made, method, None)
    return None if found is None else await found()


async def _try(wanted: Wanted) -> Result:
    try:
        made = load(Path(wanted.file), wanted.class_name, wanted.settings)
    except LoadFailed as error:
        return Fatal("invalid_settings", str(error))
    try:
        await call(made, "start")
        outcome = await call(made, "test")
        await call(made, "stop")
    except Exception as error:
        return Retry(f"{wanted.class_name}.test failed: {type(error).__name__}")
    return outcome if isinstance(outcome, Delivered | Retry | Fatal) else Delivered()


def main() -> None:
    """Try a class."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the class prints is no answer
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)
    outcome = asyncio.run(_try(wanted))
    answer.write(msgspec.json.encode([type(outcome).__name__, msgspec.structs.asdict(outcome)]))
    answer.flush()


if __name__ == "__main__":
    main()
