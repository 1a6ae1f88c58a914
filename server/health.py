"""Whether a process lives, has started and may be sent requests (spec/observability.md, 7)."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from actors.errors import ShardUnavailable
from server.version import program_commit, program_version

OK = "ok"
KEPT_S = 0.1  # answers of readiness
_VERSION = program_version()  # looks into files: not while requests wait
_SHARE = re.compile(r"(\d+)/(\d+)")  # such as "15/16" shards

Readiness = Callable[[], Awaitable[Mapping[str, str]]]


class Health:
    """What the health routes of one process answer.

    `is_draining` is set when the process has been asked to stop: it still serves, but is no longer
    ready.
    """

    def __init__(self, readiness: Readiness, revision: Callable[[], int], started_ms: int) -> None:
        """Args: `readiness` as `Deployment.readiness`; `revision` of the configuration in use."""
        self.is_draining = False
        self._readiness = readiness
        self._revision = revision
        self._started_ms = started_ms
        self._has_recovered = False
        self._checking: asyncio.Future[dict[str, str]] | None = None

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Return whether requests may be sent here, and the body that says why not."""
        checks = await self._checks()
        if self.is_draining:
            checks["process"] = "draining"
        is_ready = all(map(_passes, checks.values()))
        return is_ready, {"status": "ready" if is_ready else "not_ready", "checks": checks}

    async def started(self) -> tuple[bool, dict[str, Any]]:
        """Return whether every shard has recovered once; a later restart does not undo it."""
        if not self._has_recovered:
            checks = await self._checks()
            shards = checks.get("shards", OK)
            if not _passes(shards) or not _passes(checks.get("process", OK)):
                share = _SHARE.fullmatch(shards)
                counts = (int(share[1]), int(share[2])) if share else (0, None)
                return False, {"recovered_shards": counts[0], "of": counts[1]}
            self._has_recovered = True
        return True, {"status": "started"}

    def version(self) -> dict[str, Any]:
        """Return what runs, since when, and with which configuration."""
        started = datetime.fromtimestamp(self._started_ms / 1000, UTC)
        return {
            "version": _VERSION,
            "commit": program_commit(),
            "started_on": started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "config_revision": self._revision(),
        }

    async def _checks(self) -> dict[str, str]:
        """Return the answers of a moment ago, or new ones: however many ask, shards are asked once.

        They do one thing after the other, and anybody may ask.
        """
        if self._checking is None:
            self._checking = asyncio.ensure_future(self._check())
            self._checking.add_done_callback(self._keep_a_moment)
        return dict(await asyncio.shield(self._checking))

    def _keep_a_moment(self, checking: asyncio.Future[dict[str, str]]) -> None:
        def forget() -> None:
            self._checking = None

        if checking.cancelled() or checking.exception() is not None:
            forget()
        else:
            asyncio.get_running_loop().call_later(KEPT_S, forget)

    async def _check(self) -> dict[str, str]:
        try:
            return dict(await self._readiness())
        except ShardUnavailable:
            return {"shards": "no answer"}


HEALTH = web.AppKey("health", Health)


def worst_of(parts: Sequence[Readiness]) -> Readiness:
    """Return a check of several parts: of each name the first answer that does not pass."""

    async def check() -> dict[str, str]:
        worst: dict[str, str] = {}
        for answers in await asyncio.gather(*(part() for part in parts)):
            for name, answer in answers.items():
                if name not in worst or _passes(worst[name]):
                    worst[name] = answer
        return worst

    return check


def _passes(check: str) -> bool:
    share = _SHARE.fullmatch(check)
    return check == OK if share is None else share[1] == share[2]
