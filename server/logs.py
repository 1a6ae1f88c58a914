"""One structured line per fault, lifecycle step and request (spec/observability.md, 8).

What may not appear in a log cannot: of a line written by a library only the fixed text is kept; of
an exception the message is kept only where it is known to hold no sender's data; members whose
names speak of secrets, identities, attributes or payloads are replaced.
"""

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import msgspec

from actors.errors import DataFolderError, ShardUnavailable, StoreDamaged, StoreFull
from config.errors import ConfigError
from config.settings import Settings

ROOT = "headwater"
ACCESS_EVENT = "request"
EVENTS_IN_FULL = (None, ACCESS_EVENT, "output_logged")  # no faults: their repeats are meant
REPEATS_PER_WINDOW = 10
WINDOW_S = 60.0
REDACTED = "[redacted]"

FIELDS = (
    *("event", "workspace", "input", "output", "connection", "batch_id", "delivery_id"),
    *("trace_id", "request_id", "duration_ms", "repeated"),
)

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_PRIVATE = re.compile(
    r"secret|password|token|authori[sz]ation|cookie|identit|attribute|payload|body|query|e-?mail"
    r"|phone|mpid",
    re.IGNORECASE,
)
# Their messages are written by us, by LMDB, or by the operating system about files and addresses.
_SPEAKING = (ConfigError, DataFolderError, OSError, ShardUnavailable, StoreDamaged, StoreFull)

_access = logging.getLogger(f"{ROOT}.access")


def configure_logging(
    settings: Settings, role: str, instance: str, stream: TextIO | None = None
) -> None:
    """Send this process's log lines to one place, as JSON or for a terminal.

    Args:
        settings: `log_level` holds for our own loggers, others stay at warning; `log_format`.
        role: `edge`, `shard`, ...; with `instance` part of every line.
        instance: which one of that role.
        stream: where they go; standard output if it is not given.
    """
    formatter = ConsoleFormatter if settings.log_format == "console" else JsonFormatter
    handler = CollapsingHandler(stream or sys.stdout)
    handler.setFormatter(formatter(role, instance))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(settings.log_level.upper())


def set_level(settings: Settings, name: str, level: str | None) -> None:
    """Set the level of one of our loggers in this process; `None` is what `settings` says."""
    configured = settings.log_level.upper() if name == ROOT else logging.NOTSET
    logging.getLogger(name).setLevel(configured if level is None else level.upper())


def log_access(
    level: int, request_id: str, method: str, path: str, status: int, duration_s: float
) -> None:
    """Write one line for an answered request. `path` is the route's, without its values."""
    if not _access.isEnabledFor(level):
        return
    record = logging.LogRecord(_access.name, level, "", 0, "request answered", None, None)
    record.__dict__.update(
        event=ACCESS_EVENT,
        request_id=request_id,
        duration_ms=round(duration_s * 1000, 3),
        method=method,
        path=path,
        status=status,
    )
    _access.handle(record)


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object."""

    def __init__(self, role: str, instance: str) -> None:
        super().__init__()
        self._encode = msgspec.json.Encoder(enc_hook=_type_name).encode
        self._who = {"role": role, "instance": instance}

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        return self._encode(_line(record, self._who)).decode()


class ConsoleFormatter(logging.Formatter):
    """Writes a record for a person at a terminal."""

    def __init__(self, role: str, instance: str) -> None:
        super().__init__()
        self._who = {"role": role, "instance": instance}

    def format(self, record: logging.LogRecord) -> str:
        """Return the text: one line, and the stack of an error below it."""
        line = _line(record, self._who)
        error = line.pop("error", None)
        time, level = line.pop("ts")[11:23], line.pop("level").upper()
        head = f"{time} {level:<7} {line.pop('role')}/{line.pop('instance')} {line.pop('msg')}"
        context = line.pop("ctx", {})
        parts = [head, *(f"{name}={value}" for name, value in {**line, **context}.items())]
        if error is None:
            return " ".join(parts)
        return f"{' '.join(parts)}\n{error['stack']}{error['type']}: {error['message']}"


class Repeats:
    """Counts lines of one (event, connection) within a window."""

    def __init__(self) -> None:
        self._ends: dict[tuple[str, object], float] = {}
        self._counts: dict[tuple[str, object], int] = {}
        self._last: dict[tuple[str, object], logging.LogRecord] = {}

    def admits(self, record: logging.LogRecord) -> bool:
        """Count a line; tell whether it is to be written, or is one too many of its window."""
        event = getattr(record, "event", None)
        if event in EVENTS_IN_FULL:
            return True
        key = (event, getattr(record, "connection", None))
        self._ends.setdefault(key, record.created + WINDOW_S)
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] <= REPEATS_PER_WINDOW:
            return True
        self._last[key] = record
        return False

    def ended(self, now_s: float) -> list[logging.LogRecord]:
        """Close the windows that have ended; return one line for each that held lines back."""
        held_back = []
        for key in [key for key, end in self._ends.items() if end <= now_s]:
            del self._ends[key]
            record = self._last.pop(key, None)
            repeated = self._counts.pop(key) - REPEATS_PER_WINDOW
            if record is not None:
                record.__dict__["repeated"] = repeated
                held_back.append(record)
        return held_back


class CollapsingHandler(logging.StreamHandler[TextIO]):
    """Writes lines, and of more than ten repeats in a minute only their number."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, and before it what is due of earlier windows."""
        for held_back in self._repeats.ended(record.created):
            super().emit(held_back)
        if self._repeats.admits(record):
            super().emit(record)

    def close(self) -> None:
        """Write what was held back."""
        for held_back in self._repeats.ended(float("inf")):
            super().emit(held_back)
        super().close()


def _line(record: logging.LogRecord, who: Mapping[str, str]) -> dict[str, Any]:
    is_ours = record.name == ROOT or record.name.startswith(f"{ROOT}.")
    line: dict[str, Any] = {
        "ts": datetime.fromtimestamp(record.created, UTC).isoformat("T", "microseconds")[:26] + "Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "msg": record.getMessage() if is_ours else str(record.msg).partition("\n")[0],
        **who,
    }
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
    line |= {name: extra.pop(name) for name in FIELDS if name in extra}
    if extra:
        line["ctx"] = {
            name: REDACTED if _is_private(name) else value for name, value in extra.items()
        }
    if record.exc_info and record.exc_info[1] is not None:
        line["error"] = _error(record.exc_info[1])
    return line


def _error(error: BaseException) -> dict[str, str]:
    frames = traceback.format_tb(error.__traceback__)
    if error.__cause__ is not None:
        caused = traceback.format_tb(error.__cause__.__traceback__)
        frames = [*caused, f"  led {type(error.__cause__).__name__} to\n", *frames]
    return {
        "type": type(error).__name__,
        "message": str(error) if isinstance(error, _SPEAKING) else REDACTED,
        "stack": "".join(frames),
    }


@lru_cache(maxsize=1024)  # the names that our code uses are few
def _is_private(name: str) -> bool:
    return _PRIVATE.search(name) is not None


def _type_name(value: object) -> str:
    return type(value).__name__
