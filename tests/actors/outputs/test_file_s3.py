"""Output `file` over `s3://`, against an S3 server. Cases: spec/connections.md."""

import hashlib
import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from actors.clock import ManualClock
from actors.model.deliveries import Delivery
from actors.outputs.contract import Delivered, Fatal, Outcome, Retry
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.file import FileOutput, file_name
from actors.outputs.file_settings import FileSettings
from tests.actors.forwarding.support import MemoryOutbox, Simulation, delivery, until
from tests.actors.outputs.broker.broker import free_ports
from tests.actors.outputs.s3_server import S3Server, shared_s3

_numbers = count(1)


@pytest.fixture
def server() -> S3Server:
    return shared_s3()


@pytest.fixture
def bucket(server: S3Server) -> str:
    name = f"lake-{next(_numbers)}"
    server.client.mkdir(name)
    return name


def open_output(
    tmp_path: Path, server: S3Server, bucket: str, *, allow: str = "127.0.0.1", **changes: Any
) -> FileOutput:
    options = server.options | changes.pop("options", {})
    values = {"url": f"s3://{bucket}/events", "storage_options": options}
    settings = FileSettings.model_validate(values | changes)
    rules = EgressRules([allow])
    return FileOutput(settings, OutputEnvironment("lake", ManualClock(), rules, tmp_path / "spool"))


async def upload(output: FileOutput, *deliveries: Delivery) -> Outcome:
    await output.start()
    bundle = output.open_bundle("web", output.group(deliveries[0]), deliveries[0])
    await bundle.add(deliveries)
    outcome = await bundle.send()
    if not isinstance(outcome, Delivered):
        await bundle.discard()
    return outcome


def objects(server: S3Server, bucket: str) -> list[str]:
    return [path.removeprefix(f"{bucket}/events/") for path in server.client.find(bucket)]


async def test_case_35_an_object_uploaded_before_a_kill_is_replaced(
    tmp_path: Path, server: S3Server, bucket: str
) -> None:
    clock = ManualClock()
    shard = MemoryOutbox([delivery(n) for n in range(1, 6)])
    shard.loses_settlements = True
    killed = Simulation(clock)
    forwarder = killed.start(open_output(tmp_path, server, bucket, roll={"max_rows": 5}), [shard])
    await until(lambda: shard.reads and forwarder.state()["couriers"][0]["bundles"])
    await until(lambda: len(objects(server, bucket)) == 2)  # with its sidecar; not yet settled
    await killed.kill()
    before = objects(server, bucket)
    assert len(shard.waiting) == 5
    shard.loses_settlements = False
    shard.add(delivery(6))
    restarted = Simulation(clock)
    restarted.start(open_output(tmp_path, server, bucket, roll={"max_wait_s": 1}), [shard])
    await restarted.run(2)
    await restarted.stop()
    assert shard.waiting == {}
    assert objects(server, bucket) == before
    [sidecar, name] = sorted(before)
    content = server.client.cat_file(f"{bucket}/events/{name}")
    assert content.splitlines() == [delivery(n).payload for n in range(1, 7)]
    assert json.loads(server.client.cat_file(f"{bucket}/events/{sidecar}"))["rows"] == 6


async def test_an_object_that_is_uploaded_again_replaces_itself(
    tmp_path: Path, server: S3Server, bucket: str
) -> None:
    output = open_output(tmp_path, server, bucket, folder_by_date="upload_time")
    for _ in range(2):  # as after a crash
        assert await upload(output, delivery(1), delivery(2)) == Delivered()
    name = f"2026-01-01/{file_name('web', delivery(1), '.ndjson')}"
    [found, sidecar] = objects(server, bucket)
    assert found == name
    content = server.client.cat_file(f"{bucket}/events/{name}")
    assert content.splitlines() == [delivery(n).payload for n in (1, 2)]
    assert json.loads(server.client.cat_file(f"{bucket}/events/{sidecar}"))["rows"] == 2
    assert not [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]


async def test_an_object_has_a_line_of_its_own_in_the_manifest(
    tmp_path: Path, server: S3Server, bucket: str
) -> None:
    assert await upload(open_output(tmp_path, server, bucket), delivery(1)) == Delivered()
    name = file_name("web", delivery(1), ".ndjson")
    assert objects(server, bucket) == [f"_manifest/2026010100/{name}.ndjson", name]
    content = server.client.cat_file(f"{bucket}/events/{name}")
    line = json.loads(server.client.cat_file(f"{bucket}/events/_manifest/2026010100/{name}.ndjson"))
    assert (line["file"], line["rows"], line["bytes"]) == (name, 1, len(content))
    assert line["sha256"] == hashlib.sha256(content).hexdigest()


async def test_objects_are_encrypted_by_the_server_where_that_is_asked_for(
    tmp_path: Path, server: S3Server, bucket: str
) -> None:
    output = open_output(tmp_path, server, bucket, server_side_encryption="aws:kms")
    assert await upload(output, delivery(1)) == Delivered()
    for name in objects(server, bucket):
        head = server.client.call_s3("head_object", Bucket=bucket, Key=f"events/{name}")
        assert head["ServerSideEncryption"] == "aws:kms"


async def test_saving_settings_writes_and_deletes_an_object(
    tmp_path: Path, server: S3Server, bucket: str
) -> None:
    server.client.call_s3(
        "put_bucket_versioning", Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    output = open_output(tmp_path, server, bucket)
    await output.start()
    assert await output.test() == Delivered()
    assert objects(server, bucket) == []
    versions = server.client.call_s3("list_object_versions", Bucket=bucket)
    [written] = versions["Versions"]
    assert written["Key"] == "events/headwater_verification_20260101-000000.txt"


async def test_a_bucket_that_is_not_there_or_not_ours_is_tried_again(
    tmp_path: Path, server: S3Server, bucket: str
) -> None:
    missing = await upload(open_output(tmp_path, server, "no-such-bucket"), delivery(1))
    assert isinstance(missing, Retry)
    denied = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:PutObject",
                "Resource": f"arn:aws:s3:::{bucket}/*",
            }
        ],
    }
    server.client.call_s3("put_bucket_policy", Bucket=bucket, Policy=json.dumps(denied))
    outcome = await upload(open_output(tmp_path, server, bucket), delivery(1))
    assert isinstance(outcome, Retry)
    assert "PermissionError" in outcome.excerpt
    server.client.call_s3("delete_bucket_policy", Bucket=bucket)
    assert await upload(open_output(tmp_path, server, bucket), delivery(1)) == Delivered()


async def test_a_server_that_is_gone_is_tried_again(
    tmp_path: Path, server: S3Server, bucket: str
) -> None:
    [port] = free_ports(1)
    options = {
        "endpoint_url": f"http://127.0.0.1:{port}",
        "config_kwargs": {"retries": {"total_max_attempts": 1}},
    }
    outcome = await upload(open_output(tmp_path, server, bucket, options=options), delivery(1))
    assert isinstance(outcome, Retry)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_endpoint_that_is_not_opened_is_refused(
    tmp_path: Path, server: S3Server, bucket: str, host: str
) -> None:
    options = {"endpoint_url": server.url.replace("127.0.0.1", host)}
    output = open_output(tmp_path, server, bucket, allow="10.0.0.0/8", options=options)
    outcome = await upload(output, delivery(1))
    assert isinstance(outcome, Fatal)
    assert outcome.reason == "egress_refused"
    assert objects(server, bucket) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_client_connects_to_no_address_that_is_not_opened(
    tmp_path: Path, server: S3Server, bucket: str, host: str
) -> None:
    """Wherever it came from: a redirect of the storage, or a check that was fooled."""
    options = {"endpoint_url": server.url.replace("127.0.0.1", host)}
    output = open_output(tmp_path, server, bucket, allow="10.0.0.0/8", options=options)
    await output.start()
    output._place.storage.hosts = []
    outcome = await output.test()
    assert isinstance(outcome, Fatal)
    assert outcome.reason == "egress_refused"
    assert objects(server, bucket) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_redirect_of_the_storage_leads_to_no_address_that_is_not_opened(
    tmp_path: Path, server: S3Server, bucket: str, host: str
) -> None:
    async def redirect(request: web.Request) -> web.Response:
        place = server.url.replace("127.0.0.1", host) + request.path_qs
        return web.Response(status=307, headers={"Location": place})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    async with TestServer(app) as front:
        output = open_output(
            tmp_path,
            server,
            bucket,
            allow=f"127.0.0.1:{front.port}",
            options={"endpoint_url": f"http://127.0.0.1:{front.port}"},
        )
        await output.start()
        outcome = await output.test()
    assert isinstance(outcome, Fatal)
    assert outcome.reason == "egress_refused"


async def test_plain_http_goes_only_to_what_is_opened(
    tmp_path: Path, server: S3Server, bucket: str
) -> None:
    options = {"endpoint_url": "http://8.8.8.8"}
    outcome = await upload(open_output(tmp_path, server, bucket, options=options), delivery(1))
    assert isinstance(outcome, Fatal)
    assert outcome.reason == "egress_refused"


async def test_options_cannot_name_another_protocol_or_endpoint(
    tmp_path: Path, server: S3Server, bucket: str
) -> None:
    for options in ({"protocol": "memory"}, {"s3": {"endpoint_url": "http://127.0.0.1:1"}}):
        output = open_output(tmp_path, server, bucket, options=options)
        outcome = await upload(output, delivery(1))
        assert isinstance(outcome, Retry)
        assert "TypeError" in outcome.excerpt
    assert objects(server, bucket) == []
