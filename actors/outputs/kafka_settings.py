"""Settings of the output `kafka` (spec/connections.md, 7.3)."""

import re
import ssl
from tempfile import NamedTemporaryFile
from typing import Annotated, Literal

from aiokafka.codec import has_lz4, has_snappy, has_zstd
from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from actors.outputs.certificates import Certificates, tls_context
from actors.outputs.module import OutputSettings

DEFAULT_PORT = 9092
MAX_TOPIC = 249
PLACEHOLDERS = ("workspace", "input", "event_type")

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_NOT_IN_TOPICS = re.compile(r"[^A-Za-z0-9._-]")
_CODECS = {"snappy": has_snappy, "lz4": has_lz4, "zstd": has_zstd}

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


def _servers(text: str) -> str:
    for server in text.split(","):
        match = _SERVER.fullmatch(server.strip())
        if match is None or not 0 < int(match[2] or DEFAULT_PORT) < 65536:
            raise ValueError("must be host:port, several with commas between them")
    return text


def _template(text: str) -> str:
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise ValueError(f"has the unknown placeholder {{{name}}}; there are {known}")
    rest = _PLACEHOLDER.sub("", text)
    if _NOT_IN_TOPICS.search(rest) or text in ("", ".", "..") or len(rest) > MAX_TOPIC:
        raise ValueError("must be letters, digits, '.', '_', '-' and placeholders, at most 249")
    return text


def _compression(name: str) -> str:
    if not _CODECS.get(name, lambda: True)():
        raise ValueError(f"{name} needs the package cramjam, which is not installed")
    return name


def _no_password() -> bytes:
    raise ValueError("the key is encrypted")


def _show(context: ssl.SSLContext, certificate: str, key: SecretStr) -> None:
    """Have a context show a certificate. OpenSSL takes it from a file only, here for a moment."""
    with NamedTemporaryFile(suffix=".pem") as file:  # nobody else may read it
        file.write(f"{key.get_secret_value()}\n{certificate}".encode())
        file.flush()
        context.load_cert_chain(file.name, password=_no_password)


class KafkaSettings(OutputSettings):
    """Settings of the module `kafka`.

    `ca_certificate`: PEM of who has signed the brokers' certificates, instead of the usual ones.
    `client_certificate`, `client_key`: PEM of what is shown to brokers that ask who their client
    is, the certificate with those between it and its authority.
    """

    bootstrap_servers: Annotated[str, AfterValidator(_servers)]
    topic: Annotated[str, AfterValidator(_template)]
    allow_insecure: bool = False
    username: str | None = None
    password: Annotated[SecretStr | None, Field(validate_default=True)] = None
    security_protocol: Annotated[Protocol | None, Field(validate_default=True)] = None
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    ca_certificate: Certificates | None = None
    verify_tls: bool = True
    client_certificate: Certificates | None = None
    client_key: Annotated[SecretStr | None, Field(validate_default=True)] = None
    acks: Literal["all"] = "all"
    enable_idempotence: bool = True
    compression_type: Annotated[
        Literal["none", "gzip", "snappy", "lz4", "zstd"], AfterValidator(_compression)
    ] = "none"
    key: Literal["mpid"] = "mpid"
    value: Literal["batch_json", "event_json"] = "batch_json"
    timeout_s: float = Field(default=30.0, gt=0, le=600)

    @field_validator("password")
    @classmethod
    def _has_both(cls, password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        username = info.data.get("username")
        if password is not None and username is None:
            raise ValueError("is of no use without username")
        if password is None and username is not None:
            raise ValueError("is missing; username is set")
        return password

    @field_validator("security_protocol")
    @classmethod
    def _fits(cls, protocol: Protocol | None, info: ValidationInfo) -> Protocol:
        has_login = info.data.get("username") is not None
        chosen: Protocol = protocol or ("SASL_SSL" if has_login else "SSL")
        if has_login != chosen.startswith("SASL_"):
            raise ValueError("has to begin with SASL_ where username is set, and only there")
        if chosen.endswith("PLAINTEXT") and not info.data.get("allow_insecure"):
            raise ValueError(f"{chosen} is only possible with allow_insecure: true")
        return chosen

    @field_validator("client_key")
    @classmethod
    def _proves(cls, key: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        certificate = info.data.get("client_certificate")
        if (key is None) != (certificate is None):
            raise ValueError("goes with client_certificate: both or none")
        if key is None or certificate is None:
            return None
        if not str(info.data.get("security_protocol")).endswith("SSL"):
            raise ValueError("is of no use without TLS")
        try:
            _show(ssl.create_default_context(), certificate, key)
        except (ssl.SSLError, ValueError):
            raise ValueError("must be the key of client_certificate, PEM, not encrypted") from None
        return key

    @property
    def tls(self) -> ssl.SSLContext | None:
        """How brokers prove who they are, `None` without TLS."""
        if not str(self.security_protocol).endswith("SSL"):
            return None
        context = tls_context(self.ca_certificate, verify_tls=self.verify_tls)
        if self.client_certificate is not None and self.client_key is not None:
            _show(context, self.client_certificate, self.client_key)
        return context

    @property
    def has_one_topic(self) -> bool:
        """Whether the topic is the same for every delivery."""
        return not {"input", "event_type"} & set(_PLACEHOLDER.findall(self.topic))

    @property
    def has_topic_per_type(self) -> bool:
        """Whether events of different types go to different topics."""
        return "{event_type}" in self.topic

    def topic_for(self, workspace: str, input_id: str, event_type: str) -> str:
        """Fill the template in, and make a name of it that Kafka takes."""
        values = {"workspace": workspace, "input": input_id, "event_type": event_type}
        filled = _PLACEHOLDER.sub(lambda match: values[match[1]], self.topic)
        name = _NOT_IN_TOPICS.sub("_", filled)[:MAX_TOPIC]
        return name.replace(".", "_") if name in (".", "..") else name or "_"
