"""HTTPS on edges (spec/clients.md, 2)."""

import ssl
from pathlib import Path

from msgspec import Struct

from config.errors import ConfigError
from config.settings import Settings


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
    except OSError as error:  # ssl.SSLError is one
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        message = f"certificate and key cannot be used: {reason or type(error).__name__}"
        raise ConfigError([("tls_cert", message)]) from None
    return tls
