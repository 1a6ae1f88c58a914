"""spec/connections.md, 3.6 and 6."""

from typing import Any

import pytest
from pydantic import ValidationError

from actors.outgoing import MESSAGE_TYPES
from actors.outputs.connection_settings import (
    TOGGLES,
    ConnectionSettings,
    collecting,
    payload_settings,
)
from actors.outputs.warehouse.settings import WarehouseConnectionSettings
from actors.pipeline.connection import Collecting


def test_case_33_two_ways_of_batching_exclude_each_other() -> None:
    message = "Send as Batch and Wait for Complete Batch cannot both be enabled."
    with pytest.raises(ValidationError, match=message):
        ConnectionSettings(send_as_batch=True, wait_for_complete_batch=True)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"wait_for_complete_batch": True, "raw_data_feed": True}, "sends batches as they came in"),
        ({"expand_commerce_events": True, "raw_data_feed": True}, "not expanded"),
        ({"metadata_field_exclusion": ["os_version"]}, "a path under device_info"),
        ({"metadata_field_exclusion": ["device_info."]}, "a path under device_info"),
        ({"unique_id": "shoe_size"}, "Input should be"),
        ({"send_as_batch": "true"}, "valid boolean"),
        ({"sampling": 5}, "Extra inputs"),
    ],
)
def test_what_would_have_no_effect_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        ConnectionSettings.model_validate(settings)


@pytest.mark.parametrize("name", ["expand_commerce_events", "raw_data_feed"])
def test_a_warehouse_is_sent_no_events_that_it_could_not_load(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        WarehouseConnectionSettings.model_validate({name: True})


def test_every_toggled_type_is_an_event_type_and_has_one_toggle() -> None:
    toggled = [event_type for types in TOGGLES.values() for event_type in types]
    assert sorted(toggled) == sorted(MESSAGE_TYPES)


def test_equal_settings_compile_to_equal_ones() -> None:
    first = ConnectionSettings(metadata_field_exclusion=["device_name", "ip_address"])
    second = ConnectionSettings(metadata_field_exclusion=["ip_address", "device_info.device"])
    assert payload_settings(first) == payload_settings(second)
    assert hash(payload_settings(first)) == hash(payload_settings(second))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"send_as_batch": True}, Collecting(600_000, 1000, 1024 * 1024)),
        (
            {"send_as_batch": True, "batch": {"max_events": 5, "max_bytes": 2048, "max_wait_s": 1}},
            Collecting(1000, 5, 2048),
        ),
        ({"send_as_batch": True, "batch": {"max_wait_s": 0}}, None),
        ({"send_as_batch": True, "raw_data_feed": True}, None),
        (
            {"wait_for_complete_batch": True},
            Collecting(30 * 60_000, 100_000, 16 * 1024 * 1024, is_until_session_end=True),
        ),
    ],
)
def test_how_a_device_is_collected(settings: dict[str, Any], expected: Collecting | None) -> None:
    compiled = ConnectionSettings.model_validate(settings)
    is_batched = bool(compiled.send_as_batch)
    assert collecting(compiled, is_batched=is_batched, default_wait_s=600) == expected


def test_modules_whose_batches_are_not_held_up_collect_where_a_connection_says_so() -> None:
    plain = ConnectionSettings()
    assert collecting(plain, is_batched=True, default_wait_s=0) is None
    slow = ConnectionSettings.model_validate({"batch": {"max_wait_s": 600}})
    assert collecting(slow, is_batched=True, default_wait_s=0) is not None
