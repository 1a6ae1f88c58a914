"""Output `file` over `sftp://`: where its library's connection goes (spec/connections.md, 3.8)."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import ResolveResult
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

from actors.clock import ManualClock
from actors.outputs.contract import Delivered, Fatal, Retry
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.file import FileOutput
from actors.outputs.file_settings import FileSettings
from tests.actors.forwarding.support import delivery


class Library(MemoryFileSystem):  # type: ignore[misc]
    """In place of the real one, whose package need not be installed: it is handed a connection."""

    protocol = "sftp"
    peers: list[Any] = []  # noqa: RUF012  # emptied by the fixture
    closed: list[str] = []  # noqa: RUF012  # likewise
    limits: list[tuple[str, float]] = []  # noqa: RUF012  # likewise

    def __init__(self, host: str, sock: socket.socket, **options: Any) -> None:
        super().__init__(**options)
        self.peers.append((host, sock.getpeername()))
        sock.close()
        self._number = len(self.peers)
        self.client = self.ftp = self

    def get_channel(self) -> Any:
        return self

    def get_transport(self) -> Any:
        return self

    def settimeout(self, timeout_s: float) -> None:
        self.limits.append(("silence", timeout_s))

    def set_keepalive(self, interval_s: float) -> None:
        self.limits.append(("keepalive", interval_s))

    def close(self) -> None:
        self.closed.append(f"session {self._number}")

    def put_file(self, *arguments: Any, **options: Any) -> None:
        if self._number == 1:
            raise OSError("Socket is closed")
        super().put_file(*arguments, **options)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/lake" + path.removeprefix("sftp://files.example").removeprefix("/lake")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        return {"host": "files.example"}


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Library, "peers", [])
    monkeypatch.setattr(Library, "closed", [])
    monkeypatch.setattr(Library, "limits", [])
    monkeypatch.setitem(_registry, "sftp", Library)


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Answer each question of a name with the next address."""
    answers = iter(addresses)

    async def resolve(self: object, host: str, port: int = 0, family: int = 0) -> Any:
        flags = socket.AI_NUMERICHOST
        return [
            ResolveResult(
                hostname=host,
                host=next(answers),
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=flags,
            )
        ]

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)


async def open_output(tmp_path: Path, port: int, *allow: str) -> FileOutput:
    settings = FileSettings.model_validate(
        {"url": "sftp://files.example/lake", "storage_options": {"port": port}}
    )
    surroundings = OutputEnvironment("lake", ManualClock(), EgressRules(allow), tmp_path / "spool")
    output = FileOutput(settings, surroundings)
    await output.start()
    return output


async def test_the_library_gets_a_connection_to_an_address_that_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    resolves_to(monkeypatch, "127.0.0.1", "127.0.0.1")
    output = await open_output(tmp_path, port, "127.0.0.1")
    assert await output.test() == Delivered()
    assert Library.peers == [("files.example", ("127.0.0.1", port))]


async def test_a_name_that_changes_its_mind_after_the_check_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    resolves_to(monkeypatch, "8.8.8.8", "127.0.0.1")
    outcome = await (await open_output(tmp_path, port)).test()
    assert isinstance(outcome, Fatal)
    assert outcome.reason == "egress_refused"
    assert Library.peers == []


async def test_a_session_that_has_ended_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    resolves_to(monkeypatch, *["127.0.0.1"] * 4)
    output = await open_output(tmp_path, port, "127.0.0.1")
    first = delivery(1)
    bundle = output.open_bundle("web", output.group(first), first)
    await bundle.add([first])
    assert await bundle.send() == Retry("OSError: Socket is closed")
    assert await bundle.send() == Delivered()
    assert len(Library.peers) == 2
    assert Library.closed == ["session 1"]


async def test_a_server_that_falls_silent_is_waited_for_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    resolves_to(monkeypatch, "127.0.0.1", "127.0.0.1")
    output = await open_output(tmp_path, port, "127.0.0.1")
    assert await output.test() == Delivered()
    assert Library.limits == [("silence", 60), ("keepalive", 30)]
