"""What the status page says, by the metrics (spec/observability.md, 7)."""

import pytest

from actors.metric_groups import AdminMetrics, EdgeMetrics, ForwarderMetrics
from actors.metric_snapshots import snapshot
from server.components import NOTHING_YET, Condition, Look, State, condition, look
from server.status_board import StatusBoard, as_page


class Processes:
    """The metrics of a small deployment."""

    def __init__(self) -> None:
        self.edge = EdgeMetrics("1.0")
        self.forwarder = ForwarderMetrics("1.0")
        self.admin = AdminMetrics("1.0")
        for role in ("edge", "shard", "coordinator", "forwarder"):
            self.up(role, True)

    def up(self, role: str, is_up: bool, instance: str = "0") -> None:
        self.admin.actor_up.labels(role, instance).set(is_up)

    def answer(self, api: str, status: int, times: int, seconds: float = 0.01) -> None:
        for _ in range(times):
            self.edge.count_request(api, "POST", status, seconds, 10)

    async def snapshots(self) -> dict[tuple[str, str], bytes]:
        return {
            ("edge", "0"): snapshot(self.edge.registry),
            ("forwarder", "hook"): snapshot(self.forwarder.registry),
            ("admin", "0"): snapshot(self.admin.registry),
        }


async def shown(processes: Processes) -> Condition:
    return condition(NOTHING_YET, look(await processes.snapshots()))


def states(found: Condition) -> dict[str, State]:
    return {each.name: each.state for each in found.components}


async def test_all_parts_are_listed_and_work() -> None:
    found = states(await shown(Processes()))
    assert set(found.values()) == {"operational"}
    assert list(found) == [
        "dashboard",
        "ingestion",
        "identity",
        "profile",
        "platform API",
        "forwarding",
        "audience",
        "rules",
    ]


@pytest.mark.parametrize(
    ("failed", "state"), [(0, "operational"), (1, "operational"), (2, "degraded"), (51, "down")]
)
async def test_failures_of_ours_count_by_their_share(failed: int, state: State) -> None:
    processes = Processes()
    processes.answer("events", 202, 100 - failed)
    processes.answer("events", 503, failed)
    found = states(await shown(processes))
    assert found["ingestion"] == state
    assert found["profile"] == "operational"


async def test_refusals_are_no_failures() -> None:
    processes = Processes()
    processes.answer("events", 400, 100)
    assert states(await shown(processes))["ingestion"] == "operational"


async def test_only_what_came_since_the_last_look_counts() -> None:
    processes = Processes()
    processes.answer("identity", 500, 100)
    before = look(await processes.snapshots())
    processes.answer("identity", 200, 100)
    now = look(await processes.snapshots())
    assert states(condition(before, now))["identity"] == "operational"
    assert states(condition(NOTHING_YET, now))["identity"] == "degraded"


async def test_a_counter_that_began_anew_counts_as_it_is() -> None:
    before = Processes()
    before.answer("events", 202, 1000)
    now = Processes()
    now.answer("events", 503, 10)
    looks = [look(await each.snapshots()) for each in (before, now)]
    assert states(condition(*looks))["ingestion"] == "down"


async def test_an_edge_that_began_anew_does_not_bring_back_what_others_had_counted() -> None:
    """All the failures are from before the look, and another edge has them."""
    failed, restarted = Processes(), Processes()
    failed.answer("events", 503, 100)
    restarted.answer("events", 202, 10)
    restarted.answer("events", 503, 10)

    async def looked(*edges: Processes) -> Look:
        each = {
            ("edge", str(number)): snapshot(it.edge.registry) for number, it in enumerate(edges)
        }
        return look(await edges[0].snapshots() | each)

    before = await looked(failed, restarted)
    failed.answer("events", 202, 10)
    anew = Processes()
    anew.answer("events", 202, 10)
    assert states(condition(before, await looked(failed, anew)))["ingestion"] == "operational"


@pytest.mark.parametrize(
    ("role", "down", "degraded"),
    [
        ("shard", {"ingestion", "identity", "profile", "forwarding", "audience", "rules"}, set()),
        ("edge", {"ingestion", "identity", "profile", "platform API"}, set()),
        ("coordinator", {"identity"}, {"ingestion"}),
        ("forwarder", {"forwarding"}, set()),
    ],
)
async def test_a_role_that_is_gone_takes_what_needs_it(
    role: str, down: set[str], degraded: set[str]
) -> None:
    processes = Processes()
    processes.up(role, False)
    found = states(await shown(processes))
    assert {name for name, state in found.items() if state == "down"} >= down
    assert {name for name, state in found.items() if state == "degraded"} == degraded


async def test_one_of_two_shards_degrades() -> None:
    processes = Processes()
    processes.up("shard", False, "1")
    found = states(await shown(processes))
    assert (found["ingestion"], found["forwarding"]) == ("degraded", "degraded")


async def test_a_faulted_connection_degrades_forwarding() -> None:
    processes = Processes()
    processes.forwarder.connection_status.labels("web-hook").set(2)
    assert states(await shown(processes))["forwarding"] == "degraded"


async def test_latency_is_the_mean_of_each_api() -> None:
    processes = Processes()
    processes.answer("events", 202, 3, seconds=0.02)
    processes.answer("profile", 200, 1, seconds=0.004)
    found = await shown(processes)
    assert found.latency_ms == {"events": 20.0, "profile": 4.0}
    assert "<td>events</td><td>20.0 ms</td>" in as_page(found)


async def test_the_board_compares_with_the_look_before_the_last() -> None:
    processes = Processes()
    board = StatusBoard(processes.snapshots)
    processes.answer("events", 503, 10)
    assert states(await board.condition())["ingestion"] == "down"
    await board.tick()
    assert states(await board.condition())["ingestion"] == "down"
    await board.tick()
    assert states(await board.condition())["ingestion"] == "operational"
