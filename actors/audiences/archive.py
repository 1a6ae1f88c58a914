"""The ZIP of an audience's members: tables of identities and a manifest (spec/audiences.md, 11)."""

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import msgspec

from actors.audiences.answers import MemberRow

HEADER = ("mpid", "scanned_timestamp_ms", "identity_value", "identity_type")
_LEFT_OUT = str.maketrans("", "", " /\\")


def archive_name(download_id: str, now_ms: int) -> str:
    """Return the name of an archive."""
    return f"CDPAudiences_{_stamp(now_ms)}_{download_id[:4]}.zip"


def table_name(audience: int, name: str, variation: str | None, now_ms: int) -> str:
    """Return the name of the table of an audience, or of one of its variations."""
    full = name if variation is None else f"{name}-{variation}"
    return f"{audience}_{full.translate(_LEFT_OUT)}_{_stamp(now_ms)}.csv"


class _Table:
    """What is counted of one table."""

    def __init__(self, file_name: str) -> None:
        self.file_name = file_name
        self.users = 0
        self.rows: Counter[str] = Counter()
        self.scanned_ms: tuple[int, int] | None = None

    def add(self, row: MemberRow) -> None:
        self.users += 1
        self.rows.update(kind for kind, _ in row.identities)
        first, last = self.scanned_ms or (row.scanned_ms, row.scanned_ms)
        self.scanned_ms = (min(first, row.scanned_ms), max(last, row.scanned_ms))

    def shown(self) -> dict[str, Any]:
        first, last = self.scanned_ms or (None, None)
        return {
            "file_name": self.file_name,
            "min_timestamp_ms": first,
            "max_timestamp_ms": last,
            "total_users": self.users,
            "total_rows": self.rows.total(),
            "rows_by_identity": _sorted(self.rows),
        }


class ArchiveWriter:
    """Writes one archive, table after table; nothing is there under its name until `finish`."""

    def __init__(
        self,
        path: Path,
        archive_id: str,
        audience: int,
        identity_types: Sequence[str],
        now_ms: int,
    ) -> None:
        """Begin. Raises OSError, as all methods do."""
        self._path = path
        self._id = archive_id
        self._audience = audience
        self._identity_types = identity_types
        self._now_ms = now_ms
        self._temporary = path.with_suffix(".tmp")
        self._zip = ZipFile(self._temporary, "w", ZIP_DEFLATED)
        self._tables: list[_Table] = []
        self._open: io.TextIOWrapper | None = None

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(each.rows.total() for each in self._tables)

    def begin(self, file_name: str) -> None:
        """Begin the next table."""
        self._end_table()
        self._tables.append(_Table(file_name))
        self._open = io.TextIOWrapper(
            self._zip.open(file_name, "w", force_zip64=True), "utf-8", newline=""
        )
        self._csv = csv.writer(self._open, lineterminator="\n")
        self._csv.writerow(HEADER)

    def add(self, row: MemberRow) -> None:
        """Write a member: a row for each identity; none for a member that has none."""
        if not row.identities:
            return
        for kind, value in sorted(row.identities):
            self._csv.writerow((row.mpid, row.scanned_ms, value, kind))
        self._tables[-1].add(row)

    def finish(self) -> int:
        """Write the manifest and give the archive its name; return its size in bytes."""
        self._end_table()
        self._zip.writestr("manifest.json", msgspec.json.encode(self._manifest()))
        self._zip.close()
        self._temporary.replace(self._path)
        return self._path.stat().st_size

    def close(self) -> None:
        """Let go of what was not finished, also on a disk that takes nothing any more."""
        for end in (self._end_table, self._zip.close):
            with suppress(OSError):  # what goes need not be whole
                end()
        self._temporary.unlink(missing_ok=True)

    def _end_table(self) -> None:
        ended, self._open = self._open, None
        if ended is not None:
            ended.close()

    def _manifest(self) -> dict[str, Any]:
        rows: Counter[str] = Counter()
        for each in self._tables:
            rows.update(each.rows)
        spans = [each.scanned_ms for each in self._tables if each.scanned_ms is not None]
        moment = datetime.fromtimestamp(self._now_ms / 1000, UTC)
        return {
            "archive_name": self._path.name,
            "id": self._id,
            "audience_ids": [self._audience],
            "included_identities": list(self._identity_types),
            "manifest_generated": moment.isoformat(timespec="milliseconds"),
            "min_timestamp_ms": min((first for first, _ in spans), default=None),
            "max_timestamp_ms": max((last for _, last in spans), default=None),
            "total_rows": rows.total(),
            "rows_by_identity": _sorted(rows),
            "files": [each.shown() for each in self._tables],
        }


def _sorted(rows: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(rows.items()))


def _stamp(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%H%M%S%b%d%Y")
