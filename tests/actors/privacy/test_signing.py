"""What may sign, and that nothing secret is shown of it (spec/privacy.md, 4.2)."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from actors.privacy.signing import Signer, SigningPair, UnusablePair, self_signed
from tests.signing import DOMAIN, MADE_MS, pair


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b"") -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, domain: str) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    now = datetime(2024, 1, 1, tzinfo=UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_a_pair_for_the_domain_signs_by_subject_or_alternative_name() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    Signer(SigningPair(pem(key), certificate(key, DOMAIN), DOMAIN))
    assert Signer(pair()).is_self_signed


def test_pairs_that_nobody_could_verify_are_refused() -> None:
    own = pair()
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    curve = ec.generate_private_key(ec.SECP256R1())
    other = self_signed(DOMAIN, MADE_MS)
    for wrong, message in (
        (SigningPair(pem(small), certificate(small, DOMAIN), DOMAIN), "at least 2048 bits"),
        (SigningPair(pem(curve), certificate(curve, DOMAIN), DOMAIN), "must be RSA"),
        (SigningPair(own.key, other.certificate, DOMAIN), "must be that of the key"),
        (SigningPair(own.key, own.certificate, "other.example.com"), "processor_domain"),
        (SigningPair(b"x", own.certificate, DOMAIN), "must be PEM"),
        (SigningPair(own.key, b"", DOMAIN), "must be PEM"),
        (SigningPair(pem(small, b"secret"), own.certificate, DOMAIN), "not encrypted"),
    ):
        with pytest.raises(UnusablePair, match=message):
            Signer(wrong)


def test_the_key_is_not_in_what_is_shown() -> None:
    assert "PRIVATE" not in repr(pair())
