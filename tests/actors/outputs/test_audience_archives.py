"""Output `audience_csv` that writes all members (spec/connections.md, 7.6; audiences.md, 11)."""

import io
import json
import zipfile
from collections.abc import AsyncIterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from actors.audiences.answers import MemberRow
from actors.clock import ManualClock
from actors.errors import ShardUnavailable
from actors.outputs.audience_archives import AudienceArchiveOutput
from actors.outputs.audience_csv import MODULE, AudienceCsvSettings
from actors.outputs.contract import Delivered, Outcome, Retry
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.snapshots import Snapshot, SnapshotOutput
from tests.actors.forwarding.support import change
from tests.actors.outputs.s3_server import shared_s3

NOW_MS = ManualClock().now_ms()  # 2026-01-01T00:00:00Z
NIGHT = Snapshot("0a1b2c3d", NOW_MS, 7, "Paris / Fans")
NAME = "CDPAudiences_000000Jan012026_0a1b.zip"
ROWS = (
    MemberRow(1002, NOW_MS + 5, ()),
    MemberRow(1005, NOW_MS + 5, (("email", 'a,"b"@example.com'), ("customer_id", "c5"))),
    MemberRow(1006, NOW_MS + 9, (("customer_id", "c6"),)),
)
_numbers = count(1)


def open_output(tmp_path: Path, *, allow: str = "", **changes: Any) -> AudienceArchiveOutput:
    settings = AudienceCsvSettings.model_validate(
        {
            "url": f"file://{tmp_path}/lists",
            "mode": "snapshot",
            "identities": ["email", "customer_id"],
            **changes,
        }
    )
    egress = EgressRules((allow,)) if allow else EgressRules()
    surroundings = OutputEnvironment("lists", ManualClock(), egress, tmp_path / "spool")
    output = MODULE.open(settings, surroundings)
    assert isinstance(output, AudienceArchiveOutput)
    assert isinstance(output, SnapshotOutput)
    return output


async def pages(*rows: MemberRow) -> AsyncIterator[Sequence[MemberRow]]:
    for row in rows:
        yield [row]


async def broken() -> AsyncIterator[Sequence[MemberRow]]:
    yield ROWS
    raise ShardUnavailable("shard 1")


async def write(output: AudienceArchiveOutput, *rows: MemberRow) -> Outcome:
    await output.start()
    return await output.write_snapshot(NIGHT, pages(*rows))


def content(archive: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name).decode() for name in opened.namelist()}


def files_below(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


async def test_an_archive_has_a_row_per_identity_and_a_manifest(tmp_path: Path) -> None:
    assert await write(open_output(tmp_path), *ROWS) == Delivered()
    files = content((tmp_path / "lists" / NAME).read_bytes())
    assert files["7_ParisFans_000000Jan012026.csv"] == (
        "mpid,scanned_timestamp_ms,identity_value,identity_type\n"
        f"1005,{NOW_MS + 5},c5,customer_id\n"
        f'1005,{NOW_MS + 5},"a,""b""@example.com",email\n'
        f"1006,{NOW_MS + 9},c6,customer_id\n"
    )
    manifest = json.loads(files["manifest.json"])
    assert manifest["archive_name"] == NAME
    assert manifest["included_identities"] == ["email", "customer_id"]
    assert (manifest["total_rows"], manifest["files"][0]["total_users"]) == (3, 2)
    assert manifest["rows_by_identity"] == {"customer_id": 2, "email": 1}
    [line] = (tmp_path / "lists" / "_manifest" / "2026010100.ndjson").read_text().splitlines()
    assert (json.loads(line)["file"], json.loads(line)["rows"]) == (NAME, 3)


async def test_an_audience_without_members_is_an_archive_too(tmp_path: Path) -> None:
    """Whoever reads it has to learn that nobody is left."""
    assert await write(open_output(tmp_path)) == Delivered()
    files = content((tmp_path / "lists" / NAME).read_bytes())
    assert json.loads(files["manifest.json"])["total_rows"] == 0


async def test_a_repeated_snapshot_replaces_itself(tmp_path: Path) -> None:
    output = open_output(tmp_path)
    await write(output, *ROWS)
    await write(output, ROWS[2])
    [path] = (tmp_path / "lists").glob("*.zip")
    assert json.loads(content(path.read_bytes())["manifest.json"])["total_rows"] == 1
    [line] = (tmp_path / "lists" / "_manifest" / "2026010100.ndjson").read_text().splitlines()
    assert json.loads(line)["rows"] == 1


async def test_nothing_is_left_of_one_that_was_interrupted(tmp_path: Path) -> None:
    output = open_output(tmp_path)
    await output.start()
    with pytest.raises(ShardUnavailable):
        await output.write_snapshot(NIGHT, broken())
    abandoned = tmp_path / "lists" / f".{NAME}.tmp"
    abandoned.parent.mkdir(exist_ok=True)
    abandoned.write_bytes(b"half")
    (tmp_path / "spool-archives" / "CDPAudiences_x.tmp").write_bytes(b"half")
    await output.start()
    assert files_below(tmp_path) == []


async def test_a_place_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "lists").write_text("a file, and not a folder")
    output = open_output(tmp_path)
    await output.start()
    assert isinstance(await output.write_snapshot(NIGHT, pages(*ROWS)), Retry)
    assert files_below(tmp_path) == [tmp_path / "lists"]


async def test_changes_that_come_nevertheless_are_let_go_of(tmp_path: Path) -> None:
    output = open_output(tmp_path)
    await output.start()
    assert await output.send([change(1, 1, "add"), change(2, 2, "delete")]) == [
        Delivered(),
        Delivered(),
    ]


async def test_archives_go_to_an_object_store(tmp_path: Path) -> None:
    server = shared_s3()
    bucket = f"lists-{next(_numbers)}"
    server.client.mkdir(bucket)
    output = open_output(
        tmp_path, allow="127.0.0.1", url=f"s3://{bucket}/all", storage_options=server.options
    )
    assert await write(output, *ROWS) == Delivered()
    server.client.invalidate_cache()
    files = content(server.client.cat_file(f"{bucket}/all/{NAME}"))
    assert len(files) == 2
    assert files_below(tmp_path) == []
