"""Output `file`. Cases: spec/connections.md."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import zstandard
from pydantic import ValidationError

from actors.clock import ManualClock
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Retry
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.file import MODULE, FileOutput, file_name, folder_name
from actors.outputs.file_settings import FileSettings
from actors.outputs.file_storage import Finished, LocalStorage
from actors.outputs.storage_kinds import check_options, check_url, storage_hosts
from tests.actors.forwarding.support import MemoryOutbox, Simulation, change, delivery, until

NOW_MS = ManualClock().now_ms()  # 2026-01-01T00:00:00Z
DAY_MS = 86_400_000


def open_output(tmp_path: Path, **changes: Any) -> FileOutput:
    url = changes.pop("url", f"file://{tmp_path}/lake")
    settings = FileSettings.model_validate({"url": url, **changes})
    surroundings = OutputEnvironment("lake", ManualClock(), EgressRules(), tmp_path / "spool")
    return FileOutput(settings, surroundings)


async def write(output: FileOutput, *deliveries: Delivery, input_id: str = "web") -> None:
    """Put deliveries of one group into one file."""
    await output.start()
    bundle = output.open_bundle(input_id, output.group(deliveries[0]), deliveries[0])
    assert await bundle.add(deliveries) == len(deliveries)
    assert await bundle.send() == Delivered()


def published(tmp_path: Path) -> list[str]:
    """Files under their final names; listed once, since others may rename at this moment."""
    return [name for name in files(tmp_path) if not Path(name).name.startswith(".")]


def files(tmp_path: Path) -> list[str]:
    root = tmp_path / "lake"
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path.parts[0] != "_manifest")


def manifest(tmp_path: Path) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for path in sorted((tmp_path / "lake/_manifest").glob("*.ndjson")):
        lines += [json.loads(line) for line in path.read_bytes().splitlines()]
    return lines


PURCHASE: dict[str, Any] = {
    "event_type": "commerce_event",
    "data": {
        "event_id": -7,
        "timestamp_unixtime_ms": NOW_MS + 3_723_000,
        "custom_event_type": "purchase",
        "product_action": {"action": "purchase", "total_amount": 12.5},
        "custom_attributes": {"plan": "gold", "note": None},
        "location": {"latitude": 1.5, "longitude": 2},
    },
}
VIEW: dict[str, Any] = {
    "event_type": "screen_view",
    "data": {"event_id": 8, "timestamp_unixtime_ms": NOW_MS, "screen_name": "Home, page"},
}


def rich(sequence: int = 1, *, events: list[dict[str, Any]] | None = None) -> Delivery:
    payload = {
        "environment": "development",
        "mpid": 42,
        "batch_id": 99,
        "source_info": {"channel": "server_to_server"},
        "user_identities": [{"identity_type": "customer_id", "identity": "c-1"}],
        "user_attributes": {"tier": "gold", "tags": ["a", "b"], "vip": None},
        "device_info": {"os_version": "17", "screen_width": 100, "is_tablet": True},
        "events": [PURCHASE, VIEW] if events is None else events,
    }
    return delivery(sequence, mpid=42, payload=json.dumps(payload).encode())


def test_a_file_is_named_after_its_first_delivery() -> None:
    one = delivery(1, created_ms=NOW_MS + 123, delivery_id="dl_000000000000000000000000000f4243")
    assert file_name("web", one, ".ndjson.gz") == "web_20260101000000123_00003.ndjson.gz"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Order Placed", "Order_Placed"),
        ("../../etc", "_.._etc"),
        ("...", "_"),
        ("", "_"),
        ("a/b\\c", "a_b_c"),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_name_cannot_leave_its_folder(name: str, folder: str) -> None:
    assert folder_name(name) == folder


@pytest.mark.parametrize(
    ("compression", "suffix", "read"),
    [
        pytest.param("none", ".ndjson", lambda raw: raw, id="none"),
        pytest.param("gzip", ".ndjson.gz", gzip.decompress, id="gzip"),
        pytest.param(
            "zstd",
            ".ndjson.zst",
            lambda raw: zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read(),
            id="zstd",
        ),
    ],
)
async def test_ndjson_has_one_batch_per_line(
    tmp_path: Path, compression: str, suffix: str, read: Callable[[bytes], bytes]
) -> None:
    sent = [delivery(n) for n in (1, 2, 3)]
    await write(open_output(tmp_path, compression=compression), *sent)
    [name] = files(tmp_path)
    assert name.endswith(suffix)
    content = (tmp_path / "lake" / name).read_bytes()
    assert read(content).splitlines() == [each.payload for each in sent]
    [line] = manifest(tmp_path)
    assert line == {
        "file": name,
        "rows": 3,
        "bytes": len(content),
        "min_ts": NOW_MS,
        "max_ts": NOW_MS,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


async def test_parquet_has_one_event_per_row(tmp_path: Path) -> None:
    output = open_output(tmp_path, format="parquet", compression="snappy")
    await write(output, rich(), rich(2, events=[]))
    [name] = files(tmp_path)
    assert name.endswith(".parquet")
    purchase, view, eventless = pyarrow.parquet.read_table(tmp_path / "lake" / name).to_pylist()
    assert purchase["mparticleuserid"] == 42
    assert purchase["customerid"] == "c-1"
    assert purchase["eventid"] == -7
    assert purchase["messagetypeid"] == 16
    assert purchase["eventtypeid"] == 16
    assert purchase["productactiontypeid"] == 7
    assert purchase["entrypointtype"] == 128
    assert (purchase["isdebug"], purchase["istablet"]) == (True, True)
    assert (purchase["latitude"], purchase["longitude"]) == (1.5, 2.0)
    assert purchase["eventdate"].isoformat() == "2026-01-01"
    assert purchase["eventhour"].isoformat() == "2026-01-01T01:00:00+00:00"
    assert dict(purchase["event_attributes"]) == {"plan": "gold", "note": None}
    assert dict(purchase["user_attributes"]) == {"tier": "gold", "tags": '["a","b"]', "vip": None}
    assert (view["eventname"], view["messagetypeid"]) == ("Home, page", 3)
    assert (eventless["batchid"], eventless["eventid"]) == (99, None)
    assert [line["rows"] for line in manifest(tmp_path)] == [3]


async def test_parquet_takes_whatever_clients_send(tmp_path: Path) -> None:
    strange: dict[str, Any] = {
        "event_type": "custom_event",
        "data": {
            "event_id": "123",
            "session_id": 2**70,
            "timestamp_unixtime_ms": 10**18,
            "custom_attributes": {"EventLength": "long"},
            "location": "nowhere",
            "is_first_run": "yes",
        },
    }
    await write(open_output(tmp_path, format="parquet"), rich(events=[strange]))
    [name] = files(tmp_path)
    [row] = pyarrow.parquet.read_table(tmp_path / "lake" / name).to_pylist()
    assert row["eventid"] == 123
    nothing = ("sessionid", "eventdate", "eventlength", "latitude", "isfirstrunevent")
    assert [row[column] for column in nothing] == [None] * 5


@pytest.mark.parametrize("kind", ["parquet", "csv"])
async def test_events_that_one_was_expanded_to_have_ids_of_their_own(
    tmp_path: Path, kind: str
) -> None:
    """spec/connections.md, 2.5 and 7.4: the id is a text there, and `eventid` a number."""
    items = [{**VIEW, "data": {**VIEW["data"], "event_id": f"7:{n}"}} for n in range(2)]
    await write(open_output(tmp_path, format=kind), rich(events=[*items, *items]))
    [name] = files(tmp_path)
    path = tmp_path / "lake" / name
    if kind == "parquet":
        rows = pyarrow.parquet.read_table(path).to_pylist()
    else:
        rows = list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
    first, second, *again = [int(each["eventid"]) for each in rows]
    assert first != second
    assert again == [first, second]


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_csv_has_a_header_and_json_for_maps(tmp_path: Path, compression: str) -> None:
    await write(open_output(tmp_path, format="csv", compression=compression), rich())
    [name] = files(tmp_path)
    raw = (tmp_path / "lake" / name).read_bytes()
    text = (gzip.decompress(raw) if compression == "gzip" else raw).decode()
    purchase, view = csv.DictReader(io.StringIO(text, newline=""))
    assert json.loads(purchase["event_attributes"]) == {"plan": "gold", "note": None}
    assert (purchase["isdebug"], purchase["mparticleuserid"]) == ("true", "42")
    assert (view["eventname"], view["event_attributes"]) == ("Home, page", "")


@pytest.mark.parametrize(
    ("mode", "first_event_ms", "folder"),
    [
        pytest.param("none", NOW_MS - DAY_MS, "", id="none"),
        pytest.param("event_time", NOW_MS - DAY_MS, "2025-12-31", id="event time"),
        pytest.param("event_time", 0, "", id="event time without events"),
        pytest.param("upload_time", NOW_MS - DAY_MS, "2026-01-01", id="receipt"),
        pytest.param("first_event_or_upload_time", 0, "2026-01-01", id="receipt without events"),
        pytest.param("first_event_or_upload_time", NOW_MS - DAY_MS, "2025-12-31", id="event first"),
        # Clients send such times, and no delivery may stop its output.
        pytest.param("event_time", 2**62, "", id="event time beyond the calendar"),
        pytest.param("first_event_or_upload_time", 2**62, "2026-01-01", id="receipt instead"),
        pytest.param("first_event_or_upload_time", -(2**62), "2026-01-01", id="long before"),
    ],
)
def test_days_have_their_folders(
    tmp_path: Path, mode: str, first_event_ms: int, folder: str
) -> None:
    output = open_output(tmp_path, folder_by_date=mode)
    assert output.group(delivery(1, first_event_ms=first_event_ms)) == folder


async def test_files_are_split_by_event_name_or_by_input(tmp_path: Path) -> None:
    output = open_output(tmp_path, split_by="event_name", folder_by_date="upload_time")
    assert output.group(rich(events=[VIEW])) == "Home__page/2026-01-01"
    assert output.group(rich(events=[PURCHASE])) == "commerce_event/2026-01-01"
    assert output.group(rich(events=[])) == "eventless/2026-01-01"
    await write(open_output(tmp_path, split_by="input"), delivery(1), input_id="ios")
    assert [name.partition("/")[0] for name in files(tmp_path)] == ["ios"]


@pytest.mark.parametrize(
    ("roll", "expected"),
    [
        pytest.param({"max_rows": 3}, [3, 3, 1], id="rows"),
        pytest.param({"max_bytes": 3 * (len(delivery(1).payload) + 1)}, [3, 3, 1], id="bytes"),
        pytest.param({"max_rows": 8}, [7], id="none is full"),
    ],
)
async def test_a_full_file_is_followed_by_the_next(
    tmp_path: Path, roll: dict[str, int], expected: list[int]
) -> None:
    shard = MemoryOutbox([delivery(n) for n in range(1, 8)])
    simulation = Simulation(ManualClock())
    simulation.start(open_output(tmp_path, roll={"max_wait_s": 600, **roll}), [shard])
    await simulation.run(601)
    await simulation.stop()
    assert shard.waiting == {}
    assert sorted((line["rows"] for line in manifest(tmp_path)), reverse=True) == expected


async def test_a_file_is_closed_when_its_time_is_up(tmp_path: Path) -> None:
    shard = MemoryOutbox([delivery(1)])
    simulation = Simulation(ManualClock())
    forwarder = simulation.start(open_output(tmp_path, roll={"max_wait_s": 60}), [shard])
    await simulation.run(59)
    shard.add(delivery(2))
    forwarder.wake(0)
    await simulation.run(0.5)
    assert published(tmp_path) == []
    await simulation.run(1)
    assert [line["rows"] for line in manifest(tmp_path)] == [2]
    await simulation.stop()


async def test_stopping_leaves_what_is_not_due_in_the_outbox(tmp_path: Path) -> None:
    shard = MemoryOutbox([delivery(1)])
    simulation = Simulation(ManualClock())
    simulation.start(open_output(tmp_path), [shard])
    await simulation.run(1)
    await simulation.stop()
    assert files(tmp_path) == []
    assert len(shard.waiting) == 1


async def test_case_35_a_file_uploaded_before_a_kill_is_replaced(tmp_path: Path) -> None:
    clock = ManualClock()
    shard = MemoryOutbox([delivery(n) for n in range(1, 6)])
    shard.loses_settlements = True
    killed = Simulation(clock)
    killed.start(open_output(tmp_path, roll={"max_rows": 5}), [shard])
    await until(lambda: manifest(tmp_path))  # uploaded to the end, and not yet settled
    await killed.kill()
    [name] = files(tmp_path)
    assert len(shard.waiting) == 5
    # The next process finds more than was there at the first time.
    shard.loses_settlements = False
    shard.add(delivery(6))
    restarted = Simulation(clock)
    restarted.start(open_output(tmp_path, roll={"max_wait_s": 1}), [shard])
    await restarted.run(2)
    await restarted.stop()
    assert files(tmp_path) == [name]
    lines = (tmp_path / "lake" / name).read_bytes().splitlines()
    assert lines == [delivery(n).payload for n in range(1, 7)]
    assert [(line["file"], line["rows"]) for line in manifest(tmp_path)] == [(name, 6)]
    assert shard.waiting == {}


async def test_two_files_of_a_group_are_never_both_unsettled(tmp_path: Path) -> None:
    shard = MemoryOutbox([delivery(n) for n in range(1, 10)])
    shard.loses_settlements = True
    simulation = Simulation(ManualClock())
    forwarder = simulation.start(open_output(tmp_path, roll={"max_rows": 3}), [shard])
    await until(lambda: manifest(tmp_path))
    await until(lambda: forwarder.state()["couriers"][0]["bundles"] == 3)
    await simulation.run(0)
    assert len(published(tmp_path)) == 1
    shard.loses_settlements = False
    await simulation.run(60)
    await simulation.stop()
    assert len(files(tmp_path)) == 3
    assert shard.waiting == {}


async def test_a_storage_that_fails_is_tried_again_and_given_up_in_the_end(tmp_path: Path) -> None:
    shard = MemoryOutbox([delivery(n) for n in (1, 2)])
    simulation = Simulation(ManualClock())
    simulation.start(open_output(tmp_path, roll={"max_rows": 2}), [shard], max_in_flight=1)
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake/_manifest").write_text("a file where a folder should be")
    await simulation.run(60)
    assert shard.dead == []
    assert shard.waiting[1, 1].attempts >= 3
    (tmp_path / "lake/_manifest").unlink()
    await simulation.run(1000)
    assert [line["rows"] for line in manifest(tmp_path)] == [2]
    assert shard.waiting == {}
    await simulation.stop()


async def test_what_is_given_up_becomes_dead_letters_with_their_payloads(tmp_path: Path) -> None:
    shard = MemoryOutbox([delivery(n) for n in (1, 2)])
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake/_manifest").write_text("a file where a folder should be")
    simulation = Simulation(ManualClock())
    simulation.start(open_output(tmp_path, roll={"max_rows": 2}), [shard])
    await simulation.run(100_000)
    await simulation.stop()
    assert [letter.reason for letter in shard.dead] == ["retry_exhausted"] * 2
    assert [letter.delivery.payload for letter in shard.dead] == [
        delivery(1).payload,
        delivery(2).payload,
    ]
    assert shard.waiting == {}


async def test_a_disk_without_room_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from actors.outputs.file_formats import NdjsonWriter

    shard = MemoryOutbox([delivery(n) for n in (1, 2, 3)])
    whole = NdjsonWriter.write
    is_full = True

    def write_until_full(self: NdjsonWriter, each: Delivery) -> None:
        if is_full and each.sequence == 2:
            raise OSError(28, "No space left on device")
        whole(self, each)

    monkeypatch.setattr(NdjsonWriter, "write", write_until_full)
    simulation = Simulation(ManualClock())
    simulation.start(open_output(tmp_path, roll={"max_rows": 3}), [shard])
    await simulation.run(5)
    assert len(shard.waiting) == 3
    is_full = False
    await simulation.run(20)
    assert [line["rows"] for line in manifest(tmp_path)] == [3]
    await simulation.stop()


async def test_starting_removes_only_temporary_files_that_nobody_writes(tmp_path: Path) -> None:
    running = open_output(tmp_path)
    await running.start()
    bundle = running.open_bundle("web", "", delivery(1))
    await bundle.add([delivery(1)])
    left = tmp_path / "lake/2026-01-01/.web_20260101000000000_00001.ndjson.tmp"
    left.parent.mkdir()
    left.write_text("cut off")
    foreign = tmp_path / "lake/.other.tmp"
    foreign.write_text("not ours")
    await open_output(tmp_path).start()
    assert not left.exists()
    assert foreign.exists()
    assert await bundle.send() == Delivered()


def test_uploads_that_are_repeated_together_keep_their_lines_of_the_manifest(
    tmp_path: Path,
) -> None:
    storage = LocalStorage(tmp_path / "lake")

    def publish(number: int) -> None:
        spool = storage.spool("", f"{number}.ndjson")
        spool.write_bytes(b"{}")
        sha256 = hashlib.sha256(b"{}").hexdigest()
        storage.publish(spool, Finished(f"{number}.ndjson", 1, 2, None, None, sha256, "2026010100"))

    with ThreadPoolExecutor(16) as threads:
        for _ in range(5):
            list(threads.map(publish, range(16)))
    entered = [each["file"] for each in manifest(tmp_path)]
    assert sorted(entered) == sorted(f"{number}.ndjson" for number in range(16))


async def test_the_test_call_writes_and_deletes_a_file(tmp_path: Path) -> None:
    output = open_output(tmp_path)
    await output.start()
    assert await output.test() == Delivered()
    assert files(tmp_path) == []
    (tmp_path / "file").write_text("")
    broken = open_output(tmp_path, url=f"file://{tmp_path}/file/inside")
    await broken.start()
    outcome = await broken.test()
    assert isinstance(outcome, Retry)
    assert "NotADirectoryError" in outcome.excerpt


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"url": "/tmp/x"}, "must be a URL", id="no protocol"),
        pytest.param({"url": "simplecache::s3://b"}, "must be a URL", id="chained"),
        pytest.param({"url": "sftp://h/x"}, "not installed.*paramiko", id="missing package"),
        pytest.param({"url": "nope://b"}, "'nope://' is no storage", id="unknown protocol"),
        pytest.param({"url": "sftp:///x"}, "must have a host", id="no host"),
        pytest.param({"url": "az://a@127.0.0.1/x"}, "must be az://container", id="account in URL"),
        pytest.param({"compression": "snappy"}, "not possible for ndjson", id="snappy"),
        pytest.param({"format": "csv", "compression": "zstd"}, "not possible", id="csv with zstd"),
        pytest.param({"server_side_encryption": "AES256"}, "only possible for s3", id="encryption"),
        pytest.param({"extension": "log"}, "'txt'", id="extension"),
        pytest.param({"roll": {"max_rows": 0}}, "greater than or equal to 1", id="no rows"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        FileSettings.model_validate({"url": "file:///x", **changes})


@pytest.mark.parametrize(
    "protocol",
    [
        "http",
        "https",
        "webhdfs",
        "ftp",
        "smb",
        "ssh",
        "hdfs",
        "memory",
        "dir",
        "github",
        "filecache",
    ],
)
def test_a_protocol_that_the_egress_rules_do_not_see_is_refused_with_those_there_are(
    protocol: str,
) -> None:
    """spec/connections.md, 3.8 and 7.2."""
    with pytest.raises(
        ValidationError, match=rf"'{protocol}://' is no .* file://, .* sftp://"
    ) as it:
        FileSettings.model_validate({"url": f"{protocol}://127.0.0.1:8080/internal/api"})
    assert [each["loc"] for each in it.value.errors()] == [("url",)]


@pytest.mark.parametrize(
    ("url", "options", "problem"),
    [
        ("s3://b", {"endpoint_url": "127.0.0.1:9000"}, "^endpoint_url must be an http"),
        ("s3://b", {"endpoint_url": ["http://a"]}, "^endpoint_url must be an http"),
        ("s3://b", {"endpoint_url": "http://a:b"}, "^endpoint_url must be an http"),
        ("s3://b", {"client_kwargs": {"endpoint_url": "file:///x"}}, "^client_kwargs.endpoint_url"),
        ("s3://b", {"client_kwargs": "x"}, "^client_kwargs must be a mapping"),
        (
            "s3://b",
            {"config_kwargs": {"proxies": {"https": "a:1"}}},
            "^config_kwargs.proxies.https",
        ),
        ("s3://b", {"config_kwargs": {"connector_args": 1}}, "^config_kwargs.connector_args must"),
        ("s3a://b", {"use_ssl": False}, "^use_ssl must be true"),
        ("s3://b", {"client_kwargs": {"use_ssl": False}}, "^use_ssl must be true"),
        ("gs://b", {"endpoint_url": "https://a"}, "^there is no option 'endpoint_url'"),
        ("gs://b", {"session_kwargs": {}}, "^there is no option 'session_kwargs'"),
        ("gs://b", {"token": {"token_uri": "http://127.0.0.1/"}}, "^token.token_uri must be"),
        ("gs://b", {"token": {"universe_domain": "a.example"}}, "^token.universe_domain must be"),
        ("az://b", {"account_host": "127.0.0.1"}, "^there is no option 'account_host'"),
        ("az://b", {"connection_string": "x"}, "^there is no option 'connection_string'"),
        ("az://b", {"account_name": "127.0.0.1/"}, "^account_name must be"),
        ("az://b", {"client_id": "a", "tenant_id": "../x"}, "^tenant_id must be"),
        ("sftp://h/x", {"host": "127.0.0.1"}, "^there is no option 'host'"),
        ("sftp://h/x", {"sock": "x"}, "^there is no option 'sock'"),
        ("sftp://h/x", {"port": "22"}, "^port must be"),
    ],
)
def test_options_that_lead_past_the_egress_rules_are_refused(
    url: str, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        check_options(url, options)


@pytest.mark.parametrize(
    ("url", "options", "hosts"),
    [
        ("file:///x", {}, []),
        ("s3://b", {"key": "k"}, []),
        ("s3://b", {"endpoint_url": "https://a"}, [("a", 443, False)]),
        ("s3://b", {"client_kwargs": {"endpoint_url": "http://a:9"}}, [("a", 9, True)]),
        ("s3://b", {"config_kwargs": {"proxies": {"https": "http://p:3"}}}, [("p", 3, False)]),
        ("gs://b", {"token": "anon"}, [("storage.googleapis.com", 443, False)]),
        ("az://b", {"account_name": "abc"}, [("abc.blob.core.windows.net", 443, False)]),
        ("sftp://u@h/x", {}, [("h", 22, False)]),
        ("sftp://h:23/x", {"port": 24}, [("h", 24, False)]),
    ],
)
def test_every_host_that_a_storage_talks_to_is_known(
    url: str, options: dict[str, Any], hosts: list[tuple[str, int, bool]]
) -> None:
    check_url(url)
    check_options(url, options)
    assert storage_hosts(url, options) == hosts


def test_wrong_options_are_placed_and_not_shown() -> None:
    with pytest.raises(ValidationError) as caught:
        FileSettings.model_validate(
            {"url": "s3://x", "storage_options": {"endpoint_url": "hidden"}}
        )
    assert [each["loc"] for each in caught.value.errors()] == [("storage_options",)]
    assert "hidden" not in str(caught.value)


def test_storage_options_are_secrets() -> None:
    settings = FileSettings.model_validate(
        {"url": "s3://x", "storage_options": {"key": "hidden", "inside": {"a": ["hidden"]}}}
    )
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("changes", "suffix"),
    [
        ({"compression": "gzip"}, ".ndjson.gz"),
        ({"compression": "gzip", "extension": "txt"}, ".txt.gz"),
        ({"format": "parquet", "compression": "zstd"}, ".parquet"),
        ({"format": "csv"}, ".csv"),
    ],
)
def test_names_end_as_their_format(changes: dict[str, Any], suffix: str) -> None:
    assert FileSettings.model_validate({"url": "file:///x", **changes}).suffix == suffix


async def test_changes_of_an_audience_are_lines_of_its_own_files(tmp_path: Path) -> None:
    changes = [change(1, 42, "add"), change(2, 43, "delete")]
    output = open_output(tmp_path, split_by="input", folder_by_date="upload_time")
    await write(output, *changes, input_id="audience-7")
    [name] = files(tmp_path)
    assert name.startswith("audience-7/2026-01-01/audience-7_2026")
    lines = [json.loads(line) for line in (tmp_path / "lake" / name).read_bytes().splitlines()]
    assert [each["changes"][0]["action"] for each in lines] == ["add", "delete"]
    assert {each["audience"]["id"] for each in lines} == {7}


@pytest.mark.parametrize(
    ("settings", "kind", "places"),
    [
        ({}, "audience", []),
        ({"format": "csv", "split_by": "event_name"}, "audience", ["format", "split_by"]),
        ({"format": "parquet", "split_by": "event_name"}, "event", []),
        ({"format": "parquet"}, "data_warehouse", []),
    ],
)
def test_only_events_have_columns(settings: dict[str, Any], kind: str, places: list[str]) -> None:
    checked = FileSettings.model_validate({"url": "file:///lake", **settings})
    assert [where[0] for where, _ in MODULE.problems(checked, kind)] == places
