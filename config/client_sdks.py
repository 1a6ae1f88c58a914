"""What client SDKs are told when they start (spec/clients.md, 4.2 and 5.2)."""

from typing import Annotated

from pydantic import Field

from config.fields import Model


class ClientSdks(Model):
    """Settings of web and native SDKs; what is `None` is left to the SDK.

    `event_batching_interval_ms`: between two uploads of the web SDK; below 500 each event goes by
    itself. `cache_identity`: whether it may reuse answers of identity calls. `session_timeout_s`
    and `upload_interval_s`: of native SDKs.
    """

    event_batching_interval_ms: int = Field(default=5000, ge=0, le=3_600_000)
    cache_identity: bool = False
    session_timeout_s: Annotated[int, Field(ge=1, le=86_400)] | None = None
    upload_interval_s: Annotated[int, Field(ge=1, le=86_400)] | None = None
