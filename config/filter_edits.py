"""Edits of data filters that change more than what is sent (spec/connections.md, 2.4, 2.5)."""

from collections.abc import Iterable
from typing import Any, get_args

from pydantic import ValidationError

from actors.batches.identities import USER_IDENTITIES
from actors.pipeline.names import COMMERCE_KEYS
from config.forwarding import CustomEventType
from config.forwarding_problems import hidden_mappings
from config.merging import Data
from config.outputs import Connection, Output


def all_off(screens: Iterable[str]) -> dict[str, Any]:
    """Return the filter that switches everything off.

    `screens`: the names of those that are known; new ones follow the output's default.
    """
    return {
        "event_types": {"disabled": list(get_args(CustomEventType))},
        "screens": {"disabled": sorted(screens)},
        "commerce": {"disabled": list(COMMERCE_KEYS)},
        "user_attributes": {"all": False},
        "user_identities": {"disabled": sorted(USER_IDENTITIES)},
    }


def drop_hidden_mappings(data: Data, output: str) -> None:
    """Take away the custom mappings of an output's connections whose events are switched off.

    What is not well-formed is left alone: it is refused with the document.
    """
    try:
        [target] = [
            Output.model_validate(each) for each in data.get("outputs", []) if each["id"] == output
        ]
        for item in data.get("connections", []):
            if item.get("output") == output and item.get("custom_mappings"):
                hidden = set(hidden_mappings(Connection.model_validate(item), target))
                item["custom_mappings"] = [
                    each
                    for index, each in enumerate(item["custom_mappings"])
                    if index not in hidden
                ]
    except (ValidationError, ValueError):
        return
