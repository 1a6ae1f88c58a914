"""Files of members (spec/audiences.md, 11; worked case 43)."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from actors.audiences import downloads
from actors.audiences.fields import AudienceFields
from actors.audiences.objects import Download, Variation
from actors.audiences.variations import variation
from actors.errors import AudienceRefused, ShardUnavailable, StoreFull
from tests.actors.audiences.desks import ACTOR, CATALOG, Desk, attribute, open_desk
from tests.full_disk import file_size_limit
from tests.oracle.audiences.fixture import EMAIL, NOW, make_users

WEEK_MS = 7 * 86_400_000
MEMBERS = (1002, 1005)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Open a desk whose shards know an e-mail address and a device of 1005, and nothing of 1002."""
    with open_desk(tmp_path, make_users()) as opened:
        known = (("ios_vendor_id", "AA"), ("email", EMAIL))
        opened.shards[0].identities = {1005: known}
        yield opened


async def listed(desk: Desk, members: tuple[int, ...] = MEMBERS) -> int:
    """Make an active static audience of some users."""
    audience = await desk.calls.create_audience(
        AudienceFields(name="My / list", type="static"), ACTOR
    )
    await desk.calls.change_members(audience.number, members, ())
    await desk.calls.activate_audience(audience.number, ACTOR)
    await desk.settle()
    return audience.number


async def downloaded(desk: Desk, ordered: Download | None) -> dict[str, bytes]:
    """Have a file made, and return what is in it."""
    assert ordered is not None
    await desk.desk.work()
    found = await desk.calls.download(ordered.audience, ordered.id)
    assert found is not None
    assert found.status == "ready"
    content = b""
    while chunk := await desk.calls.read_download(ordered.id, len(content)):
        content += chunk
    assert len(content) == found.size_bytes
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def files_of(folder: Path) -> list[Path]:
    """Return the files of downloads."""
    return list(folder.rglob("downloads/*"))


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode())))


async def test_a_file_has_a_row_per_identity_and_a_manifest(desk: Desk) -> None:
    """Worked case 43."""
    number = await listed(desk)
    ordered = await desk.calls.create_download(number, ("email", "customer_id"), None)
    assert ordered is not None
    files = await downloaded(desk, ordered)
    name = f"{number}_Mylist_130000Mar102026.csv"
    assert set(files) == {name, "manifest.json"}
    assert files[name].decode() == (
        f"mpid,scanned_timestamp_ms,identity_value,identity_type\n1005,{NOW},{EMAIL},email\n"
    )
    manifest: dict[str, Any] = json.loads(files["manifest.json"])
    assert manifest["archive_name"] == f"CDPAudiences_130000Mar102026_{ordered.id[:4]}.zip"
    assert manifest["total_rows"] == 1
    assert manifest["rows_by_identity"] == {"email": 1}
    assert manifest["included_identities"] == ["email", "customer_id"]
    assert manifest["audience_ids"] == [number]
    assert manifest["min_timestamp_ms"] == manifest["max_timestamp_ms"] == NOW
    [file] = manifest["files"]
    assert (file["file_name"], file["total_users"], file["total_rows"]) == (name, 1, 1)


async def test_rows_are_sorted_by_user_type_and_value(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "PAGE", 2)
    desk.shards[0].identities = dict.fromkeys(
        range(1001, 1006), (("email", "b"), ("email", "a"), ("customer_id", "z"))
    )
    number = await listed(desk, tuple(range(1001, 1006)))
    files = await downloaded(
        desk, await desk.calls.create_download(number, ("email", "customer_id"), None)
    )
    [table] = [content for name, content in files.items() if name.endswith(".csv")]
    assert [(row[0], row[3], row[2]) for row in rows(table)[1:]] == [
        (str(mpid), kind, value)
        for mpid in range(1001, 1006)
        for kind, value in (("customer_id", "z"), ("email", "a"), ("email", "b"))
    ]


async def test_members_of_several_shards_are_one_list(tmp_path: Path) -> None:
    users = make_users()
    far = 1 << 52  # on the second of two shards
    users.profiles[far], users.batches[far] = users.profiles[1001], users.batches[1001]
    with open_desk(tmp_path, users, shards=2) as desk:
        for shard in desk.shards:
            shard.identities = dict.fromkeys((1001, far), (("email", "e"),))
        number = await listed(desk, (far, 1001))
        assert [len(each.members[number]) for each in desk.shards] == [1, 1]
        files = await downloaded(desk, await desk.calls.create_download(number, ("email",), None))
        [table] = [content for name, content in files.items() if name.endswith(".csv")]
        assert [row[0] for row in rows(table)[1:]] == ["1001", str(far)]


async def test_variations_get_a_file_each(desk: Desk) -> None:
    audience = await desk.calls.create_audience(
        AudienceFields(name="Any", definition=attribute("none", "not_equals")), ACTOR
    )
    number = audience.number
    made = await desk.calls.create_test(number, (Variation("A", 5000),), ACTOR)
    assert made is not None
    assert made.test is not None
    await desk.calls.activate_audience(number, ACTOR)
    await desk.settle()
    members = desk.members(number)
    desk.shards[0].identities = dict.fromkeys(members, (("email", "e"),))
    files = await downloaded(
        desk, await desk.calls.create_download(number, ("email",), ("A", "Control", "A"))
    )
    for name in ("A", "Control"):
        [table] = [each for file, each in files.items() if f"_Any-{name}_" in file]
        wanted = {mpid for mpid in members if variation(number, made.test, mpid) == name}
        assert {int(row[0]) for row in rows(table)[1:]} == wanted
    assert len(json.loads(files["manifest.json"])["files"]) == 2


async def test_what_cannot_be_downloaded_is_refused(desk: Desk) -> None:
    """Worked case 43."""
    standard = await desk.calls.create_audience(
        AudienceFields(name="S", type="standard", definition=attribute("gold")), ACTOR
    )
    draft = await desk.calls.create_audience(
        AudienceFields(name="D", definition=attribute("gold")), ACTOR
    )
    number = await listed(desk)
    refusals = [
        (standard.number, None, "INVALID_STATE"),
        (draft.number, None, "INVALID_STATE"),
        (number, ("A",), "REFERENCE_NOT_FOUND"),
    ]
    for audience, variations, expected in refusals:
        with pytest.raises(AudienceRefused) as error:
            await desk.calls.create_download(audience, ("email",), variations)
        assert error.value.code == expected
    assert await desk.calls.create_download(77, ("email",), None) is None


async def test_a_file_is_made_anew_when_a_shard_was_away_and_kept_for_a_week(
    desk: Desk, tmp_path: Path
) -> None:
    number = await listed(desk)
    ordered = await desk.calls.create_download(number, ("email",), None)
    assert ordered is not None
    desk.shards[0].is_away = True
    with pytest.raises(ShardUnavailable):
        await desk.desk.work()
    assert list((tmp_path / "downloads").iterdir()) == []
    assert (await desk.calls.download(number, ordered.id)).status == "pending"  # type: ignore[union-attr]
    desk.shards[0].is_away = False
    await downloaded(desk, ordered)
    desk.clock.advance(WEEK_MS)
    await desk.desk.work()
    assert (await desk.calls.download(number, ordered.id)).status == "ready"  # type: ignore[union-attr]
    desk.clock.advance(1)
    await desk.desk.work()
    assert (await desk.calls.download(number, ordered.id)).status == "expired"  # type: ignore[union-attr]
    assert await desk.calls.read_download(ordered.id, 0) == b""
    assert list((tmp_path / "downloads").iterdir()) == []
    assert await desk.calls.download(number + 1, ordered.id) is None


async def test_a_file_that_is_being_made_when_somebody_is_erased_is_made_anew(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec/privacy.md, 5.2, row 11: the part that is written may have the one who is erased."""
    number = await listed(desk)
    ordered = await desk.calls.create_download(number, ("email",), None)
    assert ordered is not None
    [shard] = desk.shards
    export = shard.export_members

    async def interrupted(*arguments: Any) -> Any:
        found = await export(*arguments)
        assert desk.desk.expire_downloads(CATALOG.workspace) == 0
        shard.identities = {}
        return found

    with monkeypatch.context() as patch:
        patch.setattr(shard, "export_members", interrupted)
        await desk.desk.work()
    found = await desk.calls.download(number, ordered.id)
    assert found is not None
    assert found.status == "pending"
    files = await downloaded(desk, ordered)
    assert not [name for name, content in files.items() if EMAIL.encode() in content]
    assert desk.desk.expire_downloads(CATALOG.workspace + 1) == 0
    assert desk.desk.expire_downloads(CATALOG.workspace) == 1
    found = await desk.calls.download(number, ordered.id)
    assert found is not None
    assert (found.status, found.file) == ("expired", None)
    assert files_of(tmp_path) == []


async def test_nothing_stays_of_a_file_that_the_disk_has_no_room_for(
    desk: Desk, tmp_path: Path
) -> None:
    """What was written of it would have kept the disk full, and has identities of users."""
    random = Random(1)
    desk.shards[0].identities = {
        1005: tuple(("other", f"{random.getrandbits(256):x}") for _ in range(10_000))
    }
    number = await listed(desk)
    ordered = await desk.calls.create_download(number, ("other",), None)
    assert ordered is not None
    with file_size_limit(200_000):
        await desk.desk.work()
    assert (await desk.calls.download(number, ordered.id)).status == "failed"  # type: ignore[union-attr]
    assert list((tmp_path / "downloads").iterdir()) == []


async def test_files_that_no_order_knows_of_go(desk: Desk, tmp_path: Path) -> None:
    """A process died while it wrote one, and before it could keep that another was there."""
    ordered = await desk.calls.create_download(await listed(desk), ("email",), None)
    await downloaded(desk, ordered)
    [kept] = (tmp_path / "downloads").iterdir()
    for name in ("CDPAudiences_1.tmp", "CDPAudiences_2.zip"):
        (tmp_path / "downloads" / name).write_bytes(b"e@example.com")
    await downloaded(desk, ordered)
    assert list((tmp_path / "downloads").iterdir()) == [kept]


async def test_a_file_is_made_once_though_it_cannot_be_kept_that_it_is_there(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordered = await desk.calls.create_download(await listed(desk), ("email",), None)
    with monkeypatch.context() as full:

        def keep(*_: object) -> None:
            raise StoreFull("no room")

        full.setattr(downloads.Downloads, "_keep_download", keep)
        for _ in range(3):
            desk.clock.advance(1000)
            with pytest.raises(StoreFull):
                await desk.desk.work()
            assert len(list((tmp_path / "downloads").iterdir())) == 1
    await downloaded(desk, ordered)
    assert len(list((tmp_path / "downloads").iterdir())) == 1
