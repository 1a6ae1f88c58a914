"""Whether requests may be sent to a process (spec/observability.md, 7)."""

from collections.abc import Mapping

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
