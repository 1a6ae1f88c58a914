"""How the demo shop is served: its own workspace, on this machine only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.errors import ConfigError
from config.settings import Settings

WORKSPACE = Path(__file__).with_name("workspace.yaml")


def demo_flags(port: int) -> dict[str, Any]:
    """Return the flags of a demo at a port, beside those that a person gives.

    One edge, as what the shop's outputs are sent is kept in its memory.
    """
    address = f"127.0.0.1:{port}"
    return {
        "development": True,
        "workspace": (WORKSPACE,),
        "host": "127.0.0.1",
        "port": port,
        "edges": 1,
        "egress_allow": (address,),
    }


def demo_environ(environ: Mapping[str, str], port: int) -> dict[str, str]:
    """Return the environment with what the demo's document asks for."""
    return {**environ, "HEADWATER_DEMO_URL": f"http://127.0.0.1:{port}"}


def check_development(settings: Settings) -> None:
    """Keep development mode to this machine.

    Raises:
        ConfigError: it would be served to a network.
    """
    if settings.development and not settings.is_local:
        message = "shows what is known of visitors to everybody: host must be a loopback address"
        raise ConfigError([("development", message)])
