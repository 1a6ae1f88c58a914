"""Regular expressions that users write: those of RE2, whose time is linear in the text.

Python's own take exponential time on some, such as `^(a+)+$` (spec/data-plans.md, 2.3). Compiling
takes time and memory with RE2 too, a few milliseconds for an odd pattern: so a document has only so
many.
"""

from typing import Any, Protocol

import re2

MAX_LENGTH = 1024
MAX_PATTERNS = 1000  # different ones, of a document
MAX_CHARACTERS = 64 * 1024  # of all of them together
MAX_REFUSED = 20  # after so many a document is wrong enough
_MAX_MEMORY = 256 * 1024  # of one pattern, with what it remembers between texts


class Pattern(Protocol):
    """A compiled pattern."""

    def search(self, text: str) -> Any:
        """Return where it is found first, anywhere in a text; `None` if it is not."""
        ...


class PatternRefused(Exception):
    """Says what is wrong with a pattern."""


class Patterns:
    """The patterns of one document; the same ones are compiled once."""

    def __init__(self) -> None:
        self._known: dict[str, Pattern] = {}
        self._characters = 0
        self._refused = 0

    def compile(self, pattern: str) -> Pattern:
        """Compile a pattern. Raises PatternRefused: RE2 does not have it, or they are too many."""
        known = self._known.get(pattern)
        if known is not None:
            return known
        if len(pattern) > MAX_LENGTH:
            raise PatternRefused(f"must have at most {MAX_LENGTH} characters")
        self._characters += len(pattern)
        if len(self._known) >= MAX_PATTERNS or self._characters > MAX_CHARACTERS:
            raise PatternRefused(
                f"a document has at most {MAX_PATTERNS} different patterns, and {MAX_CHARACTERS} "
                "characters in them"
            )
        if self._refused >= MAX_REFUSED:
            raise PatternRefused("is not looked at, after so many that are wrong")
        try:
            self._known[pattern] = compiled = _compiled(pattern)
        except PatternRefused:
            self._refused += 1
            raise
        return compiled


def _compiled(pattern: str) -> Pattern:
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    try:
        compiled: Pattern = re2.compile(pattern, options)
    except re2.error as error:
        [reason] = error.args
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise PatternRefused(f"is no pattern of RE2: {text}") from None
    except UnicodeEncodeError:
        raise PatternRefused("holds half of a surrogate pair, which is no character") from None
    return compiled
