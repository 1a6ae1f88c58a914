"""Settings of the output `webhook` (spec/connections.md, 7.1)."""

import base64
import binascii
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from actors.outputs.module import OutputSettings
from actors.outputs.web_urls import web_url

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)


def _header_value(secret: SecretStr) -> SecretStr:
    value = secret.get_secret_value()
    if not value.isprintable():
        raise ValueError("must not contain line breaks or control characters")
    return secret


def _header_name(name: str) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("is not a header name")
    if name.lower() in _OWN_HEADERS:
        raise ValueError("is set by the webhook itself")
    return name


def _url(url: str) -> str:
    parts = web_url(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold credentials; use authorization_header")
    return url


def secret_bytes(secret: str) -> bytes:
    """Return the key of a `whsec_<base64>` secret.

    Raises:
        ValueError: it has another form, or not 24 to 64 bytes.
    """
    prefix, _, encoded = secret.partition("_")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        key = b""
    if prefix != "whsec" or not 24 <= len(key) <= 64:
        raise ValueError("must be whsec_ followed by the base64 of 24 to 64 bytes")
    return key


def _signing_secret(secret: SecretStr) -> SecretStr:
    secret_bytes(secret.get_secret_value())
    return secret


HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]
SigningSecret = Annotated[SecretStr, AfterValidator(_signing_secret)]
SigningSecrets = Annotated[list[SigningSecret], Field(min_length=1, max_length=2)]


class WebhookBatch(OutputSettings):
    """How many batches share a body, where bodies hold several."""

    max_batches: int = Field(default=100, ge=1, le=10_000)
    max_wait_ms: int = Field(default=1000, ge=0, le=600_000)


class WebhookSettings(OutputSettings):
    """Settings of the module `webhook`. Two signing secrets: both sign, while one is replaced.

    `max_profiles_per_request`: how many changes of one audience share a body.
    """

    url: Annotated[str, AfterValidator(_url)]
    authorization_header: HeaderValue | None = None
    headers: dict[Annotated[str, AfterValidator(_header_name)], HeaderValue] = Field(
        default_factory=dict
    )
    signing_secret: SigningSecret | SigningSecrets | None = None
    include_mp_device_id: bool = False
    compression: Literal["none", "gzip"] = "none"
    body: Literal["object", "array", "ndjson"] = "object"
    batch: WebhookBatch = WebhookBatch()
    max_profiles_per_request: int = Field(default=100, ge=1, le=1000)
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    timeout_s: float = Field(default=30.0, gt=0, le=600)
    verify_tls: bool = True
    allow_insecure: bool = False

    @model_validator(mode="after")
    def _one_authorization(self) -> "WebhookSettings":
        names = {name.lower() for name in self.headers}
        if self.authorization_header is not None and "authorization" in names:
            raise ValueError("authorization_header and headers both set Authorization")
        return self

    @property
    def keys(self) -> list[bytes]:
        """The keys that sign each body."""
        secrets = self.signing_secret
        if secrets is None:
            return []
        if isinstance(secrets, SecretStr):
            secrets = [secrets]
        return [secret_bytes(secret.get_secret_value()) for secret in secrets]

    @property
    def is_bound_to_list(self) -> bool:
        """Whether only targets that the operator has opened may be sent to: plain http is that."""
        return urlsplit(self.url).scheme == "http" and not self.allow_insecure
