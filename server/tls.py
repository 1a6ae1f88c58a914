"""HTTPS on edges (spec/clients.md, 2)."""

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

from msgspec import Struct

from config.errors import ConfigError
from config.settings import Settings

logger = logging.getLogger("headwater.tls")

LOOK_S = 10.0  # a certificate is renewed days before it ends


class Tls(Struct, frozen=True):
    """Where HTTPS is served, and by which certificate."""

    cert: Path
    key: Path
    port: int

    def context(self) -> ssl.SSLContext:
        """Return what a listening socket needs. Raises OSError: the files cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A key that is encrypted is refused: nobody is there to be asked for its password.
        context.load_cert_chain(self.cert, self.key, password="")
        return context


class ServedCertificate:
    """What a listening socket needs, by the certificate as it is renewed.

    Attributes:
        context: of the socket. Each new connection is given the context of the newest certificate:
            that one is made whole before it is used, so that none meets half of a renewal.
    """

    def __init__(self, tls: Tls) -> None:
        """Raises OSError: the files cannot be used."""
        self._tls = tls
        self._seen = self._stamps()  # before they are read: what changes meanwhile is seen later
        self.context = self._newest = tls.context()
        self.context.sni_callback = self._choose

    async def look(self) -> None:
        """Take the files if they have changed; if they cannot be used, the former ones stay."""
        try:
            stamps = await asyncio.to_thread(self._stamps)
            if stamps == self._seen:
                return
            self._newest = await asyncio.to_thread(self._tls.context)
        except OSError as error:  # perhaps one of the two is still to come
            logger.warning(
                "certificate and key have changed and cannot be used; the former ones are served",
                extra={"event": "certificate_refused", "problem": reason_of(error)},
            )
            return
        self._seen = stamps
        logger.info("another certificate is served", extra={"event": "certificate_renewed"})

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: Any) -> None:
        connection.context = self._newest

    def _stamps(self) -> list[tuple[int, int, int]]:
        found = (path.stat() for path in (self._tls.cert, self._tls.key))
        return [(each.st_ino, each.st_mtime_ns, each.st_size) for each in found]


def reason_of(error: OSError) -> str:
    """Return why files cannot be used; `ssl.SSLError` is an OSError."""
    reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
    return reason or type(error).__name__


def tls_of(settings: Settings) -> Tls | None:
    """Return how HTTPS is served, `None` if it is not.

    Raises:
        ConfigError: there is a certificate without a key or a key without one, or they are of no
            use.
    """
    if settings.tls_cert is None and settings.tls_key is None:
        return None
    if settings.tls_cert is None or settings.tls_key is None:
        missing = "tls_cert" if settings.tls_cert is None else "tls_key"
        raise ConfigError([(missing, "HTTPS needs both tls_cert and tls_key")])
    tls = Tls(settings.tls_cert.absolute(), settings.tls_key.absolute(), settings.tls_port)
    try:
        tls.context()
    except OSError as error:
        message = f"certificate and key cannot be used: {reason_of(error)}"
        raise ConfigError([("tls_cert", message)]) from None
    return tls
