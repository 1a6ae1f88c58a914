"""Makes workspace documents of files and folders (spec/connections.md, 10)."""

from collections.abc import Collection, Mapping, Sequence
from os.path import realpath
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from actors.identity.registry import STRATEGIES
from actors.outputs.egress import EgressRules
from actors.outputs.module import OutputModule
from actors.outputs.registry import MODULES
from config.audience_tests import failed_tests
from config.deployment import deployment_problems
from config.errors import ConfigError, Found, Location, format_path, found_by_model
from config.module_settings import refused_targets
from config.numbers import KeptNumbers, assign_all
from config.plan_files import read_plan_files
from config.sources import Expansion, read_yaml
from config.validate import part_problems, parts_of
from config.workspace import WorkspaceDocument

EXAMPLE = Path(__file__).with_name("example.yaml")


def load_workspaces(
    paths: Sequence[Path],
    environ: Mapping[str, str],
    *,
    modules: Mapping[str, OutputModule] = MODULES,
    strategies: Collection[str] = STRATEGIES,
) -> tuple[WorkspaceDocument, ...]:
    """Read and check the workspace documents of one deployment.

    Args:
        paths: of each document; a YAML file, or a folder whose `*.yaml` and `*.yml` files make
            one document.
        environ: where `${env:NAME}` is looked up.
        modules: the output modules there are.
        strategies: the identity strategies there are.

    Returns:
        The documents in the order of their paths.

    Raises:
        ConfigError: every problem found, in each document and between them. In a folder, paths
            begin with the file's name; of several documents, with the document's path.
    """
    loaded, problems = _load_all(paths, environ, modules, strategies)
    if problems:
        raise ConfigError(problems)
    return tuple(document for document, _ in loaded)


def load_workspace(
    path: Path,
    environ: Mapping[str, str],
    *,
    modules: Mapping[str, OutputModule] = MODULES,
    strategies: Collection[str] = STRATEGIES,
) -> WorkspaceDocument:
    """Read and check the only document of a deployment; see `load_workspaces`."""
    return load_workspaces((path,), environ, modules=modules, strategies=strategies)[0]


def _load_all(
    paths: Sequence[Path],
    environ: Mapping[str, str],
    modules: Mapping[str, OutputModule],
    strategies: Collection[str],
) -> tuple[list[tuple[WorkspaceDocument, "_Source"]], list[tuple[str, str]]]:
    """Return the documents without problems of their own, and all problems."""
    loaded: list[tuple[WorkspaceDocument, _Source]] = []
    problems: list[tuple[str, str]] = []
    for index, path in enumerate(paths):
        if realpath(path) in map(realpath, paths[:index]):  # all of it would be used twice
            problems.append((str(path), "is given twice"))
            continue
        name = str(path) if len(paths) > 1 else ""
        try:
            loaded.append(_load(path, name, environ, modules, strategies))
        except ConfigError as error:
            problems += error.problems
    documents = [(source.name, document) for document, source in loaded]
    for (place, where), message in deployment_problems(documents, are_all=not problems):
        problems.append((loaded[place][1].locate(where), message))
    return loaded, problems


def _load(
    path: Path,
    name: str,
    environ: Mapping[str, str],
    modules: Mapping[str, OutputModule],
    strategies: Collection[str],
) -> tuple[WorkspaceDocument, "_Source"]:
    data, source, expansion = _expanded(path, name, environ)
    document, found = _check(data, modules, strategies)
    # What stands where a placeholder could not be replaced is not worth another message.
    unexpanded = {where for where, _ in expansion.found}
    found = expansion.found + [each for each in found if each[0] not in unexpanded]
    problems = dict.fromkeys((source.locate(where), message) for where, message in found)
    if document is None or problems:
        raise ConfigError(problems)
    return document, source


def _expanded(
    path: Path, name: str, environ: Mapping[str, str]
) -> tuple[dict[str, Any], "_Source", Expansion]:
    source = _Source.read(path, name)
    folder = path if path.is_dir() else path.parent
    expansion = Expansion(environ, folder)
    try:
        data = expansion.expand(source.data)
        expansion.found += read_plan_files(data, folder)
        return data, source, expansion
    except RecursionError:
        raise ConfigError([(name or path.name, "is nested too deeply")]) from None


def read_document(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """Read a document that is to be laid over another one, with its placeholders replaced.

    Raises:
        ConfigError: it cannot be read, or a placeholder not be replaced. What it says is not
            checked: it may lean on objects that it does not have.
    """
    data, source, expansion = _expanded(path, "", environ)
    if expansion.found:
        raise ConfigError(
            dict.fromkeys((source.locate(where), message) for where, message in expansion.found)
        )
    return data


def parse_workspace(data: dict[str, Any]) -> WorkspaceDocument:
    """Check a whole document that is in memory, without placeholders; ConfigError lists all."""
    document, found = _check(data, MODULES, STRATEGIES)
    if document is None or found:
        raise ConfigError(dict.fromkeys((format_path(where), message) for where, message in found))
    return document


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


def validate_files(paths: Sequence[Path], environ: Mapping[str, str]) -> list[str]:
    """Return one line `path: message` per problem of documents, none if they can be served.

    Tests of audiences that fail are problems too.

    Args:
        paths: of the documents of one deployment, as `load_workspaces` takes them.
        environ: where `${env:NAME}` is looked up.
    """
    loaded, problems = _load_all(paths, environ, MODULES, STRATEGIES)
    if not problems:
        try:
            assign_all([document for document, _ in loaded], KeptNumbers())
        except ConfigError as error:
            problems += error.problems
    fitting = [] if problems else [document for document, _ in loaded]
    for document, source in loaded:
        others = [each for each in fitting if each is not document]
        found = failed_tests(document, others)
        problems += [(source.locate(where), message) for where, message in found]
    return ConfigError(problems).lines()


def refused_by(egress: EgressRules, paths: Sequence[Path], environ: Mapping[str, str]) -> list[str]:
    """Return one line `path: message` per URL of valid documents that nothing can be sent to.

    Args:
        egress: what the operator has opened.
        paths, environ: see `validate_files`.
    """
    loaded, _ = _load_all(paths, environ, MODULES, STRATEGIES)
    found = {
        (source.locate(where), message): None
        for document, source in loaded
        for index, output in enumerate(document.outputs)
        for where, message in refused_targets(
            output, ("outputs", index), MODULES[output.module], egress
        )
    }
    return ConfigError(list(found)).lines()


class _Source:
    """What was read, and which file each part of it came from.

    Attributes:
        data: the content.
        name: the document's path, if there are several; else empty, as messages need none.
    """

    def __init__(self, name: str) -> None:
        self.data: dict[str, Any] = {}
        self.name = name
        self._files: dict[str, list[tuple[int, str]]] = {}  # section to (first index, file)
        self._is_folder = False

    @classmethod
    def read(cls, path: Path, name: str) -> "_Source":
        """Read one file, or every YAML file of a folder in the order of their names."""
        source = cls(name)
        files = [path]
        try:
            source._is_folder = path.is_dir()
            if source._is_folder:
                files = sorted(each for each in path.iterdir() if each.suffix in {".yaml", ".yml"})
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
            raise ConfigError([(name or path.name, reason)]) from None
        if not files:
            raise ConfigError([(name or path.name, "has no *.yaml or *.yml file")])
        for file in files:
            source._add(file, str(file) if name else file.name)
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
        return ":".join(part for part in (self.name, format_path(where)) if part)

    def _add(self, file: Path, name: str) -> None:
        try:
            content = read_yaml(file)
        except ConfigError as error:
            raise ConfigError((name, message) for _, message in error.problems) from None
        if not isinstance(content, dict):
            raise ConfigError([(name, "must be a mapping")])
        for section, value in content.items():
            there = self.data.setdefault(section, value)
            start = 0
            if there is not value:
                if isinstance(there, list) and isinstance(value, list):
                    start = len(there)
                    self.data[section] = there + value
                elif there != value:
                    raise ConfigError([(f"{name}:{section}", "differs between files")])
            if self._is_folder:
                self._files.setdefault(str(section), []).append((start, name))
