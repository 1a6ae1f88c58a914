"""spec/connections.md, 3.6 and 6."""

from typing import Any

import pytest
from pydantic import ValidationError

from actors.outgoing import MESSAGE_TYPES
from actors.outputs.connection_settings import TOGGLES, ConnectionSettings, payload_settings


def test_case_33_two_ways_of_batching_exclude_each_other() -> None:
    message = "Send as Batch and Wait for Complete Batch cannot both be enabled."
    with pytest.raises(ValidationError, match=message):
        ConnectionSettings(send_as_batch=True, wait_for_complete_batch=True)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"wait_for_complete_batch": True}, "wait_for_complete_batch is not supported"),
        ({"send_alias_requests": True}, "send_alias_requests is not supported"),
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


def test_every_toggled_type_is_an_event_type_and_has_one_toggle() -> None:
    toggled = [event_type for types in TOGGLES.values() for event_type in types]
    assert sorted(toggled) == sorted(MESSAGE_TYPES)


def test_equal_settings_compile_to_equal_ones() -> None:
    first = ConnectionSettings(metadata_field_exclusion=["device_name", "ip_address"])
    second = ConnectionSettings(metadata_field_exclusion=["ip_address", "device_info.device"])
    assert payload_settings(first) == payload_settings(second)
    assert hash(payload_settings(first)) == hash(payload_settings(second))
