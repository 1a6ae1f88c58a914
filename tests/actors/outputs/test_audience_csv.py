"""Output `audience_csv` (spec/connections.md, 7.6)."""

import csv
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.clock import ManualClock
from actors.model.deliveries import Delivery
from actors.outputs.audience_csv import AudienceCsvOutput, AudienceCsvSettings, delta_name
from actors.outputs.audience_messages import (
    Action,
    MembershipChange,
    MembershipMessage,
    MessageAudience,
    encode,
)
from actors.outputs.contract import Delivered
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from tests.actors.forwarding.support import delivery

NOW_MS = ManualClock().now_ms()  # 2026-01-01T00:00:00Z
PARIS = MessageAudience(7, "Paris fans", "Paris / Fans")


def change(
    sequence: int, action: Action, identities: dict[str, str], audience: MessageAudience = PARIS
) -> Delivery:
    mpid = 1000 + sequence
    message = MembershipMessage(
        f"m{sequence}", NOW_MS, 1, audience, [MembershipChange(mpid, action, identities)]
    )
    return delivery(sequence, mpid=mpid, payload=encode(message), first_event_ms=0, event_count=0)


def open_output(tmp_path: Path, **changes: Any) -> AudienceCsvOutput:
    settings = AudienceCsvSettings.model_validate(
        {"url": f"file://{tmp_path}/lists", "identities": ["email", "customer_id"], **changes}
    )
    surroundings = OutputEnvironment("lists", ManualClock(), EgressRules(), tmp_path / "spool")
    return AudienceCsvOutput(settings, surroundings)


async def write(output: AudienceCsvOutput, *deliveries: Delivery) -> None:
    await output.start()
    first = deliveries[0]
    bundle = output.open_bundle("", output.group(first), first)
    assert await bundle.add(deliveries) == len(deliveries)
    assert await bundle.send() == Delivered()


def published(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "lists").glob("*.csv"))


async def test_a_row_is_a_change_of_one_identity(tmp_path: Path) -> None:
    await write(
        open_output(tmp_path),
        change(1, "add", {"email": 'a,"b"@example.com', "customer_id": "c1", "other": "x"}),
        change(2, "delete", {"customer_id": "c2"}),
        change(3, "add", {"other": "nobody asked for it"}),
        change(4, "attribute_update", {"email": "d@example.com"}),
    )
    [path] = published(tmp_path)
    text = path.read_text()
    assert text.startswith("mpid,scanned_timestamp_ms,identity_value,identity_type,action\n")
    assert "\r" not in text
    assert list(csv.reader(text.splitlines()))[1:] == [
        ["1001", str(NOW_MS), 'a,"b"@example.com', "email", "add"],
        ["1001", str(NOW_MS), "c1", "customer_id", "add"],
        ["1002", str(NOW_MS), "c2", "customer_id", "delete"],
    ]


async def test_a_file_without_rows_is_not_written(tmp_path: Path) -> None:
    await write(open_output(tmp_path), change(1, "add", {"other": "x"}))
    assert published(tmp_path) == []
    assert list((tmp_path / "lists").glob(".*")) == []


async def test_a_file_is_named_after_audience_and_first_change(tmp_path: Path) -> None:
    first = change(1, "add", {"email": "a@example.com"})
    digits = int(first.delivery_id.removeprefix("dl_"), 16) % 100_000
    assert delta_name(first) == f"7_ParisFans_delta_20260101000000_{digits:05d}.csv"
    await write(open_output(tmp_path), first)
    await write(open_output(tmp_path), first)  # after a crash
    assert [path.name for path in published(tmp_path)] == [delta_name(first)]


def test_a_name_cannot_leave_its_folder() -> None:
    audience = MessageAudience(7, "x", "../..\\etc")
    assert "/" not in delta_name(change(1, "add", {}, audience))
    assert delta_name(change(1, "add", {}, audience)).startswith("7_....etc_delta_")


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        pytest.param("v" * 200, "v" * 100, id="one byte each"),
        pytest.param("観" * 200, "観" * 60, id="three bytes each"),
        pytest.param("v" + "観" * 200, "v" + "観" * 59, id="none is cut in two"),
        pytest.param("𝒜" * 200, "𝒜" * 45, id="four bytes each"),
    ],
)
async def test_a_long_name_is_cut_to_what_a_folder_has_room_for(
    tmp_path: Path, name: str, kept: str
) -> None:
    audience = MessageAudience(2**63 - 1, "x", name)
    first = change(1, "add", {"email": "a@example.com"}, audience)
    assert delta_name(first).startswith(f"{2**63 - 1}_{kept}_delta_2026")
    await write(open_output(tmp_path), first)
    assert [path.name for path in published(tmp_path)] == [delta_name(first)]


def test_audiences_and_variations_have_files_of_their_own(tmp_path: Path) -> None:
    output = open_output(tmp_path)
    other = MessageAudience(7, "Paris fans", "Paris / Fans - A")
    assert output.group(change(1, "add", {})) != output.group(change(1, "add", {}, other))


def test_an_interval_is_how_long_a_file_stays_open(tmp_path: Path) -> None:
    assert open_output(tmp_path, interval_minutes=5).max_wait_ms == 300_000


@pytest.mark.parametrize(
    "changes", [{"identities": []}, {"interval_minutes": 0}, {"mode": "other"}, {"more": 1}]
)
def test_wrong_settings_are_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        open_output(tmp_path, **changes)
