"""Makes a workspace document of a file or folder (spec/connections.md, 10)."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from actors.identity.registry import STRATEGIES
from actors.outputs.contract import OutputModule
from actors.outputs.registry import MODULES
from config.audience_tests import failed_tests
from config.errors import ConfigError, Found, Location, format_path, found_by_model
from config.identity import IdentitySettings, identity_problems
from config.sources import Expansion, read_yaml
from config.validate import part_problems, parts_of
from config.workspace import WorkspaceDocument

EXAMPLE = Path(__file__).with_name("example.yaml")


def load_workspace(
    path: Path,
    environ: Mapping[str, str],
    *,
    modules: Mapping[str, OutputModule] = MODULES,
    strategies: Collection[str] = STRATEGIES,
) -> WorkspaceDocument:
    """Read and check a whole workspace document.

    Args:
        path: a YAML file, or a folder whose `*.yaml` and `*.yml` files make one document.
        environ: where `${env:NAME}` is looked up.
        modules: the output modules there are.
        strategies: the identity strategies there are.

    Raises:
        ConfigError: every problem found. In a folder, paths begin with the file's name.
    """
    return _load(path, environ, modules, strategies)[0]


def _load(
    path: Path,
    environ: Mapping[str, str],
    modules: Mapping[str, OutputModule],
    strategies: Collection[str],
) -> tuple[WorkspaceDocument, "_Source"]:
    source = _Source.read(path)
    expansion = Expansion(environ, path if path.is_dir() else path.parent)
    try:
        data = expansion.expand(source.data)
    except RecursionError:
        raise ConfigError([(path.name, "is nested too deeply")]) from None
    document, found = _check(data, modules, strategies)
    # What stands where a placeholder could not be replaced is not worth another message.
    unexpanded = {where for where, _ in expansion.found}
    found = expansion.found + [each for each in found if each[0] not in unexpanded]
    problems = dict.fromkeys((source.locate(where), message) for where, message in found)
    if document is None or problems:
        raise ConfigError(problems)
    return document, source


def parse_workspace(data: dict[str, Any]) -> WorkspaceDocument:
    """Check a whole document that is in memory, without placeholders; ConfigError lists all."""
    document, found = _check(data, MODULES, STRATEGIES)
    if document is None or found:
        raise ConfigError(dict.fromkeys((format_path(where), message) for where, message in found))
    return document


def parse_identity(data: dict[str, Any]) -> IdentitySettings:
    """Check identity settings that stand alone; ConfigError lists all, by path in the document."""
    try:
        settings = IdentitySettings.model_validate(data)
    except ValidationError as error:
        found = found_by_model(error, IdentitySettings, data, ("identity",))
    else:
        found = list(identity_problems(settings, STRATEGIES))
        if not found:
            return settings
    raise ConfigError(dict.fromkeys((format_path(where), message) for where, message in found))


def _check(
    data: dict[str, Any], modules: Mapping[str, OutputModule], strategies: Collection[str]
) -> tuple[WorkspaceDocument | None, list[Found]]:
    document = None
    found: list[Found] = []
    try:
        document = WorkspaceDocument.model_validate(data)
    except ValidationError as error:
        found += found_by_model(error, WorkspaceDocument, data)
    found += part_problems(parts_of(data), modules, strategies)
    return document, found


def validate_file(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Return one line `path: message` per problem of a document, none if it can be served.

    Tests of audiences that fail are problems too.
    """
    try:
        document, source = _load(path, environ, MODULES, STRATEGIES)
    except ConfigError as error:
        return error.lines()
    found = failed_tests(document)
    return ConfigError((source.locate(where), message) for where, message in found).lines()


class _Source:
    """What was read, and which file each part of it came from."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self._files: dict[str, list[tuple[int, str]]] = {}  # section to (first index, file)
        self._is_folder = False

    @classmethod
    def read(cls, path: Path) -> "_Source":
        """Read one file, or every YAML file of a folder in the order of their names."""
        source = cls()
        source._is_folder = path.is_dir()
        files = [path]
        if source._is_folder:
            files = sorted(each for each in path.iterdir() if each.suffix in {".yaml", ".yml"})
            if not files:
                raise ConfigError([(path.name, "has no *.yaml or *.yml file")])
        for file in files:
            source._add(file)
        return source

    def locate(self, where: Location) -> str:
        """Write a location as its author knows it."""
        section, *rest = where or ("",)
        for start, file in reversed(self._files.get(str(section), [])):
            if rest and isinstance(rest[0], int):
                if rest[0] < start:
                    continue
                rest[0] -= start
            return f"{file}:{format_path((section, *rest))}"
        return format_path(where)

    def _add(self, file: Path) -> None:
        content = read_yaml(file)
        if not isinstance(content, dict):
            raise ConfigError([(file.name, "must be a mapping")])
        for section, value in content.items():
            there = self.data.setdefault(section, value)
            start = 0
            if there is not value:
                if isinstance(there, list) and isinstance(value, list):
                    start = len(there)
                    self.data[section] = there + value
                elif there != value:
                    raise ConfigError([(f"{file.name}:{section}", "differs between files")])
            if self._is_folder:
                self._files.setdefault(str(section), []).append((start, file.name))
