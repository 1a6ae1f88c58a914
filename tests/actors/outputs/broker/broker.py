"""A real Kafka broker in KRaft mode, one for a whole run of tests.

Maven fetches it into the user's repository. Where Java or Maven are missing, root installs them;
anybody else's tests are skipped.
"""

import atexit
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.installing import install, one_at_a_time

POM = Path(__file__).parent / "pom.xml"
CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
USER, PASSWORD = "cdp", "right-password"
DEADLINE_S = 60.0
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")


@cache
def shared_broker() -> "Broker":
    """Start the broker at the first call; skip the test where there can be none."""
    _need_java()
    broker = Broker(Path(tempfile.mkdtemp(prefix="headwater-kafka-")))
    atexit.register(broker.remove)
    broker.format()
    broker.start()
    return broker


def _need_java() -> None:
    if shutil.which("java") and shutil.which("mvn"):
        return
    if not install("default-jre-headless", "maven"):
        pytest.skip("a Kafka broker needs java and mvn")


@cache
def _classpath() -> str:
    with tempfile.NamedTemporaryFile("r") as file, one_at_a_time():
        done = subprocess.run(
            [
                *("mvn", "-q", "-B", "-f", str(POM), "dependency:build-classpath"),
                f"-Dmdep.outputFile={file.name}",
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"Maven cannot fetch Kafka: {done.stdout[-500:]}")
        return Path(file.name).read_text()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Broker:
    """One broker, that is its own controller.

    Attributes:
        plain: address without TLS; `tls`: with it; `login`: with TLS and SASL.
        relayed: address that names `relay_port` to its clients: a relay in between can fail.
        ca_certificate: PEM of who signed its certificate.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = free_ports(6)
        self._controller_port = ports[0]
        self.plain, self.relayed, self.tls, self.login = (
            f"127.0.0.1:{port}" for port in ports[1:5]
        )
        self.relay_port = ports[5]
        self.ca_certificate = self._certificate()
        self._process: subprocess.Popen[bytes] | None = None

    def _certificate(self) -> str:
        """Write key and certificate for the broker; return the certificate, signed by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), False
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (self.folder / "broker.pem").write_bytes(private + pem)
        return pem.decode()

    def format(self) -> None:
        """Write its settings and make its folder, with a user for SCRAM."""
        names = {
            "PLAINTEXT": self.plain,
            "RELAYED": self.relayed,
            "SSL": self.tls,
            "SASL_SSL": self.login,
        }
        advertised = names | {"RELAYED": f"127.0.0.1:{self.relay_port}"}
        controller = f"127.0.0.1:{self._controller_port}"
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": _listeners(names | {"CONTROLLER": controller}),
            "advertised.listeners": _listeners(advertised),
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,"
            "RELAYED:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.folder / "broker.pem"),
            "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        }
        for mechanism in MECHANISMS:
            lines[f"listener.name.sasl_ssl.{mechanism.lower()}.sasl.jaas.config"] = (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            )
        text = "".join(f"{name}={value}\n" for name, value in lines.items())
        self._settings.write_text(text)
        arguments = ["format", "-t", CLUSTER, "-c", str(self._settings)]
        for mechanism in MECHANISMS:
            arguments += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
        command = _java("kafka.tools.StorageTool", *arguments)
        subprocess.run(command, check=True, capture_output=True)

    @property
    def _settings(self) -> Path:
        return self.folder / "server.properties"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with (self.folder / "out.log").open("ab") as log:
            self._process = subprocess.Popen(
                _java("kafka.Kafka", str(self._settings)), stdout=log, stderr=log
            )
        deadline = time.monotonic() + DEADLINE_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "out.log").read_text()[-2000:])
            time.sleep(0.05)

    def _listens(self) -> bool:
        host, port = self.plain.split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def kill(self) -> None:
        """Kill it; it can be started again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Kill it and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _listeners(addresses: dict[str, str]) -> str:
    return ",".join(f"{name}://{address}" for name, address in addresses.items())


def _java(*arguments: str) -> list[str]:
    return ["java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", _classpath(), *arguments]
