"""Whether a port is free is told before anything is started."""

import socket
from collections.abc import Iterator

import pytest

from actors.clock import SystemClock
from server import ports
from server.ports import check_port

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
    with pytest.raises(OSError, match=rf"{HOST}:{taken} cannot be listened on: Address already"):
        check_port(HOST, taken, SystemClock())


def test_a_free_port_passes_and_stays_free() -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    check_port(HOST, port, SystemClock())
    check_port(HOST, port, SystemClock())
    check_port(HOST, 0, SystemClock())
