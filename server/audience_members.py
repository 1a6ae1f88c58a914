"""Members of a JSON body, read by name; problems carry JSON pointers (spec/audiences.md, 14)."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from actors.errors import AudienceRefused, Problem
from server.parameters import INT64_END
from server.read_back import differing


class BodyReader:
    """Reads an object; notes every problem, and raises them all at the end.

    Readers return `None` for what is absent or wrong. A member that nobody reads is unknown.
    """

    def __init__(self, body: dict[str, Any], at: str = "") -> None:
        self._body = body
        self._at = at
        self._read: set[str] = set()
        self.problems: list[Problem] = []

    def has(self, name: str) -> bool:
        """Tell whether a member is there."""
        self._read.add(name)
        return name in self._body

    def raw(self, name: str) -> Any:
        """Return a member as it is, `None` if it is absent."""
        self._read.add(name)
        return self._body.get(name)

    def read_only(self, shown: Mapping[str, Any], names: Collection[str]) -> None:
        """Take members that cannot be set, as long as they are as they are shown."""
        self._read.update(names)
        for name in differing(self._body, shown, names):
            self.fail(name, "cannot be changed")

    def text(self, name: str, most: int, least: int = 1, *, required: bool = False) -> str | None:
        """Read a text of some length, in characters."""
        if not self._is_there(name, required):
            return None
        value = self._body[name]
        if isinstance(value, str) and least <= len(value) <= most:
            return value
        self.fail(name, f"must be a text of {least} to {most} characters")
        return None

    def texts(
        self, name: str, most: int, entry_most: int, *, least: int = 0, required: bool = False
    ) -> tuple[str, ...] | None:
        """Read a list of texts of up to so many characters each."""
        entries = self.entries(name, most, least=least, required=required)
        for index, value in enumerate(entries or ()):
            if not isinstance(value, str) or not 1 <= len(value) <= entry_most:
                self.fail(f"{name}/{index}", f"must be a text of 1 to {entry_most} characters")
        return None if entries is None else tuple(map(str, entries))

    def integer(
        self, name: str, least: int, most: int = INT64_END - 1, *, required: bool = False
    ) -> int | None:
        """Read a whole number within bounds."""
        if not self._is_there(name, required):
            return None
        value = self._body[name]
        if type(value) is int and least <= value <= most:
            return value
        self.fail(name, f"must be a whole number of at least {least}")
        return None

    def integers(
        self, name: str, most: int, *, least: int = 0, required: bool = False
    ) -> tuple[int, ...] | None:
        """Read a list of whole numbers of 64 bits, each once."""
        entries = self.entries(name, most, least=least, required=required)
        for index, value in enumerate(entries or ()):
            if type(value) is not int or not -INT64_END <= value < INT64_END:
                self.fail(f"{name}/{index}", "must be a whole number of 64 bits")
        if entries is None:
            return None
        return tuple(dict.fromkeys(each for each in entries if type(each) is int))

    def boolean(self, name: str) -> bool | None:
        """Read true or false."""
        if not self._is_there(name, required=False):
            return None
        value = self._body[name]
        if isinstance(value, bool):
            return value
        self.fail(name, "must be true or false")
        return None

    def word(self, name: str, words: Collection[str], *, required: bool = False) -> str | None:
        """Read one of some words."""
        if not self._is_there(name, required):
            return None
        value = self._body[name]
        if isinstance(value, str) and value in words:
            return value
        self.fail(name, f"must be {' or '.join(words)}")
        return None

    def day(self, name: str) -> str | None:
        """Read a date, `YYYY-MM-DD`."""
        if not self._is_there(name, required=False):
            return None
        value = self._body[name]
        try:
            if isinstance(value, str) and date.fromisoformat(value).isoformat() == value:
                return value
        except ValueError:
            pass
        self.fail(name, "must be a date such as 2026-03-10")
        return None

    def mapping(self, name: str) -> dict[str, Any] | None:
        """Read an object."""
        if not self._is_there(name, required=False):
            return None
        value = self._body[name]
        if isinstance(value, dict):
            return value
        self.fail(name, "must be an object")
        return None

    def entries(
        self, name: str, most: int, *, least: int = 0, required: bool = False
    ) -> list[Any] | None:
        """Read a list of so many entries."""
        if not self._is_there(name, required):
            return None
        value = self._body[name]
        if isinstance(value, list) and least <= len(value) <= most:
            return value
        self.fail(name, f"must be a list of {least} to {most} entries")
        return None

    def fail(self, name: str, rule: str) -> None:
        """Note that something is wrong with a member."""
        self.problems.append(Problem(f"{name.partition('/')[0]} {rule}.", f"{self._at}/{name}"))

    def finish(self) -> None:
        """Check that every member is known.

        Raises:
            AudienceRefused: something is wrong.
        """
        for name in self._body:
            if name not in self._read:
                escaped = name.replace("~", "~0").replace("/", "~1")
                self.problems.append(Problem("It is not known here.", f"{self._at}/{escaped}"))
        if self.problems:
            raise AudienceRefused("VALIDATION_ERROR", self.problems)

    def _is_there(self, name: str, required: bool) -> bool:
        self._read.add(name)
        if name in self._body:
            return True
        if required:
            self.fail(name, "is missing")
        return False
