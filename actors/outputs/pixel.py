"""Output `pixel`: tells the web SDK which image to load, so that a partner knows the browser.

Nothing is sent to it from here (spec/connections.md, 1.4 and 8): its connections are told to pages
by `server.client_configs`, and what partners answer comes to `server.routes.cookie_sync`.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from actors.outputs.devnull import DevnullOutput
from actors.outputs.module import OutputModule, OutputSettings
from actors.outputs.web_urls import web_url


def _url(url: str) -> str:
    web_url(url)
    return url


Url = Annotated[str, AfterValidator(_url)]


class PixelSettings(OutputSettings):
    """Settings of the module `pixel`; `%%mpid%%` in a URL stands for the user's MPID.

    The image's URL is `pixel_url`, and behind it `redirect_url`, encoded, if there is one.
    `frequency_cap_days`: how long a browser that has loaded it does not load it again.
    """

    pixel_url: Url
    redirect_url: Url | None = None
    frequency_cap_days: int = Field(default=14, ge=0, le=3650)


MODULE = OutputModule(
    module="pixel",
    kinds=frozenset({"cookie_sync"}),
    accepts_unbound=False,
    accepts_attribute_feed=False,
    settings_model=PixelSettings,
    send_as_batch_default=True,
    retry_profile="stream",
    open=DevnullOutput,  # it is opened by tests only
)
