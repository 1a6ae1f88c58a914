"""Whether a port can be listened on, told before anything is started.

Edges share their port with `SO_REUSEPORT`. So would another deployment of the same user that
listens on it already: each would get a part of the other's requests, and nobody would notice.
"""

import errno
import socket
from ipaddress import ip_address
from threading import Event

from actors.clock import Clock

WAIT_S = 5.0  # for the processes of a run that was killed to be gone
PAUSE_S = 0.05


def is_loopback(host: str) -> bool:
    """Tell whether who listens on a host is reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_port(host: str, port: int, clock: Clock) -> None:
    """Return if nobody listens on a port; port 0 is always free.

    Raises:
        OSError: somebody does, or this process may not; says which address it is about.
    """
    if port == 0:
        return
    deadline = clock.monotonic() + WAIT_S
    while True:
        try:
            _bind(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and clock.monotonic() < deadline:
                Event().wait(PAUSE_S)
                continue
            raise OSError(f"{host}:{port} cannot be listened on: {error.strerror}") from error
        return


def _bind(host: str, port: int) -> None:
    """Take all addresses of a host for a moment, without sharing them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
