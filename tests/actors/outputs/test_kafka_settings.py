"""How the output `kafka` proves who it is to brokers that ask for a certificate."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from actors.outputs.kafka_settings import KafkaSettings


def identity(name: str, password: bytes | None = None) -> tuple[str, str]:
    """Return a certificate that is signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    encryption: Any = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    encoding = serialization.Encoding.PEM
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, encryption)
    return certificate.public_bytes(encoding).decode(), private.decode()


def settings(**changes: Any) -> KafkaSettings:
    base = {"bootstrap_servers": "broker.example:9093", "topic": "t"}
    return KafkaSettings.model_validate(base | changes)


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> dict[str, Any] | None:
    """Return the certificate that the server has got of the client."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="broker.example"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[1].getpeercert()


@pytest.fixture
def server(tmp_path: Path) -> tuple[ssl.SSLContext, str, str, str]:
    """Return a broker's TLS, its certificate, and certificate and key of its client."""
    own, own_key = identity("broker.example")
    shown, key = identity("headwater")
    file = tmp_path / "broker.pem"
    file.write_text(own_key + own)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=shown)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(file)
    return context, own, shown, key


def test_a_broker_that_asks_is_shown_the_certificate(
    server: tuple[ssl.SSLContext, str, str, str],
) -> None:
    context, own, shown, key = server
    chosen = settings(ca_certificate=own, client_certificate=shown, client_key=key)
    assert chosen.tls is not None
    seen = shake_hands(chosen.tls, context)
    assert seen is not None
    assert seen["subject"] == ((("commonName", "headwater"),),)
    assert key not in repr(chosen)


def test_without_one_it_is_refused(server: tuple[ssl.SSLContext, str, str, str]) -> None:
    context, own, _, _ = server
    plain = settings(ca_certificate=own).tls
    assert plain is not None
    with pytest.raises(ssl.SSLError, match="peer did not return a certificate"):
        shake_hands(plain, context)


def test_certificates_that_prove_nothing_are_refused() -> None:
    shown, key = identity("headwater")
    _, other_key = identity("other")
    encrypted, encrypted_key = identity("headwater", b"password")
    for changes, problem in (
        ({"client_certificate": shown}, "both or none"),
        ({"client_key": key}, "both or none"),
        ({"client_certificate": shown, "client_key": other_key}, "must be the key"),
        ({"client_certificate": shown, "client_key": "x"}, "must be the key"),
        ({"client_certificate": encrypted, "client_key": encrypted_key}, "not encrypted"),
        ({"client_certificate": "x", "client_key": key}, "PEM form"),
        (
            {
                "client_certificate": shown,
                "client_key": key,
                "security_protocol": "PLAINTEXT",
                "allow_insecure": True,
            },
            "of no use without TLS",
        ),
    ):
        with pytest.raises(ValidationError, match=problem) as refused:
            settings(**changes)
        assert "PRIVATE KEY" not in str(refused.value)
