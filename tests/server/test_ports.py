"""Whether a port is free is told before anything is started."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.clock import SystemClock
from actors.errors import CannotListen
from config.errors import ConfigError
from config.settings import Settings
from server import ports
from server.ports import check_port, check_ports_differ

HOST = "127.0.0.1"


@pytest.fixture(params=[False, True], ids=["alone", "shared"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    """Listen on a port, also in the way in which the edges of another deployment do."""
    with socket.socket() as listener:
        if request.param:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_on_which_somebody_listens_is_refused(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "WAIT_S", 0.1)
    with pytest.raises(
        CannotListen, match=rf"{HOST}:{taken} cannot be listened on: Address already"
    ):
        check_port(HOST, taken, SystemClock())


@pytest.mark.parametrize(
    ("ports", "problems"),
    [
        pytest.param(
            {"port": 9090},
            ["admin_port: must not be 9090, which is that of port"],
            id="events and health",
        ),
        pytest.param(
            {"tls_port": 8080, "tls_cert": Path("chain.pem")},
            ["tls_port: must not be 8080, which is that of port"],
            id="HTTP and HTTPS",
        ),
        pytest.param(
            {"tls_port": 9090, "tls_cert": Path("chain.pem")},
            ["tls_port: must not be 9090, which is that of admin_port"],
            id="HTTPS and health",
        ),
        pytest.param({"tls_port": 8080}, [], id="no HTTPS"),
        pytest.param(
            {"admin_port": 8080, "host": "10.0.0.5"}, [], id="HTTP and health, each on an address"
        ),
        pytest.param({"port": 0, "admin_port": 0}, [], id="any free ones"),
    ],
)
def test_each_port_is_another_one(ports: dict[str, Any], problems: list[str]) -> None:
    found = []
    try:
        check_ports_differ(Settings(**ports))
    except ConfigError as error:
        found = error.lines()
    assert found == problems


def test_a_free_port_passes_and_stays_free() -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    check_port(HOST, port, SystemClock())
    check_port(HOST, port, SystemClock())
    check_port(HOST, 0, SystemClock())
