"""The command that runs a deployment with faults: what it plans, does, and notices."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import aiohttp
import msgspec
import pytest
from click.testing import CliRunner

from actors import remote
from actors.clock import ManualClock
from config.audience_catalog import audience_catalog
from config.load import load_workspaces
from config.numbers import KeptNumbers, assign_all
from load_tests.__main__ import main
from load_tests.faults.campaign import Check, Report
from load_tests.faults.checks import Checker, Found, summed
from load_tests.faults.clients import ATTEMPTS_S, FULL, Clients
from load_tests.faults.document import HOOKS, THRESHOLDS, audience_id, workspace_document
from load_tests.faults.kept import SHARD_TIMEOUT_S
from load_tests.faults.plan import (
    CONTROL_PATIENCE_S,
    JUMPS_S,
    OUTPUT_MODES,
    ROLES,
    ROOTS,
    Fault,
    deaths_of,
    plan_of,
)
from load_tests.faults.receivers import EventLog, FaultyReceiver, MemberLog
from load_tests.faults.record import Record, Sent, first_seen, out_of_order
from load_tests.faults.runs import FaultsOptions, RunResult
from load_tests.faults.totals import Totals, members
from load_tests.faults.wall_clock import WallClock
from load_tests.faults.watch import USERS, Watch
from load_tests.reader import Queued, Reader
from load_tests.scenarios.faults import again_of, disk_left_out, line_of, report_of

OPTIONS = FaultsOptions(seed=1, runs=3, seconds=1.2, patience_s=0.5, renew=250, has_disk=False)
FIRST_SEED, RUNS = 2196, 6
MPID = 77
BATCHES = 3


def test_a_seed_gives_the_same_faults_again_and_another_others() -> None:
    plans = [plan_of(seed, 3.0, has_disk=True) for seed in range(300)]
    assert plans == [plan_of(seed, 3.0, has_disk=True) for seed in range(300)]
    assert len({msgspec.json.encode(plan) for plan in plans}) == 300
    for plan in plans:
        times = [fault.at_s for fault in plan]
        assert times == sorted(times)
        assert all(0 <= each <= 3.0 for each in times)


def test_every_kind_of_fault_befalls_everybody() -> None:
    plans = [plan_of(seed, 3.0, has_disk=True) for seed in range(1000)]
    seen = {(fault.kind, fault.target) for plan in plans for fault in plan}
    assert seen >= {("kill", each) for each in (*ROLES, *ROOTS)}
    assert seen >= {("restart", each) for each in ROLES}
    assert seen >= {("stop", each) for each in (*ROLES, "raylet", "gcs_server", "driver")}
    assert seen >= {("output", each) for each in OUTPUT_MODES}
    assert seen >= {("clock", f"{each:+d}") for each in JUMPS_S}
    assert seen >= {("restart", "deployment"), ("disk", "full"), ("freeze", "Shard")}
    frozen = [fault.seconds for plan in plans for fault in plan if fault.kind == "freeze"]
    assert min(ATTEMPTS_S) < SHARD_TIMEOUT_S < 2 * SHARD_TIMEOUT_S < min(frozen)
    assert max(frozen) < max(ATTEMPTS_S)
    assert not any(f.kind == "disk" for n in range(100) for f in plan_of(n, 3.0, has_disk=False))


def test_everybody_dies_while_slots_move() -> None:
    plans = [deaths_of(seed, 3.0) for seed in range(300)]
    assert plans == [deaths_of(seed, 3.0) for seed in range(300)]
    victims = [fault.target for plan in plans for fault in plan]
    assert set(victims) == {*ROLES, "driver", "everything"}
    assert victims.count("Shard") > len(victims) / 3
    assert {fault.kind for plan in plans for fault in plan} == {"kill"}


def test_the_document_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "workspace.yaml"
    urls = dict.fromkeys(HOOKS, "http://127.0.0.1:9001/in")
    file.write_bytes(msgspec.json.encode(workspace_document(urls, "http://127.0.0.1:9002/in")))
    [document] = load_workspaces([file], {})
    _, [numbers] = assign_all([document], KeptNumbers())
    assert len(audience_catalog(document, numbers).audiences) == len(THRESHOLDS)
    assert len(document.connections) == len(HOOKS)


def test_only_what_was_sent_after_an_acknowledgement_has_to_come_later() -> None:
    """spec/events-api.md, 5.2."""
    record = Record(1)
    first, second = record.begin(0, 0.0), record.begin(0, 0.0)  # under way at once
    record.acknowledge(second, 1.0)
    record.acknowledge(first, 1.0)
    third = record.begin(0, 2.0)
    record.acknowledge(third, 3.0)
    assert out_of_order([first, second, third]) == out_of_order([second, first, third]) == 0
    assert out_of_order([first, third, second]) == 1
    assert out_of_order([third, first, second]) == 1
    record.acknowledge(third, 9.0)
    assert (record.repeats, record.longest_wait_s, record.acknowledged) == (1, 1.0, 3)
    assert first_seen([3, 1, 3, 2, 1]) == [3, 1, 2]


def event(number: int, event_id: int) -> dict[str, Any]:
    return {"data": {"source_message_id": f"t-{number}", "event_id": event_id}}


def body(*events: dict[str, Any], mpid: int = MPID) -> bytes:
    return msgspec.json.encode({"mpid": mpid, "batch_id": 1, "events": list(events)})


def change(audience: str, action: str) -> bytes:
    return msgspec.json.encode(
        {
            "type": "audience_membership_change",
            "audience": {"id": 1, "name": audience, "external_name": audience},
            "changes": [{"mpid": MPID, "action": action, "identities": {}}],
        }
    )


async def test_a_receiver_misbehaves_in_every_mode_and_gets_well() -> None:
    taken: list[bytes] = []
    receiver = FaultyReceiver(taken.append)
    await receiver.start()
    timeout, anew = aiohttp.ClientTimeout(total=0.3), aiohttp.TCPConnector(force_close=True)
    try:
        async with aiohttp.ClientSession(timeout=timeout, connector=anew) as session:
            for mode in OUTPUT_MODES:
                await receiver.turn(mode)
                try:
                    async with session.post(receiver.url, data=mode) as answer:
                        assert (mode, answer.status) == ("error", 503)
                except (aiohttp.ClientError, TimeoutError):
                    assert mode != "error"
                await receiver.turn("well")
                async with session.post(receiver.url, data=f"{mode}, well") as answer:
                    assert answer.status == 200
    finally:
        await receiver.stop()
    never = {b"refuse", b"error"}
    expected = {each.encode() for each in OUTPUT_MODES} - never
    assert {each for each in taken if b"," not in each} == expected
    assert sum(b", well" in each for each in taken) == len(OUTPUT_MODES)


class FakeReader:
    """What a deployment shows that has applied `BATCHES` batches, and what is told to be wrong."""

    def __init__(self) -> None:
        self.mpids = [MPID]
        self.stored = list(range(BATCHES))
        self.attributes = {"pings": str(BATCHES), "weight": "6", "last": f"t-{BATCHES - 1}"}
        self.audiences = {audience_id(least) for least in (1, 2, 3)}
        self.listed = {("customerid", "t-u0"), ("device_application_stamp", "d"), ("email", "e")}
        self.held = [MPID]
        self.sizes: dict[str, int | None] = {audience_id(each): 0 for each in THRESHOLDS}
        self.sizes |= dict.fromkeys(self.audiences, 1)
        names = (*HOOKS, *map(audience_id, THRESHOLDS))
        self.kept = {(shard, name): Queued(0, 0) for shard in ("0", "1") for name in names}

    async def find(self, identity: str) -> list[int]:
        return self.mpids

    async def message_ids(self, mpid: int, since_ms: int) -> Any:
        for number in reversed(self.stored):
            yield f"t-{number}"

    async def profile(self, mpid: int, fields: str) -> dict[str, Any]:
        memberships = [{"audience_name": name} for name in self.audiences]
        return {"user_attributes": self.attributes, "audience_memberships": memberships}

    async def identities(self, mpid: int) -> set[tuple[str, str]]:
        return self.listed

    async def holders(self, identity_type: str, value: str) -> list[int]:
        return self.held

    async def audience_sizes(self) -> dict[str, int | None]:
        return self.sizes

    async def queues(self) -> dict[tuple[str, str], Queued]:
        return self.kept


def checked(spoil: Any = lambda *_: None) -> Found:
    """Check three acknowledged batches, each after the other, once something is spoilt."""
    record, reader = Record(1), FakeReader()
    record.token = "t"  # as the reader has it
    for _ in range(BATCHES):
        record.acknowledge(record.begin(0, 0.0), 1.0)
    record.mpids, record.devices, record.emails = {0: {MPID}}, {0: {"d"}}, {0: {"e"}}
    log, members = EventLog(), MemberLog()
    for number in range(BATCHES):
        log.take(body(event(number, number)))
        members.take(change(audience_id(number + 1), "add"))
    spoil(reader, log, members)
    checker = Checker(record, cast(Reader, reader), {"hook": log}, members)
    totals = Totals([record], cast(Reader, reader), cast(Reader, reader))

    async def check() -> Found:
        return summed([await checker.run(patience_s=0.0), await totals.check(patience_s=0.0)])

    return asyncio.run(check())


def test_nothing_is_wrong_with_what_was_applied_once() -> None:
    found = checked(lambda _, log, __: log.take(body(event(0, 0))))  # sent again, as it may be
    assert found.is_clean, found.details


def _lacks_audience(reader: FakeReader, log: EventLog, members: MemberLog) -> None:
    reader.audiences.discard(audience_id(3))


def _reordered(reader: FakeReader, log: EventLog, members: MemberLog) -> None:
    log.arrivals[MPID].reverse()


def _lost_in_output(reader: FakeReader, log: EventLog, members: MemberLog) -> None:
    log.arrivals[MPID].remove("t-1")


def _told_of_two_users(reader: FakeReader, log: EventLog, members: MemberLog) -> None:
    log.take(body(event(1, 1), mpid=MPID + 1))


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        pytest.param("lost", lambda r, *_: r.stored.remove(1), id="not in the log"),
        pytest.param("lost", _lost_in_output, id="not in an output"),
        pytest.param("lost", lambda r, *_: r.attributes.update(pings="2"), id="not counted"),
        pytest.param("lost", lambda r, *_: r.attributes.update(weight="5"), id="not summed"),
        pytest.param("lost", _lacks_audience, id="not in an audience"),
        pytest.param(
            "lost", lambda _, __, m: m.take(change(audience_id(2), "delete")), id="not told of"
        ),
        pytest.param("doubled", lambda r, *_: r.stored.append(1), id="twice in the log"),
        pytest.param("doubled", lambda r, *_: r.attributes.update(pings="4"), id="counted twice"),
        pytest.param("doubled", lambda r, *_: r.audiences.add(audience_id(4)), id="in too many"),
        pytest.param(
            "doubled", lambda _, log, __: log.take(body(event(1, 9))), id="under two event ids"
        ),
        pytest.param("disordered", lambda r, *_: r.stored.reverse(), id="log out of order"),
        pytest.param("doubled", _told_of_two_users, id="under two users"),
        pytest.param(
            "disordered", lambda r, *_: r.attributes.update(last="t-0"), id="profile out of order"
        ),
        pytest.param("disordered", _reordered, id="output out of order"),
        pytest.param("identities", lambda r, *_: r.mpids.append(78), id="V1"),
        pytest.param(
            "identities", lambda r, *_: r.listed.remove(("device_application_stamp", "d")), id="V9"
        ),
        pytest.param(
            "identities", lambda r, *_: r.listed.remove(("email", "e")), id="V9 of an address"
        ),
        pytest.param("identities", lambda r, *_: r.held.clear(), id="V10"),
        pytest.param(
            "lost", lambda r, *_: r.sizes.update({audience_id(3): 0}), id="audience too small"
        ),
        pytest.param(
            "doubled", lambda r, *_: r.sizes.update({audience_id(3): 2}), id="audience too large"
        ),
        pytest.param(
            "doubled", lambda r, *_: r.sizes.update({audience_id(4): 1}), id="audience not empty"
        ),
        pytest.param("lost", lambda r, *_: r.sizes.pop(audience_id(40)), id="no such audience"),
        pytest.param(
            "lost", lambda r, *_: r.sizes.update({audience_id(40): None}), id="audience of no size"
        ),
        pytest.param(
            "left", lambda r, *_: r.kept.update({("1", HOOKS[0]): Queued(2, 0)}), id="it waits"
        ),
        pytest.param(
            "left", lambda r, *_: r.kept.update({("0", audience_id(1)): Queued(0, 1)}), id="dead"
        ),
        pytest.param("left", lambda r, *_: r.kept.popitem(), id="a queue is not shown"),
    ],
)
def test_what_is_wrong_is_noticed(kind: str, spoil: Any) -> None:
    found = checked(spoil)
    assert getattr(found, kind) > 0, found.details
    assert not found.is_clean


def test_an_audience_has_the_users_of_all_runs() -> None:
    first, second = Record(1), Record(2)
    for record, user in ((first, 0), (first, 0), (first, 1), (second, 0)):
        record.begin(user, 0.0)
    sizes = members([first, second])
    assert [sizes[audience_id(least)] for least in (1, 2, 3)] == [3, 1, 0]


class FakeClients:
    """Whose batches are acknowledged at first, and then refused."""

    def __init__(self, record: Record, reason: str) -> None:
        self._record = record
        self._reason = reason

    async def insist(self, one: Sent) -> None:
        self._record.acknowledge(one, 1.0)

    async def try_once(self, one: Sent) -> str | None:
        if len(self._record.of_user(one.user)) < BATCHES + 1:
            await self.insist(one)
            return None
        return self._reason


@pytest.mark.parametrize(
    ("spoilt", "reason", "is_noticed"),
    [
        pytest.param({}, FULL, False, id="nothing"),
        pytest.param({"pings": "4"}, FULL, True, id="counted"),
        pytest.param({"last": "t-99"}, FULL, True, id="in the profile"),
        pytest.param({"pings": "4"}, "not reached", False, id="what may have been applied"),
    ],
)
def test_what_was_not_stored_and_shows_is_noticed(
    spoilt: dict[str, str], reason: str, is_noticed: bool
) -> None:
    record = Record(1)
    watch = Watch(cast(Clients, FakeClients(record, reason)), record, ManualClock())

    class OfEach(FakeReader):
        """Shows each user with what was acknowledged, but for what is spoilt."""

        async def find(self, identity: str) -> list[int]:
            return [int(identity.rpartition("-u")[2])]

        async def profile(self, mpid: int, fields: str) -> dict[str, Any]:
            last = [one for one in record.of_user(mpid) if one.acknowledged is not None][-1]
            self.attributes = {"pings": "3", "last": record.message_id(last.number), **spoilt}
            return await super().profile(mpid, fields)

    async def look() -> None:
        await watch.begin(cast(Reader, OfEach()))
        await watch.look()
        await watch.end()

    asyncio.run(look())
    assert watch.found.unstored == len(USERS) * is_noticed, watch.found.details
    assert record.acknowledged == len(record.sent)


def result(seed: int, **changes: Any) -> RunResult:
    given: dict[str, Any] = {
        "faults": [Fault(at_s=1.0, kind="kill", target="Shard")],
        "acknowledged": 10,
        "repeats": 1,
        "longest_wait_s": 2.5,
        "first_s": 0.01,
        "before_s": 0.01,
        "after_s": 0.01,
        "found": Found(details=[]),
    }
    return RunResult(seed=seed, **(given | changes))


def test_a_report_names_the_seeds_that_went_wrong_and_counts_by_fault() -> None:
    lost = Found(details=[])
    lost.add("lost", 2, "two batches")
    away = Fault(at_s=0.5, kind="stop", target="Edge")
    both = [*result(3).faults, away]
    runs = [result(1), result(2, found=lost), result(3, after_s=1.0, faults=both, missed=[away])]
    report = report_of(OPTIONS, runs, [])
    assert (report.wrong, report.acknowledged, report.found.lost) == ([2, 3], 30, 2)
    assert not report.is_right
    [killed] = report.faults
    assert (killed.fault, killed.runs, killed.wrong, killed.missed) == ("kill:Shard", 3, 2, 0)
    assert summed([lost, lost]).details == ["lost 2: two batches"] * 2
    line, detail = line_of(runs[1]).splitlines()
    assert "seed 2 WRONG acknowledged 10 lost 2" in line
    assert line.endswith("kill:Shard@1.0")
    full = result(4, refused={"not stored": 3, "not reached": 1})
    assert " refused 4, 1 not reached, 3 not stored, " in line_of(full)
    assert detail == "  lost 2: two batches"
    assert "seed 1 ok" in line_of(runs[0])


def _stopped(target: str, seconds: float) -> Fault:
    return Fault(at_s=1.0, kind="stop", target=target, seconds=seconds)


@pytest.mark.parametrize(
    ("fault", "is_explained"),
    [
        (Fault(at_s=1.0, kind="kill", target="raylet"), True),
        (Fault(at_s=1.0, kind="kill", target="everything"), True),
        (Fault(at_s=1.0, kind="restart", target="deployment"), True),
        (_stopped("gcs_server", CONTROL_PATIENCE_S + 1), True),
        (_stopped("gcs_server", CONTROL_PATIENCE_S - 1), False),
        (_stopped("driver", CONTROL_PATIENCE_S + 1), False),
        (Fault(at_s=1.0, kind="kill", target="Coordinator"), False),
        (Fault(at_s=1.0, kind="disk", target="full"), False),
    ],
    ids=str,
)
def test_a_deployment_that_ends_by_itself_is_wrong(fault: Fault, is_explained: bool) -> None:
    ended = result(2, starts=1, faults=[fault])
    missed = result(3, starts=1, faults=[fault], missed=[fault])
    runs = [result(1, faults=[fault]), ended, missed]
    wrong = [3] if is_explained else [2, 3]
    assert (report_of(OPTIONS, runs, []).wrong, report_of(OPTIONS, runs, []).ended) == (
        wrong,
        wrong,
    )
    assert line_of(missed).splitlines()[1:] == ["  the deployment ended by itself"]


def test_a_stop_is_as_long_for_the_runs_as_for_a_deployment() -> None:
    assert CONTROL_PATIENCE_S == remote.CONTROL_PATIENCE_S


@pytest.mark.parametrize(
    ("first_s", "before_s", "after_s", "is_right"),
    [
        (0.01, 0.01, 0.079, True),
        (0.01, 0.01, 0.081, False),
        (0.01, 0.079, 0.081, False),  # slower from run to run
        (0.079, 0.01, 0.081, False),
    ],
)
def test_a_run_is_as_fast_as_before_it_and_before_all_runs(
    first_s: float, before_s: float, after_s: float, is_right: bool
) -> None:
    run = result(1, first_s=first_s, before_s=before_s, after_s=after_s)
    assert run.is_right == is_right
    assert f"(at first {first_s * 1000:.0f} ms)" in line_of(run)


def test_a_run_is_made_again_with_all_that_it_depends_on() -> None:
    options = msgspec.structs.replace(OPTIONS, has_disk=True, seconds=1.2345678, patience_s=7.5)
    again = "--seed 9 --runs 1 --seconds 1.2345678 --patience-s 7.5 --disk"
    assert again_of(result(9), options) == again
    moving = msgspec.structs.replace(OPTIONS, has_moves=True)
    assert again_of(result(9), moving).endswith("--patience-s 0.5 --moves")


def test_it_is_said_why_no_disk_is_filled() -> None:
    filling = msgspec.structs.replace(OPTIONS, has_disk=True)
    assert disk_left_out(filling, is_root=True) is None
    assert "needs root" in (disk_left_out(filling, is_root=False) or "")
    assert "--disk is not given" in (disk_left_out(OPTIONS, is_root=True) or "")
    moving = msgspec.structs.replace(filling, has_moves=True)
    assert "--moves" in (disk_left_out(moving, is_root=True) or "")


def test_what_is_wrong_only_at_the_end_of_a_deployment_counts() -> None:
    late = Check(seeds=[1, 2], found=Found(orphans=1, details=["orphans 1: ray::Shard"]))
    report = report_of(OPTIONS, [result(1), result(2)], [late])
    assert (report.wrong, report.found.orphans, report.is_right) == ([], 1, False)


def test_a_report_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "report.jsonl"
    report = Report(file, OPTIONS)
    assert report.left() == [1, 2, 3]
    report.add(result(2))
    report.add(Check(seeds=[2], found=Found(details=[])))
    again = Report(file, OPTIONS)
    assert (again.left(), [each.seed for each in again.runs]) == ([1, 3], [2])
    assert [each.seeds for each in again.checks] == [[2]]
    for other in ({"has_disk": True}, {"has_moves": True}):
        others = msgspec.structs.replace(OPTIONS, **other)
        assert Report(file, others).left() == [1, 2, 3]  # their faults are others
    file.write_text("no result\n")
    with pytest.raises(ValueError, match="line 1"):
        Report(file, OPTIONS)


@pytest.mark.ray
def test_nothing_is_lost_or_doubled_by_runs_with_faults(tmp_path: Path) -> None:
    """A part of what `--runs 1000` does; among it kills of an edge, a shard and everything."""
    seeds = range(FIRST_SEED, FIRST_SEED + RUNS)
    planned = {each.name for seed in seeds for each in plan_of(seed, 1.2, has_disk=False)}
    assert planned >= {"kill:Edge", "kill:Shard", "kill:everything", "stop:Shard"}
    results = tmp_path / "results.json"
    flags = ["faults", "--runs", str(RUNS), "--seed", str(FIRST_SEED), "--json", str(results)]
    ended = CliRunner().invoke(main, [*flags, "--keep", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    report = msgspec.json.decode(results.read_bytes())
    assert [each["seed"] for each in report["runs"]] == list(seeds)
    assert [each["seeds"] for each in report["checks"]] == [list(seeds)]
    assert all(each["acknowledged"] > 0 for each in report["runs"])


@pytest.mark.ray
def test_nothing_is_lost_or_doubled_by_deaths_while_slots_move(tmp_path: Path) -> None:
    """A shard, the coordinator and the process at the top die in moves under load.

    With more runs, by `HEADWATER_MOVE_RUNS`, everybody does, at as many points as are wanted.
    """
    seed, runs = 20, os.environ.get("HEADWATER_MOVE_RUNS", "3")
    deaths = {each.target for number in range(3) for each in deaths_of(seed + number, 3.0)}
    assert deaths == {"Shard", "Coordinator", "driver"}
    results = tmp_path / "results.json"
    flags = ["faults", "--moves", "--runs", runs, "--seed", str(seed), "--seconds", "3"]
    ended = CliRunner().invoke(main, [*flags, "--json", str(results), "--keep", str(tmp_path)])
    assert ended.exit_code == 0, ended.output
    report = msgspec.json.decode(results.read_bytes())
    assert report["acknowledged"] > 0
    assert sum(run["passes"] for run in report["runs"]) > 0


def test_the_clock_of_another_process_jumps_and_comes_back(tmp_path: Path) -> None:
    """What only goes forward does not jump with it."""
    clock = WallClock(tmp_path / "clock")
    program = (
        "import sys, time\n"
        "for _ in sys.stdin: print(time.time(), time.time_ns(), time.monotonic(), flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **clock.environ()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for jump in (0, 3600, -60, 0):
            clock.jump(jump)
            process.stdin.write("now\n")
            process.stdin.flush()
            seconds, nanoseconds, monotonic = process.stdout.readline().split()
            assert float(seconds) == pytest.approx(time.time() + jump, abs=30)
            assert int(nanoseconds) / 1e9 == pytest.approx(time.time() + jump, abs=30)
            assert float(monotonic) == pytest.approx(time.monotonic(), abs=30)
        process.stdin.close()
