"""Where is listened, and whether that can be, told before anything is started.

Edges share their port with `SO_REUSEPORT`. So would another deployment of the same user that
listens on it already: each would get a part of the other's requests, and nobody would notice.
"""

import errno
import socket
from itertools import combinations
from threading import Event

from actors.clock import Clock
from actors.errors import CannotListen
from config.errors import ConfigError
from config.settings import Settings

WAIT_S = 5.0  # for the processes of a run that was killed to be gone
PAUSE_S = 0.05


def check_port(host: str, port: int, clock: Clock) -> None:
    """Return if nobody listens on a port; port 0 is always free.

    Raises:
        CannotListen: somebody does, or this process may not.
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
            raise cannot_listen(host, port, error) from error
        return


def cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    """Return the error that says what is wrong with a port."""
    return CannotListen(f"{host}:{port} cannot be listened on: {error.strerror or error}")


def check_ports_differ(settings: Settings) -> None:
    """Raise ConfigError if two of the ports that are listened on are the same.

    Edges share theirs, so that one of HTTP and of HTTPS could be the same, and each would be sent
    the other's connections.
    """
    ports = {"port": settings.port}
    if settings.host == settings.admin_host:  # two addresses have each their own
        ports["admin_port"] = settings.admin_port
    if settings.tls_cert is not None:
        ports["tls_port"] = settings.tls_port
    problems = [
        (name, f"must not be {number}, which is that of {other}")
        for (other, taken), (name, number) in combinations(ports.items(), 2)
        if number == taken != 0
    ]
    if problems:
        raise ConfigError(problems)


def _bind(host: str, port: int) -> None:
    """Take all addresses of a host for a moment, without sharing them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
