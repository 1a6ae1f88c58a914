"""Which program runs."""

import os
from functools import cache
from importlib.metadata import PackageNotFoundError, version

COMMIT_VARIABLE = "HEADWATER_COMMIT"  # set by whoever builds an image


@cache
def program_version() -> str:
    """Return the installed version; `source` where the program runs from its sources."""
    try:
        return version("headwater")
    except PackageNotFoundError:
        return "source"


def program_commit() -> str | None:
    """Return the commit that the program was built from, `None` if nobody has said."""
    return os.environ.get(COMMIT_VARIABLE) or None
