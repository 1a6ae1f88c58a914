"""The connections of a document: by number, checked, ready to be sent."""

import pickle
from pathlib import Path
from typing import Any

import pytest

from actors.calculated.feed import FEED_ID, FEED_NUMBER
from config.compiled_connections import connection_infos, queue_limits
from config.numbers import assign_numbers
from tests.config.documents import compiled, load, setting, shop


def test_they_can_be_sent_to_another_process(tmp_path: Path) -> None:
    document, numbers = compiled(tmp_path)
    connections = connection_infos(document, numbers)
    assert pickle.loads(pickle.dumps(connections)) == connections


def test_connections_name_their_ends_by_number(tmp_path: Path) -> None:
    document, numbers = compiled(tmp_path, setting("connections.1.active", False))
    connections = connection_infos(document, numbers)
    assert [each.id for each in connections] == ["web-hook", "web-lake", "crm-lake"]
    for each, written in zip(connections, document.connections, strict=True):
        assert each.number == numbers.connections[each.id]
        assert each.input == numbers.inputs[written.input]
        assert (each.input_id, each.output) == (written.input, written.output)
    assert [each.is_active for each in connections] == [True, False, True]
    assert [each.module for each in connections] == ["webhook", "file", "file"]


def test_a_connections_settings_lie_over_its_outputs_defaults(tmp_path: Path) -> None:
    document, numbers = compiled(
        tmp_path,
        setting(
            "outputs.0.connection_defaults", {"send_as_batch": False, "include_location": True}
        ),
        setting("connections.0.settings", {"include_location": False}),
        setting("connections.3", {"id": "ios-hook", "input": "ios", "output": "hook"}),
    )
    connections = {each.id: each for each in connection_infos(document, numbers)}
    assert not connections["web-hook"].settings.include_location
    assert connections["ios-hook"].settings.include_location
    assert not connections["web-hook"].send_as_batch
    assert not connections["ios-hook"].send_as_batch


@pytest.mark.parametrize(
    ("number", "settings", "is_batched", "wait_ms"),
    [
        (0, {}, False, None),
        (0, {"send_as_batch": True}, True, 600_000),
        (0, {"wait_for_complete_batch": True}, True, 30 * 60_000),
        (1, {}, True, None),
        (1, {"batch": {"max_wait_s": 60}}, True, 60_000),
        (1, {"wait_for_complete_batch": True}, True, 30 * 60_000),
        (1, {"send_as_batch": False}, False, None),
    ],
)
def test_a_webhook_collects_whole_batches_and_a_file_only_if_told_to(
    tmp_path: Path, number: int, settings: dict[str, Any], is_batched: bool, wait_ms: int | None
) -> None:
    """spec/connections.md, 3.6."""
    document, numbers = compiled(tmp_path, setting(f"connections.{number}.settings", settings))
    info = connection_infos(document, numbers)[number]
    assert info.send_as_batch is is_batched
    assert (info.collecting and info.collecting.max_wait_ms) == wait_ms


def test_an_environment_that_is_off_gets_nothing(tmp_path: Path) -> None:
    off = setting("outputs.0.environments", {"development": {"enabled": False}})
    document, numbers = compiled(tmp_path, off)
    hook, lake, _ = connection_infos(document, numbers)
    assert hook.environments == {"production"}
    assert lake.environments == {"production", "development"}


def test_the_device_id_goes_out_in_the_environments_whose_output_asks_for_it(
    tmp_path: Path,
) -> None:
    there = {"development": {"settings": {"include_mp_device_id": True}}}
    document, numbers = compiled(tmp_path, setting("outputs.0.environments", there))
    hook, *_ = connection_infos(document, numbers)
    assert not hook.settings.include_mp_device_id
    assert hook.settings.device_id_environments == {"development"}


@pytest.mark.parametrize("shards", [1, 3])
def test_a_queues_room_is_shared_by_the_shards(tmp_path: Path, shards: int) -> None:
    document, numbers = compiled(tmp_path, setting("outputs.1.queue", {"max_bytes": 900}))
    limits = queue_limits(document, numbers, shards)
    assert set(limits) == set(numbers.connections.values())
    assert limits[numbers.connections["web-lake"]] == 900 // shards
    assert limits[numbers.connections["web-hook"]] == 4 * 1024**3 // shards


def test_numbers_stay_when_the_document_changes(tmp_path: Path) -> None:
    document, numbers = compiled(tmp_path)
    fewer = shop()
    fewer["connections"] = fewer["connections"][1:]
    changed = load(fewer, tmp_path)
    again = connection_infos(changed, assign_numbers(changed, numbers))
    before = {each.id: each.number for each in connection_infos(document, numbers)}
    assert {each.id: each.number for each in again} == {
        name: number for name, number in before.items() if name != "web-hook"
    }


def test_the_calculated_attributes_feed_is_an_input_that_no_document_has(tmp_path: Path) -> None:
    """Its batches have no events, so that a default against such batches is not meant for it."""
    document, numbers = compiled(
        tmp_path,
        setting("connections.2.input", FEED_ID),
        setting("outputs.1.connection_defaults", {"send_batches_without_events": False}),
    )
    *others, feed = connection_infos(document, numbers)
    assert (feed.input, feed.input_id) == (FEED_NUMBER, FEED_ID)
    assert FEED_NUMBER not in numbers.inputs.values()
    assert feed.settings.send_batches_without_events
    assert [each.settings.send_batches_without_events for each in others] == [True, False]
