"""Whether requests may be sent to a process (spec/observability.md, 7)."""

import asyncio
from collections.abc import Mapping

import pytest

from server.health import Health, Readiness, worst_of


def answering(**checks: str) -> Readiness:
    async def check() -> Mapping[str, str]:
        return checks

    return check


async def test_a_process_is_ready_if_all_its_parts_are() -> None:
    """Of each check the first part that fails it is shown."""
    good = answering(shards="2/2", queue="ok")
    parts = (
        ([good, good], True, {"shards": "2/2", "queue": "ok"}),
        (
            [good, answering(shards="1/2", queue="ok"), good],
            False,
            {"shards": "1/2", "queue": "ok"},
        ),
        (
            [answering(queue="ok"), answering(queue="full"), answering(queue="fuller")],
            False,
            {"queue": "full"},
        ),
    )
    for readiness, is_ready, checks in parts:
        health = Health(worst_of(readiness), lambda: 1, 0)
        status = "ready" if is_ready else "not_ready"
        assert await health.ready() == (is_ready, {"status": status, "checks": checks})


async def test_however_many_ask_the_parts_are_asked_once_in_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0
    may_answer = asyncio.Event()

    async def check() -> Mapping[str, str]:
        nonlocal asked
        asked += 1
        await may_answer.wait()
        return {"queue": "ok" if asked == 1 else "full"}

    monkeypatch.setattr("server.health.KEPT_S", 0.0)
    health = Health(check, lambda: 1, 0)
    gone = asyncio.ensure_future(health.ready())
    others = [asyncio.ensure_future(health.ready()) for _ in range(100)]
    await asyncio.sleep(0)
    gone.cancel()
    may_answer.set()
    assert [is_ready for is_ready, _ in await asyncio.gather(*others)] == [True] * 100
    assert asked == 1
    async with asyncio.timeout(10):
        while (await health.ready())[0]:  # noqa: ASYNC110  # until what was kept is forgotten
            await asyncio.sleep(0)
    assert asked == 2
