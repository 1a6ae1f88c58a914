"""What tests of real SDKs need besides Python: toolchains, a browser, a certificate."""

import datetime
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.installing import install

INSTALL_S = 600
BROWSER_FLAGS = [
    "--no-sandbox",
    # A page of the internet may not ask this machine, unless a person says so.
    "--disable-features=LocalNetworkAccessChecks",
    "--ignore-certificate-errors",  # of beacons too, which outlive their page
]


def run(*command: str, folder: Path | None = None, environ: dict[str, str] | None = None) -> str:
    """Run a command; return what it prints. Fails the test with its output otherwise."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=None if environ is None else {**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def toolchain(command: str, *packages: str) -> str:
    """Return the path of a command, installed from Debian's packages if need be, or skip."""
    found = shutil.which(command)
    if found is None and install(*packages):
        found = shutil.which(command)
    if found is None:
        pytest.skip(f"there is no {command}, and it cannot be installed")
    return found


def chromium() -> str:
    """Return the path of Chromium, installed from Debian's package if need be, or skip."""
    return shutil.which("chromium-browser") or toolchain("chromium", "chromium")


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of this machine that nobody has signed; return its file and the key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin.replace(year=2120))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cert_file, key_file
