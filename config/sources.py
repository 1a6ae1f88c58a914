"""Reads YAML and what it refers to: `${env:NAME}`, `${env:NAME:-default}`, `${file:path}`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from config.errors import ConfigError, Found, Location

_PLACEHOLDER = re.compile(
    r"\$\$\{"  # written for a literal ${
    r"|\$\{env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}"
    r"|\$\{file:(?P<file>[^}]+)\}"
    r"|(?P<unknown>\$\{)"
)
# The library's texts quote single characters and kinds of token, such as '<block end>', but also
# texts of the file: both values of a repeated key, or an unquoted password that begins with * or !.
_QUOTE = re.compile("['\"]")
_SHOWS_NO_TEXT = re.compile(
    r"""(?:[^'"]|'(?:.|\\(?:[tnr]|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})|<[a-z -]+>)')*"""
)
NOT_HERE = "placeholders are put in by `headwater config`, where the file is"
_HALF = "holds half of a surrogate pair, which is no character"
_UNKNOWN = "unknown placeholder; there are ${env:NAME}, ${env:NAME:-default} and ${file:path}"


def read_yaml(path: Path) -> Any:
    """Read one YAML 1.2 file; see `parse_yaml`. Raises ConfigError if it cannot be read, too."""
    return parse_yaml(read_text(path), path.name)


def parse_yaml(text: str, name: str) -> Any:
    """Read YAML 1.2: `on`, `off`, `yes` and `no` are strings.

    Args:
        text: of one document.
        name: what messages call it.

    Raises:
        ConfigError: it is no YAML; names line and column. Shows no content, because that can be a
            secret.
    """
    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        problem = str(error.problem)
        if not _SHOWS_NO_TEXT.fullmatch(problem):
            problem = _QUOTE.split(problem)[0].strip()
        mark = error.problem_mark
        line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError([(name, f"{line}{problem}")]) from None
    except YAMLError:
        raise ConfigError([(name, "holds a character that YAML does not allow")]) from None
    except (ValueError, OverflowError):  # such as the date 2026-02-30
        raise ConfigError([(name, "holds a value that cannot be read")]) from None
    except RecursionError:
        raise ConfigError([(name, "is nested too deeply")]) from None


def read_text(path: Path) -> str:
    """Read a UTF-8 file; ConfigError says why it cannot be read."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError([(path.name, f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([(path.name, "is not UTF-8 text")]) from None
    except ValueError:  # NUL, which YAML can write
        raise ConfigError([(path.name, "cannot be read: no file has such a name")]) from None


def _mended(text: str) -> str:
    """Return a text without halves of surrogate pairs, which YAML's escapes can make."""
    return text if text.isascii() else text.encode(errors="replace").decode()


class Expansion:
    """Replaces placeholders in every string of a document, and keeps what went wrong.

    `$${` stands for a literal `${`. What is put in is not searched again. A string that cannot be
    expanded stays as written, so that the rest of the document can still be checked.
    """

    def __init__(self, environ: Mapping[str, str] | None, folder: Path | None) -> None:
        """Args: where names and paths are looked up; `None`, by nobody: each is a problem."""
        self.found: list[Found] = []
        self._environ = environ
        self._folder = folder

    def expand(self, value: Any, where: Location = ()) -> Any:
        """Return a copy of a value read from YAML, expanded; `where` is its place."""
        if isinstance(value, str):
            return self._expand_text(value, where)
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    self.found.append(((*where, str(key)), "a key must be a string"))
                elif _mended(key) != key:
                    self.found.append(((*where, _mended(key)), _HALF))
            named = [(_mended(str(key)), inner) for key, inner in value.items()]
            return {key: self.expand(inner, (*where, key)) for key, inner in named}
        if isinstance(value, list):
            return [self.expand(inner, (*where, index)) for index, inner in enumerate(value)]
        return value

    def _expand_text(self, text: str, where: Location) -> str:
        if _mended(text) != text:
            self.found.append((where, _HALF))
        text = _mended(text)
        return _PLACEHOLDER.sub(lambda placeholder: self._replace(placeholder, where), text)

    def _replace(self, placeholder: re.Match[str], where: Location) -> str:
        if placeholder["name"]:
            value, problem = self._variable(placeholder["name"], placeholder["default"])
        elif placeholder["file"]:
            value, problem = self._file(placeholder["file"])
        elif placeholder["unknown"]:
            value, problem = "", _UNKNOWN
        else:
            value, problem = "${", None
        if problem is None:
            return value
        self.found.append((where, problem))
        return placeholder[0]

    def _variable(self, name: str, default: str | None) -> tuple[str, str | None]:
        if self._environ is None:
            return "", NOT_HERE
        value = self._environ.get(name, "")
        if not value and default is not None:
            return default.removeprefix(":-"), None
        # As in a shell's ${NAME:?}, empty is as bad as missing: a secret must not become "".
        state = "empty" if name in self._environ else "not set"
        return value, None if value else f"environment variable {name} is {state}"

    def _file(self, name: str) -> tuple[str, str | None]:
        if self._folder is None:
            return "", NOT_HERE
        try:
            text = read_text(self._folder / name)
        except ConfigError as error:
            return "", f"file {name} {error.problems[0][1]}"
        return text.removesuffix("\n").removesuffix("\r"), None  # editors end files with these
