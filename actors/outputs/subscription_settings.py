"""Settings of one audience at one output (spec/connections.md, 5).

No module of ours has any: what an output needs is in its own settings.
"""

from collections.abc import Mapping
from typing import Any

from actors.errors import Problem


def subscription_problems(module: str, settings: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the settings of a subscription, each with its JSON pointer."""
    return [
        Problem(
            f"Module {module} has no such setting for an audience.",
            "/settings/" + name.replace("~", "~0").replace("/", "~1"),
        )
        for name in settings
    ]
