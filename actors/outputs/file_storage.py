"""Where outputs put their files: this machine, an object store, or another machine.

A file appears under its name only when it is complete. The manifest beside the files has one line
per file, `{file, rows, bytes, min_ts, max_ts, sha256}` (spec/connections.md, 7.2). All of this
blocks and runs in threads.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import fsspec
import orjson
from msgspec import Struct

from actors.outputs.egress import EgressRules
from actors.outputs.file_settings import StorageSettings, plain
from actors.outputs.storage_kinds import S3, SFTP, StorageHost, storage_hosts

MANIFEST = "_manifest"
_TEMPORARY = re.compile(r"\.(.+_\d{14}(\d{3})?_\d{5}\..+|CDPAudiences_.+\.zip)\.tmp")
# A server that says nothing for so long is gone: its upload is tried again with another session.
SFTP_SILENCE_S = 60
SFTP_KEEPALIVE_S = 30
_STAMP = re.compile(r"_(\d{10})\d{4}(?:\d{3})?_\d{5}\.")


class Finished(Struct, frozen=True):
    """A complete file.

    `path` is relative to the output's URL; `size` in bytes; the times are those of the first and
    the last event in ms, `None` if there is none. `hour` is `yyyyMMddHH` of its occasion.
    """

    path: str
    rows: int
    size: int
    min_ts: int | None
    max_ts: int | None
    sha256: str
    hour: str

    @property
    def folder(self) -> str:
        """The folder below the output's URL, empty if there is none."""
        return self.path.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]

    def line(self) -> bytes:
        """Its line in the manifest."""
        members = {
            "file": self.path,
            "rows": self.rows,
            "bytes": self.size,
            "min_ts": self.min_ts,
            "max_ts": self.max_ts,
            "sha256": self.sha256,
        }
        return orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)


class SpoolLost(Exception):
    """The local file of an upload is gone or cut short: its rows have to be written again."""


def hour_of(name: str) -> str:
    """Return the hour in a file's name, `yyyyMMddHH`: that of the first delivery."""
    match = _STAMP.search(name)
    assert match is not None, "names are made by file_name()"
    return match[1]


class Storage(Protocol):
    """What the output needs of a place for files."""

    hosts: list[StorageHost]  # what will be connected to, as far as it is known beforehand

    def clean(self) -> None:
        """Remove what a process that no longer runs left unfinished."""
        ...

    def spool(self, folder: str, name: str) -> Path:
        """Return the local path under which a file is written until it is complete."""
        ...

    def publish(self, spool: Path, file: Finished) -> None:
        """Make a file appear, replacing one of its name, and enter it in the manifest.

        May be called again after an error, but not after `SpoolLost`: there is nothing to publish.
        """
        ...

    def verify(self, name: str) -> None:
        """Write and delete a file of that name."""
        ...


def open_storage(settings: StorageSettings, spool_dir: Path, egress: EgressRules) -> Storage:
    """Return the storage of an output."""
    if settings.is_local:
        _, path = fsspec.core.url_to_fs(settings.url)
        return LocalStorage(Path(path))
    return RemoteStorage(settings, spool_dir, egress)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents last."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _is_abandoned(path: Path) -> bool:
    """Whether no process writes a temporary file any more: writers hold a lock on theirs."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


class LocalStorage:
    """Files on this machine: written as `.<name>.tmp`, synced, renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._entering = threading.Lock()
        self.hosts: list[StorageHost] = []

    def clean(self) -> None:
        """Remove temporary files that nobody writes."""
        for folder, _, names in os.walk(self._root):
            for name in names:
                path = Path(folder, name)
                if _TEMPORARY.fullmatch(name) and _is_abandoned(path):
                    path.unlink(missing_ok=True)

    def spool(self, folder: str, name: str) -> Path:
        """Return the temporary path beside the final one, so that a rename can publish it."""
        _make_folder(self._root / folder)
        return self._root / folder / f".{name}.tmp"

    def publish(self, spool: Path, file: Finished) -> None:
        """Rename the file; it was synced as it was finished. Does nothing twice."""
        target = self._root / file.path
        is_repeated = target.exists()
        try:
            spool.replace(target)
        except FileNotFoundError:
            # No loss where the rename was done before, and what follows it had failed.
            if not _has_content(target, file.sha256):
                raise SpoolLost(f"{spool} is gone, and was not published") from None
        _sync_folder(target.parent)
        with self._entering:  # what is written anew must have what others are about to append
            self._enter(file, is_repeated)

    def _enter(self, file: Finished, is_repeated: bool) -> None:
        manifest = self._root / MANIFEST / f"{file.hour}.ndjson"
        _make_folder(manifest.parent)
        is_new = not manifest.exists()
        if not is_new:
            lines = manifest.read_bytes().splitlines(keepends=True)
            others = [line for line in lines if line.endswith(b"\n")]  # the last may be cut short
            if is_repeated:
                others = [line for line in others if orjson.loads(line)["file"] != file.path]
            if len(others) < len(lines):
                _write_synced(manifest.with_suffix(".new"), b"".join(others))
                manifest.with_suffix(".new").replace(manifest)
        with manifest.open("ab") as lines_file:
            lines_file.write(file.line())
            lines_file.flush()
            os.fsync(lines_file.fileno())
        if is_new:
            _sync_folder(manifest.parent)

    def verify(self, name: str) -> None:
        """Write and delete a file."""
        self._root.mkdir(parents=True, exist_ok=True)
        path = self._root / name
        path.write_bytes(b"{}")
        path.unlink()


def _has_content(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


class RemoteStorage:
    """Files in an object store or on another machine: written here first, then put there."""

    def __init__(self, settings: StorageSettings, spool_dir: Path, egress: EgressRules) -> None:
        options = plain(settings.storage_options)
        if settings.server_side_encryption is not None:
            arguments = options.setdefault("s3_additional_kwargs", {})
            arguments["ServerSideEncryption"] = settings.server_side_encryption
        self._url = settings.url
        self._protocol = settings.protocol
        self._options = options
        self._egress = egress
        # Object stores show an upload when it is complete, other machines as it grows.
        self._is_renaming = settings.protocol == SFTP
        self._spool_dir = spool_dir
        self._file_system: Any = None
        self._opening = threading.Lock()
        self.hosts = storage_hosts(settings.url, options)
        if settings.protocol in S3:
            client = options.setdefault("config_kwargs", {}).setdefault("connector_args", {})
            is_plain = any(each.is_plain for each in self.hosts)
            client |= egress.connector_options(listed_only=is_plain)

    def clean(self) -> None:
        """Empty the spool: the outbox still has all that was not settled."""
        shutil.rmtree(self._spool_dir, ignore_errors=True)
        self._spool_dir.mkdir(parents=True)

    def spool(self, folder: str, name: str) -> Path:
        """Return a path in the spool folder."""
        path = self._spool_dir / folder / f".{name}.tmp"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def publish(self, spool: Path, file: Finished) -> None:
        """Upload the file and its line of the manifest, each replacing an earlier one."""
        if not spool.exists():
            raise SpoolLost(f"{spool} is gone, and was not published")
        with self._opened() as file_system:
            if self._is_renaming:
                folder = self._path(file.folder)
                temporary = f"{folder}/.{file.name}.tmp"
                file_system.makedirs(folder, exist_ok=True)
                file_system.put_file(str(spool), temporary)
                file_system.mv(temporary, self._path(file.path))
                file_system.makedirs(self._path(f"{MANIFEST}/{file.hour}"), exist_ok=True)
            else:
                file_system.put_file(str(spool), self._path(file.path))
            sidecar = f"{MANIFEST}/{file.hour}/{file.name}.ndjson"
            file_system.pipe_file(self._path(sidecar), file.line())
        spool.unlink()

    def verify(self, name: str) -> None:
        """Write and delete a file."""
        with self._opened() as file_system:
            if self._is_renaming:
                file_system.makedirs(self._path(""), exist_ok=True)
            file_system.pipe_file(self._path(name), b"{}")
            file_system.rm_file(self._path(name))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        """Lend the file system, which all threads share.

        That of SFTP has one session from its beginning to its end: after an error, which may have
        ended it, the next caller gets another.
        """
        with self._opening:
            if self._file_system is None:
                self._file_system = self._open()
            file_system = self._file_system
        try:
            yield file_system
        except Exception:
            if self._protocol == SFTP:
                self._retire(file_system)
            raise

    def _retire(self, file_system: Any) -> None:
        with self._opening:
            if self._file_system is not file_system:
                return  # another thread has done it
            self._file_system = None
        with contextlib.suppress(Exception):  # what ended the session is raised already
            file_system.client.close()

    def _open(self) -> Any:
        """Return the file system; some connect as they are made.

        Made of its class: fsspec's own functions let the options name another protocol.
        """
        kind = self._kind
        options = {**kind._get_kwargs_from_urls(self._url), **self._options}
        if self._protocol == SFTP:  # its library would resolve the name once more
            [(host, port, _)] = self.hosts
            options["sock"] = asyncio.run(self._egress.connect(host, port))
        # One of the cache would have the sockets and the rules of an output that has ended.
        file_system = kind(**options, skip_instance_cache=True)
        if self._protocol == SFTP:  # its library waits for ever
            file_system.ftp.get_channel().settimeout(SFTP_SILENCE_S)
            file_system.client.get_transport().set_keepalive(SFTP_KEEPALIVE_S)
        return file_system

    @property
    def _kind(self) -> Any:
        return fsspec.get_filesystem_class(self._protocol)

    def _path(self, relative: str) -> str:
        return f"{self._kind._strip_protocol(self._url).rstrip('/')}/{relative}".rstrip("/")
