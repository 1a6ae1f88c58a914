"""Settings of the output `file`, and of all that write files (spec/connections.md, 7.2)."""

from typing import Annotated, Any, Literal, Self

import fsspec
from fsspec.core import split_protocol
from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from actors.outputs.module import OutputSettings
from actors.outputs.storage_kinds import LOCAL, S3, check_options, check_url

COMPRESSIONS = {
    "ndjson": ("none", "gzip", "zstd"),
    "csv": ("none", "gzip"),
    "parquet": ("none", "gzip", "zstd", "snappy"),
}
_SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}


def seal(option: Any) -> Any:
    """Make a secret of every text in storage options: credentials may stand anywhere in them."""
    if isinstance(option, str):
        return SecretStr(option)
    if isinstance(option, dict):
        return {key: seal(value) for key, value in option.items()}
    if isinstance(option, list):
        return [seal(value) for value in option]
    return option


def plain(option: Any) -> Any:
    """Undo `seal`: storage options as the storage library wants them."""
    if isinstance(option, SecretStr):
        return option.get_secret_value()
    if isinstance(option, dict):
        return {key: plain(value) for key, value in option.items()}
    if isinstance(option, list):
        return [plain(value) for value in option]
    return option


def _url(url: str) -> str:
    check_url(url)
    try:
        fsspec.get_filesystem_class(split_protocol(url)[0])
    except ImportError as error:
        raise ValueError(f"needs a package that is not installed: {error}") from error
    return url


class Roll(OutputSettings):
    """When a file is closed: whichever comes first."""

    max_bytes: int = Field(default=128 * 1024 * 1024, ge=1)
    max_rows: int = Field(default=500_000, ge=1)
    max_wait_s: float = Field(default=600.0, gt=0, le=86_400)


class StorageSettings(OutputSettings):
    """Where files go: settings of every module that writes some."""

    url: Annotated[str, AfterValidator(_url)]
    storage_options: dict[str, Any] = Field(default_factory=dict)
    server_side_encryption: str | None = None

    @property
    def protocol(self) -> str:
        """The kind of storage: `file`, `s3`, ..."""
        return str(split_protocol(self.url)[0])

    @property
    def is_local(self) -> bool:
        """Whether files go to this machine's own file system."""
        return self.protocol in LOCAL

    @field_validator("storage_options")
    @classmethod
    def _sealed(cls, options: dict[str, Any], info: ValidationInfo) -> Any:
        if "url" in info.data:  # otherwise it is wrong itself
            check_options(info.data["url"], options)
        return seal(options)

    @model_validator(mode="after")
    def _can_encrypt(self) -> Self:
        if self.server_side_encryption is not None and self.protocol not in S3:
            raise ValueError("server_side_encryption is only possible for s3")
        return self


class FileSettings(StorageSettings):
    """Settings of the module `file`.

    With `split_by: event_name` a batch lies whole where its first event belongs; a connection that
    sends single events (`send_as_batch: false`) splits exactly.
    """

    format: Literal["ndjson", "parquet", "csv"] = "ndjson"
    compression: Literal["none", "gzip", "zstd", "snappy"] = "none"
    folder_by_date: Literal["none", "event_time", "upload_time", "first_event_or_upload_time"] = (
        "none"
    )
    split_by: Literal["none", "input", "event_name"] = "none"
    roll: Roll = Roll()
    extension: Literal["txt"] | None = None

    @property
    def suffix(self) -> str:
        """What file names end in, with its dot."""
        if self.format == "parquet":
            return f".{self.extension or 'parquet'}"
        return f".{self.extension or self.format}{_SUFFIXES[self.compression]}"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.compression not in COMPRESSIONS[self.format]:
            raise ValueError(f"compression {self.compression} is not possible for {self.format}")
        return self
