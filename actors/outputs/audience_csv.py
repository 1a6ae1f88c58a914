"""Output `audience_csv`: changes of membership, or all members (spec/connections.md, 7.6).

Names end in five digits of the first delivery, as those of the output `file` do: an upload that is
repeated after a crash replaces itself and no other.
"""

import csv
import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from actors.model.deliveries import Delivery
from actors.outputs import audience_messages
from actors.outputs.audience_archives import AudienceArchiveOutput
from actors.outputs.contract import Outcome
from actors.outputs.environment import OutputEnvironment
from actors.outputs.file_bundle import FileBundle, FilePlace
from actors.outputs.file_formats import RowWriter
from actors.outputs.file_settings import Roll, StorageSettings
from actors.outputs.identity_types import types_of_members
from actors.outputs.module import OutputModule

COLUMNS = ("mpid", "scanned_timestamp_ms", "identity_value", "identity_type", "action")
# Folders have room for names of 255 bytes; the rest of a name, while it is written, has 56 at most.
MAX_NAME = 100
MAX_NAME_BYTES = 180


class AudienceCsvSettings(StorageSettings):
    """Settings of the module `audience_csv`. `identities`: the types that get a row."""

    mode: Literal["delta", "snapshot"] = "delta"
    interval_minutes: int = Field(default=60, ge=1, le=7 * 24 * 60)
    identities: Annotated[
        tuple[str, ...], Field(strict=False, min_length=1), AfterValidator(types_of_members)
    ]

    @property
    def takes_lists(self) -> bool:
        """Whether it is given all members, and not changes."""
        return self.mode == "snapshot"

    @property
    def interval_ms(self) -> int:
        """How long a file of changes stays open, or from one archive to the next."""
        return self.interval_minutes * 60_000


def delta_name(first: Delivery) -> str:
    """Name a file after its first delivery: audience, its name, and when the change was."""
    audience = audience_messages.decode(first.payload).audience
    name = re.sub(r"[\s/\\]", "", audience.external_name)
    safe = re.sub(r"[^\w.-]", "_", name)[:MAX_NAME]
    safe = safe.encode()[:MAX_NAME_BYTES].decode(errors="ignore")  # no half characters
    moment = datetime.fromtimestamp(first.created_ms // 1000, UTC)
    digits = int(first.delivery_id.removeprefix("dl_"), 16) % 100_000
    return f"{audience.id}_{safe}_delta_{moment:%Y%m%d%H%M%S}_{digits:05d}.csv"


class DeltaWriter(RowWriter):
    """A row per change and identity; changes of attributes alone are none."""

    def __init__(self, path: Path, identities: tuple[str, ...]) -> None:
        super().__init__(path, 0)
        self._identities = identities
        self._write_row(COLUMNS)

    def write(self, delivery: Delivery) -> None:
        """Add the rows of one delivery."""
        message = audience_messages.decode(delivery.payload)
        for change in message.changes:
            if change.action == "attribute_update":
                continue
            for kind in self._identities:
                value = change.identities.get(kind)
                if value is not None:
                    self._write_row((change.mpid, message.timestamp_ms, value, kind, change.action))
                    self._count(message.timestamp_ms)

    def _write_row(self, row: tuple[object, ...]) -> None:
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\n").writerow(row)
        self._raw.write(line.getvalue().encode())


class AudienceCsvOutput:
    """Collects changes into one file per audience and interval."""

    def __init__(self, settings: AudienceCsvSettings, environment: OutputEnvironment) -> None:
        self._settings = settings
        self._place = FilePlace(settings, environment)
        self._roll = Roll()
        self.max_wait_ms = settings.interval_ms

    async def start(self) -> None:
        """Remove what an earlier process left unfinished."""
        await self._place.start()

    async def stop(self) -> None:
        """Nothing stays open between bundles."""

    async def test(self) -> Outcome:
        """Write and delete a small file."""
        return await self._place.test()

    def group(self, delivery: Delivery) -> str:
        """Return the audience that a delivery is about, under the name that it is sent by."""
        audience = audience_messages.decode(delivery.payload).audience
        return f"{audience.id} {audience.external_name}"

    def open_bundle(self, input_id: str, group: str, first: Delivery) -> FileBundle:
        """Begin the file of an audience."""
        identities = self._settings.identities
        return FileBundle(
            self._place,
            "",
            delta_name(first),
            self._roll,
            lambda spool: DeltaWriter(spool, identities),
        )


def open_output(
    settings: AudienceCsvSettings, environment: OutputEnvironment
) -> AudienceCsvOutput | AudienceArchiveOutput:
    """Open the output of a mode."""
    if settings.takes_lists:
        return AudienceArchiveOutput(
            settings, environment, settings.interval_ms, settings.identities
        )
    return AudienceCsvOutput(settings, environment)


MODULE = OutputModule(
    module="audience_csv",
    kinds=frozenset({"audience"}),
    accepts_unbound=False,
    accepts_attribute_feed=False,
    settings_model=AudienceCsvSettings,
    send_as_batch_default=True,
    retry_profile="file",
    open=open_output,
)
