"""Regular expressions that users write: those of RE2, whose time is linear in the text.

Python's own take exponential time on some, such as `^(a+)+$` (spec/data-plans.md, 2.3).
"""

from typing import Any, Protocol

import re2

MAX_LENGTH = 1024
_MAX_MEMORY = 1024 * 1024  # of one pattern, with what it remembers between texts


class Pattern(Protocol):
    """A compiled pattern."""

    def search(self, text: str) -> Any:
        """Return where it is found first, anywhere in a text; `None` if it is not."""
        ...


class PatternRefused(Exception):
    """Says what is wrong with a pattern."""


def compile_pattern(pattern: str) -> Pattern:
    """Compile a pattern. Raises PatternRefused: it is too long, or RE2 does not have it."""
    if len(pattern) > MAX_LENGTH:
        raise PatternRefused(f"must have at most {MAX_LENGTH} characters")
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
