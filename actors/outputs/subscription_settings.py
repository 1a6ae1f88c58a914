"""Settings of one audience at one output (spec/connections.md, 5)."""

from collections.abc import Mapping
from typing import Any

from actors.errors import Problem
from actors.outputs.registry import MODULES


def subscription_problems(module: str, settings: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the settings of a subscription, each with its JSON pointer.

    A module that registers settings of its own checks them itself, before anything is sent.
    """
    known = MODULES.get(module)
    if known is not None and known.connection_settings_model is not None:
        return []
    return [
        Problem(
            f"Module {module} has no such setting for an audience.",
            "/settings/" + name.replace("~", "~0").replace("/", "~1"),
        )
        for name in settings
    ]
