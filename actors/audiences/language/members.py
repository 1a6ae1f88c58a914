"""The members of one JSON object of a definition, read by name."""

from collections.abc import Callable, Collection
from math import isfinite
from typing import Any, TypeVar

from actors.audiences.language.context import Context
from actors.audiences.language.problems import pointer

Json = dict[str, Any]
WordT = TypeVar("WordT", bound=str)

MAX_VALUES = 1000  # entries of `values` and of lists of names (spec/audiences.md, 15)


class Members:
    """Reads an object, notes what is wrong, and makes its canonical form on the way.

    A reader that finds a problem notes it and returns a stand-in, so that the rest is read too;
    nothing is made of a definition with such problems. `null` counts as absent. Of what is no
    object at all, that is the only problem.
    """

    def __init__(self, value: Any, place: str, context: Context) -> None:
        self.place = place
        self.context = context
        self.canonical: Json = {}
        self._known: set[str] = set()
        self._members: Json = {}
        if isinstance(value, dict):
            self._members = value
        else:
            context.fail(place, "must be an object.")
            self.context = Context(context.references)

    def at(self, *steps: str | int) -> str:
        """Return the pointer of something below this object."""
        return pointer(self.place, *steps)

    def has(self, name: str) -> bool:
        """Tell whether a member is there."""
        return self._members.get(name) is not None

    def raw(self, name: str) -> Any:
        """Return a member as sent, `None` if it is absent; from now on it is known."""
        self._known.add(name)
        return self._members.get(name)

    def fail(self, name: str, message: str) -> None:
        """Note that a member is wrong."""
        self.context.fail(self.at(name), message)

    def missing(self, name: str) -> None:
        """Note that a member has to be there."""
        self._known.add(name)
        self.fail(name, "is missing.")

    def rename(self, alias: str, name: str) -> str:
        """Return the name under which a member was sent: an alias, or its own."""
        self._known.update((alias, name))
        if not self.has(alias):
            return name
        if self.has(name):
            self.fail(alias, f"says the same as {name}.")
        return alias

    def optional_text(self, name: str, sent_as: str | None = None) -> str | None:
        """Return a text that is not empty."""
        value = self.raw(sent_as or name)
        if value is None:
            return None
        if not isinstance(value, str) or not value:
            self.fail(sent_as or name, "must be a text that is not empty.")
            return ""
        self.canonical[name] = value
        return value

    def text(self, name: str, sent_as: str | None = None) -> str:
        """Return a text that has to be there."""
        value = self.optional_text(name, sent_as)
        if value is None:
            self.missing(name)
        return value or ""

    def texts(
        self,
        name: str,
        sent_as: str | None = None,
        *,
        among: Collection[str] | None = None,
    ) -> tuple[str, ...]:
        """Return a text or list of texts, `()` if absent; the canonical form is as sent."""
        sent_as = sent_as or name
        value = self.raw(sent_as)
        if value is None:
            return ()
        if isinstance(value, list):
            entries = self.entries(sent_as, value)
            for index, entry in enumerate(entries):
                self._check_text(self.at(sent_as, index), entry, among)
        else:
            entries = [value]
            self._check_text(self.at(sent_as), value, among)
        self.canonical[name] = value
        return tuple(entry for entry in entries if isinstance(entry, str))

    def _check_text(self, place: str, value: Any, among: Collection[str] | None) -> None:
        if not isinstance(value, str) or not value:
            self.context.fail(place, "must be a text that is not empty.")
        elif among is not None and value not in among:
            self.context.fail(place, f"must be one of {', '.join(sorted(among))}.")

    def entries(self, name: str, value: Any) -> list[Any]:
        """Return the entries of a list of 1 to 1000."""
        if not isinstance(value, list) or not value:
            self.fail(name, "must be a list with at least one entry.")
            return []
        if len(value) > MAX_VALUES:
            message = f"must have at most {MAX_VALUES} entries."
            self.context.fail(self.at(name), message, "LIMIT_EXCEEDED")
            return []
        return value

    def optional_word(self, name: str, words: Collection[WordT]) -> WordT | None:
        """Return one of some words."""
        value = self.raw(name)
        if value is None:
            return None
        for word in words:
            if value == word:
                self.canonical[name] = value
                return word
        self.fail(name, f"must be one of {', '.join(words)}.")
        return next(iter(words))

    def word(self, name: str, words: Collection[WordT]) -> WordT:
        """Return one of some words; it has to be there."""
        value = self.optional_word(name, words)
        if value is None:
            self.missing(name)
            return next(iter(words))
        return value

    def optional_integer(self, name: str, check: Callable[[int], str | None]) -> int | None:
        """Return an integer; `check` says what is wrong with one, if anything is."""
        value = self.raw(name)
        if value is None:
            return None
        problem = "must be an integer." if type(value) is not int else check(value)
        if problem is not None:
            self.fail(name, problem)
            return 0
        self.canonical[name] = value
        return int(value)

    def integer(self, name: str, check: Callable[[int], str | None]) -> int:
        """Return an integer that has to be there."""
        value = self.optional_integer(name, check)
        if value is None:
            self.missing(name)
        return value or 0

    def number(self, name: str, least: float, greatest: float) -> float:
        """Return a number between two bounds; it has to be there."""
        value = self.raw(name)
        if value is None:
            self.missing(name)
            return 0.0
        if not is_number(value) or not least <= value <= greatest:
            bounds = f" of at least {least:g}" if isfinite(least) else ""
            bounds += f" and at most {greatest:g}" if isfinite(greatest) else ""
            self.fail(name, f"must be a number{bounds}.")
            return 0.0
        self.canonical[name] = value
        return float(value)

    def optional_boolean(self, name: str) -> bool | None:
        """Return a truth value."""
        value = self.raw(name)
        if value is None:
            return None
        if type(value) is not bool:
            self.fail(name, "must be true or false.")
            return False
        self.canonical[name] = value
        return value

    def part(self, name: str, sent_as: str | None = None) -> "Members":
        """Return the members of an object that has to be there."""
        sent_as = sent_as or name
        if not self.has(sent_as):
            self._known.add(sent_as)
            self.missing(name)
            return Members({}, self.at(name), Context(self.context.references))
        return Members(self.raw(sent_as), self.at(sent_as), self.context)

    def finish(self, problem: str = "is not known here.") -> Json:
        """Note all members that nobody asked for, and return the canonical form."""
        for name in self._members:
            if name not in self._known:
                self.context.fail(self.at(name), problem)
        return self.canonical


def is_number(value: Any) -> bool:
    """Tell whether a JSON value is a number that a double can hold."""
    if type(value) is int:
        return abs(value) < 1 << 1023
    return type(value) is float and isfinite(value)


def at_least(least: int) -> Callable[[int], str | None]:
    """Return a check of integers."""
    return lambda value: None if value >= least else f"must be at least {least}."


def any_integer(_: int) -> str | None:
    """Find nothing wrong with an integer."""
    return None
