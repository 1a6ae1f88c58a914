"""Which changes went into one request together, so that a crash does not part them.

A receiver that has answered just before its forwarder was killed gets the request once more, with
the parts and therefore the id that it had (spec/connections.md, case 20). The outboxes know single
changes; this file knows the requests that may still have to be repeated. It is written before a
request is sent, without waiting for the disk: it outlives the process. Where the machine itself
failed, changes are repeated in other company, under another id.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from actors.forwarding.streams import Stream

logger = logging.getLogger("headwater.forwarder")

REWRITE_BYTES = 1024 * 1024
KEPT = 1000  # requests, before those are forgotten that no outbox has any more


class _Line(Struct, array_like=True):
    connection: int
    source: int
    parts: tuple[int, ...]  # their sequences, in the order of the request
    is_together: bool = True  # else they are on their own again


_decode = msgspec.json.Decoder(_Line).decode
_encode = msgspec.json.Encoder().encode
_Key = tuple[int, int, tuple[int, ...]]  # connection, source, parts
_Place = tuple[int, int, int]  # connection, source, sequence


class Journal:
    """The requests of one forwarder that may have to be repeated."""

    def __init__(self, path: Path | None) -> None:
        """Read what an earlier process wrote; `path` is `None` where nothing outlives the process.

        Raises:
            OSError: the file cannot be read.
        """
        self._path = path
        self._file: int | None = None
        self._size = 0
        self._most = KEPT
        self._written: dict[_Key, Stream] = {}  # by this process, and not dissolved since
        self._former: dict[_Place, tuple[int, ...]] = {}  # let go of since, by each part
        if path is not None and path.exists():
            for line in _lines(path):
                for part in line.parts:
                    place = (line.connection, line.source, part)
                    if line.is_together:
                        self._former[place] = line.parts
                    else:
                        self._former.pop(place, None)

    def parts(self, stream: Stream, sequence: int) -> tuple[int, ...] | None:
        """Return the request that a change that was read again was in; `None` if in none."""
        if not self._former:
            return None
        return self._former.get((*_place(stream), sequence))

    def begin(self, stream: Stream, parts: Sequence[int]) -> None:
        """Note that a request is about to be sent, or sent again."""
        key = (*_place(stream), tuple(parts))
        if key in self._written:
            return
        self._written[key] = stream
        if len(self._written) > self._most:
            self._forget()
        self._write(_Line(*key))
        for part in parts if self._former else ():
            self._former.pop((*_place(stream), part), None)

    def dissolve(self, stream: Stream, parts: Sequence[int]) -> None:
        """Note that a request will not be sent again: its parts are on their own."""
        key = (*_place(stream), tuple(parts))
        if self._written.pop(key, None) is not None:
            self._write(_Line(*key, is_together=False))

    def recall(self, stream: Stream, parts: Sequence[int]) -> None:
        """Note that the parts of a request that may be repeated have been let go of.

        They come together again as after a crash; some may be gone by then.
        """
        key = (*_place(stream), tuple(parts))
        if self._written.pop(key, None) is not None:
            self._former |= dict.fromkeys(((*key[:2], part) for part in parts), key[2])

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, line: _Line) -> None:
        if self._path is None:
            return
        try:
            if self._file is None or self._size > REWRITE_BYTES:
                self._file = self._rewrite(self._path)
            self._size += os.write(self._file, _encode(line) + b"\n")
        except OSError:
            # To deliver is worth more than to repeat a request as it was.
            self._path = None
            logger.exception(
                "what is sent together cannot be noted any more; a crash will part it",
                extra={"event": "journal_failed"},
            )

    def _forget(self) -> None:
        """Let go of requests of which an outbox has nothing any more."""
        self._written = {
            key: stream
            for key, stream in self._written.items()
            if any(stream.knows(part) for part in key[2])
        }
        self._most = max(KEPT, 2 * len(self._written))

    def _rewrite(self, path: Path) -> int:
        """Begin the file anew, with what an outbox may still have; return it, open."""
        self.close()
        self._forget()
        keys = dict.fromkeys((*place[:2], parts) for place, parts in self._former.items())
        keys |= dict.fromkeys(self._written)
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(b"".join(_encode(_Line(*key)) + b"\n" for key in keys))
        fresh.replace(path)
        self._size = 0
        return os.open(path, os.O_WRONLY | os.O_APPEND)


def _place(stream: Stream) -> tuple[int, int]:
    return stream.connection.number, stream.source_index


def _lines(path: Path) -> list[_Line]:
    """Return what a file has; its last line may have been torn."""
    lines = []
    for written in path.read_bytes().splitlines():
        try:
            lines.append(_decode(written))
        except msgspec.DecodeError:
            continue
    return lines
