"""Another log level for a while, in every process (spec/observability.md, 8)."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from actors.errors import Problem
from server.problems import Refused

logger = logging.getLogger("headwater.log_levels")

MAX_BODY_BYTES = 4096

Level = Literal["debug", "info", "warning", "error"]


class LogLevel(Struct, forbid_unknown_fields=True):
    """What `PUT /admin/loglevel` takes. `ttl_s`: then the configured level holds again."""

    logger: Annotated[str, Meta(pattern=r"^headwater(\.[a-z_]+)*$")]
    level: Level
    ttl_s: Annotated[int, Meta(ge=1, le=86_400)] = 600


_decoder = msgspec.json.Decoder(LogLevel)


def read_log_level(body: bytes) -> LogLevel:
    """Return what a body asks for.

    Raises:
        Refused: it is not JSON, or not of that form (400).
    """
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        path = where.rstrip("`").removeprefix(".")
        raise Refused("BAD_REQUEST", [Problem(f"{path}: {text}" if path else text)]) from None
    except msgspec.DecodeError as error:
        raise Refused("BAD_REQUEST", f"The body is not JSON: {error}") from None


class LogLevels:
    """Sets levels everywhere, and sets them back when their time is over."""

    def __init__(self, tell: Callable[[str, str | None], Awaitable[None]]) -> None:
        """Args: `tell` sets a logger's level in all processes; `None` is the configured one."""
        self._tell = tell
        self._resets: dict[str, asyncio.Task[None]] = {}

    async def set(self, wanted: LogLevel) -> None:
        """Set a level; the last setting of a logger is the one that holds."""
        former = self._resets.pop(wanted.logger, None)
        if former is not None:
            former.cancel()
        await self._tell(wanted.logger, wanted.level)
        logger.warning(
            "a log level holds for a while",
            extra={
                "event": "log_level_set",
                "of": wanted.logger,
                "new_level": wanted.level,
                "ttl_s": wanted.ttl_s,
            },
        )
        self._resets[wanted.logger] = asyncio.create_task(self._reset(wanted))

    async def close(self) -> None:
        """Forget what is to be set back: the processes end."""
        for task in self._resets.values():
            task.cancel()
        await asyncio.gather(*self._resets.values(), return_exceptions=True)

    async def _reset(self, wanted: LogLevel) -> None:
        await asyncio.sleep(wanted.ttl_s)
        del self._resets[wanted.logger]
        await self._tell(wanted.logger, None)
