"""Signs what is said about data subject requests (spec/privacy.md, 4.2)."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from msgspec import Struct

from actors.privacy.requests import Version

MIN_KEY_BITS = 2048
SELF_SIGNED_DAYS = 10 * 365


class UnusablePair(ValueError):
    """A key and a certificate cannot sign for a domain; says why."""


class SigningPair(Struct, frozen=True):
    """A private key and the certificate (chain) of it, both PEM; `domain`: whom it speaks for."""

    key: bytes
    certificate: bytes
    domain: str
    is_self_signed: bool = False

    def __repr__(self) -> str:
        return f"SigningPair({self.domain!r})"


class Signer:
    """Signs with one pair."""

    def __init__(self, pair: SigningPair) -> None:
        """Raises UnusablePair."""
        self.certificate = pair.certificate
        self.domain = pair.domain
        self.is_self_signed = pair.is_self_signed
        self._key = _checked(pair)

    def headers(self, version: Version, body: bytes) -> dict[str, str]:
        """Return the headers of an answer or a callback: whose it is, and the proof."""
        standard = "OpenGDPR" if version == "1.0" else "OpenDSR"
        signature = self._key.sign(body, padding.PKCS1v15(), hashes.SHA256())
        return {
            f"X-{standard}-Processor-Domain": self.domain,
            f"X-{standard}-Signature": b64encode(signature).decode(),
        }


def self_signed(domain: str, now_ms: int) -> SigningPair:
    """Make a pair that nobody vouches for."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=MIN_KEY_BITS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return SigningPair(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        certificate.public_bytes(serialization.Encoding.PEM),
        domain,
        is_self_signed=True,
    )


def _checked(pair: SigningPair) -> rsa.RSAPrivateKey:
    try:
        key = serialization.load_pem_private_key(pair.key, None)
        [certificate, *_] = x509.load_pem_x509_certificates(pair.certificate)
    except (ValueError, TypeError):  # TypeError: it is encrypted
        raise UnusablePair("must be PEM, and the key not encrypted") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < MIN_KEY_BITS:
        raise UnusablePair(f"the key must be RSA, of at least {MIN_KEY_BITS} bits")
    if certificate.public_key() != key.public_key():
        raise UnusablePair("the first certificate must be that of the key")
    if pair.domain not in _domains(certificate):
        raise UnusablePair(f"the certificate must be for processor_domain '{pair.domain}'")
    return key


def _domains(certificate: x509.Certificate) -> set[str]:
    found = {
        str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    }
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return found
    return found | set(names.value.get_values_for_type(x509.DNSName))
