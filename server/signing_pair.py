"""The key that signs answers and callbacks of data subject requests (spec/privacy.md, 4.2)."""

import logging

import msgspec

from actors.clock import Clock
from actors.privacy.signing import Signer, SigningPair, UnusablePair, self_signed
from actors.store.folder import DataFolder
from config.errors import ConfigError
from config.sealing import Sealer
from config.settings import Settings

FILE = "dsr.pair"

logger = logging.getLogger("headwater.serve")


def signing_pair(
    settings: Settings, folder: DataFolder, sealer: Sealer, clock: Clock
) -> SigningPair:
    """Return the operator's pair, or one that is made once for a domain, and kept sealed.

    Raises:
        ConfigError: the operator's files cannot be used, or the kept pair is sealed with another
            key.
    """
    if settings.dsr_cert is not None or settings.dsr_key is not None:
        return _given(settings)
    logger.warning(
        "answers to data subject requests are signed with a self-signed certificate, which OpenDSR "
        "forbids in production; set dsr_cert and dsr_key",
        extra={"event": "dsr_self_signed", "domain": settings.processor_domain},
    )
    kept = folder.read(FILE)
    if kept is not None:
        pair = msgspec.msgpack.decode(sealer.unseal(kept), type=SigningPair)
        if pair.domain == settings.processor_domain:
            return pair
    pair = self_signed(settings.processor_domain, clock.now_ms())
    folder.write(FILE, sealer.seal(msgspec.msgpack.encode(pair)))
    return pair


def _given(settings: Settings) -> SigningPair:
    cert, key = settings.dsr_cert, settings.dsr_key
    if cert is None or key is None:
        missing = "dsr_cert" if cert is None else "dsr_key"
        raise ConfigError([(missing, "signing needs both dsr_cert and dsr_key")])
    try:
        pair = SigningPair(key.read_bytes(), cert.read_bytes(), settings.processor_domain)
        Signer(pair)
    except OSError as error:
        raise ConfigError([("dsr_cert", f"cannot be read: {error.strerror}")]) from None
    except UnusablePair as error:
        raise ConfigError([("dsr_cert", str(error))]) from None
    return pair
