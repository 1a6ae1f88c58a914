"""Names of tables and columns (spec/connections.md, 7.4). Pure functions."""

import re
from collections.abc import Collection
from hashlib import sha256

MAX_BYTES = 63
SUFFIX_DIGITS = 6


def name_for(original: str, taken: Collection[str]) -> str:
    """Return the name of a table or column that is called `original` where events come from.

    It is `original` in lower case, other characters than `[a-z0-9_]` replaced by `_`. A suffix is
    made of the original where that is too long, or another original has the name already.
    """
    plain = re.sub(r"[^a-z0-9_]", "_", original.lower())
    name = plain
    salted = original
    while len(name) > MAX_BYTES or name in taken:
        digits = sha256(salted.encode()).hexdigest()[:SUFFIX_DIGITS]
        name = f"{plain[: MAX_BYTES - SUFFIX_DIGITS - 1]}_{digits}"
        salted += "_"  # only matters where even the suffixes collide
    return name


def quoted(name: str) -> str:
    """Return a name as SQL has it; it is one of ours, or a schema's that was validated."""
    return f'"{name}"'
