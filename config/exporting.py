"""The configuration as YAML, without secrets (spec/connections.md, 10)."""

from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from ruamel.yaml import YAML

from config.errors import ConfigError, Location, format_path
from config.merging import Data, name_of
from config.secret_values import UNEXPANDED, placeholder, replaced, secret_places, value_at
from config.sources import NOT_HERE, Expansion, parse_yaml
from config.workspace import DESKS, WorkspaceDocument

MAX_VALUES = 100_000  # that a document sent over HTTP may hold


def exported(
    document: WorkspaceDocument, data: Data, from_files: Mapping[str, frozenset[str]]
) -> Data:
    """Return a document as it is exported: secrets are placeholders.

    Audiences and calculated attributes that no file has or had are left out: they are changed
    elsewhere, and what the document has of them is old.
    """
    places = secret_places(document, data)
    shown = {each: UNEXPANDED + placeholder(data, each) for each in places}
    result: Data = _escaped(replaced(data, places, shown))
    for section in DESKS:
        if section in result:
            names = from_files.get(section, frozenset())
            result[section] = [each for each in result[section] if name_of(each) in names]
    return result


def as_yaml(data: Data) -> str:
    """Write a document as YAML 1.2."""
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 100
    stream = StringIO()
    writer.dump(data, stream)
    return stream.getvalue()


def escaped(data: Data) -> Data:
    """Return a document whose texts mean themselves: a literal `${` begins no placeholder."""
    result: Data = _escaped(data)
    return result


def read_sent(text: str) -> Data:
    """Read a document that was sent. Placeholders are left: an export has some for its secrets.

    Raises:
        ConfigError: it is no YAML, no mapping, or too large.
    """
    data = parse_yaml(text, "body")
    if not isinstance(data, dict):
        raise ConfigError([("", "must be a mapping")])
    _check_size(data)
    expansion = Expansion(None, None)
    result: Data = expansion.expand(data)
    problems = []
    for where, message in expansion.found:
        value = value_at(result, where)
        if isinstance(value, str) and message == NOT_HERE:
            value_at(result, where[:-1])[where[-1]] = UNEXPANDED + value
        else:
            problems.append((format_path(where), message))
    if problems:
        raise ConfigError(problems)
    return result


def unexpanded(value: Any, where: Location = ()) -> Iterator[tuple[str, str]]:
    """List, as path and message, placeholders that stand for no secret that is kept."""
    if isinstance(value, str) and value.startswith(UNEXPANDED):
        yield format_path(where), NOT_HERE
    elif isinstance(value, dict | list):
        for part, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from unexpanded(inner, (*where, part))


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        if value.startswith(UNEXPANDED):
            return value.removeprefix(UNEXPANDED)
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return value


def _check_size(data: Data) -> None:
    """Count values: aliases of YAML make a short text a document without an end."""
    left, waiting = MAX_VALUES, [iter((data,))]
    while waiting:
        for value in waiting[-1]:
            left -= 1
            if left < 0 or len(waiting) > 100:
                raise ConfigError([("", "is too large")])
            if isinstance(value, dict | list):
                inner = value.values() if isinstance(value, dict) else value
                waiting.append(iter(inner))
                break
        else:
            waiting.pop()
