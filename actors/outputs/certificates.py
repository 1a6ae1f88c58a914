"""Certificates as settings have them: PEM, in the document itself."""

import ssl
from typing import Annotated

from pydantic import AfterValidator


def _certificates(text: str) -> str:
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError):
        raise ValueError("must be one or more certificates in PEM form") from None
    return text


Certificates = Annotated[str, AfterValidator(_certificates)]


def tls_context(ca_certificate: str | None, *, verify_tls: bool) -> ssl.SSLContext:
    """Return how a server proves who it is.

    Args:
        ca_certificate: of who has signed its certificate, `None`: the usual authorities.
        verify_tls: whether it has to prove it at all.
    """
    context = ssl.create_default_context(cadata=ca_certificate)
    if not verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
