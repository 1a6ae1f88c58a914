"""Parameters of paths and queries, checked; what does not fit becomes a 400."""

from datetime import UTC, datetime

from aiohttp import web

from actors.model.workspaces import ENVIRONMENTS, Environment
from server.problems import Refused

INT64_END = 2**63


def int64(text: str, name: str) -> int:
    """Read a whole number of 64 bits.

    Raises:
        Refused: it is none (400).
    """
    if is_int64(text):
        return int(text)
    raise invalid(name, "must be an integer of 64 bits")


def is_int64(text: str) -> bool:
    """Tell whether a text is a whole number of 64 bits."""
    digits = text.removeprefix("-")
    # 19 digits are enough; int() refuses texts of many thousands with an error of its own.
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 19):
        return False
    return -INT64_END <= int(text) < INT64_END


def environment(request: web.Request) -> Environment | None:
    """Read the query's `environment`; `None` if there is none.

    Raises:
        Refused: neither `production` nor `development` (400).
    """
    name = request.query.get("environment")
    if name is None or name in ENVIRONMENTS:
        return name
    raise invalid("environment", "must be production or development")


def time_ms(text: str, name: str) -> int:
    """Read milliseconds since 1970, or a date and time of ISO 8601, UTC where it names no zone.

    Raises:
        Refused: neither (400).
    """
    if text.removeprefix("-").isdecimal():
        return int64(text, name)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(name, "must be milliseconds or a time of ISO 8601") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def page_size(request: web.Request, default: int, most: int = 1000) -> int:
    """Read the query's `limit`.

    Raises:
        Refused: not a number from 1 to `most` (400).
    """
    text = request.query.get("limit")
    if text is None:
        return default
    size = int64(text, "limit")
    if not 1 <= size <= most:
        raise invalid("limit", f"must be between 1 and {most}")
    return size


def invalid(name: str, problem: str) -> Refused:
    """Make the error of a field or parameter with a wrong value."""
    return Refused("BAD_REQUEST", f'Invalid value for field "{name}": {problem}.')


def missing(name: str) -> Refused:
    """Make the error of a field or parameter that has to be there."""
    return Refused("BAD_REQUEST", f'Required field "{name}" is missing or empty.')
