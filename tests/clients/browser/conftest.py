"""What the tests of browser SDKs share: one browser, and one deployment beside the demo shop's.

The package's, not the session's: a browser has an event loop of its own running, beside which
other tests could not run theirs.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.clients.browser.pages import Site
from tests.clients.tools import (
    BROWSER_FLAGS,
    certificate,
    chromium,
    free_port,
)
from tests.serving import WORKSPACE, Served

PIXELS = """
  - id: partner
    kind: cookie_sync
    module: pixel
    name: Partner
    settings:
      pixel_url: "https://partner.example.test/sync?user=%%mpid%%&to="
      redirect_url: "https://localhost:PORT/v1/cookiesync/2?mpid=%%mpid%%&id=ID"
  - id: careful
    kind: cookie_sync
    module: pixel
    name: Careful
    settings: {pixel_url: "https://partner.example.test/careful?user=%%mpid%%"}
connections:
  - {id: web-partner, input: web, output: partner}
  - id: web-careful
    input: web
    output: careful
    forwarding_rules:
      - kind: consent
        action: include
        purposes: [{regulation: gdpr, purpose: newsletter, has_consented: true}]
"""
PLUS = 17  # the id of the audience below
AUDIENCES = """
audiences:
  - id: plus
    number: 17
    name: Plus
    definition: {type: user_attribute, attribute_name: plan, operator: equals, value: plus}
"""
DOCUMENT = (
    WORKSPACE.replace(
        "  name: W1",
        "  name: W1\n  client_audience_api: true\n  client_sdks: {event_batching_interval_ms: 500}",
    ).replace("connections:\n", PIXELS.lstrip("\n"))
    + "  - {id: web-files, input: web, output: files, "
    + "settings: {include_consent_state: true, include_mp_device_id: true}}\n"
    + AUDIENCES
)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    executable = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=BROWSER_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def packages(node: Path) -> Path:
    """Return the folder of the SDKs' npm packages."""
    return node / "node_modules"


@pytest.fixture(scope="package")
def site(
    tmp_path_factory: pytest.TempPathFactory, packages: Path, browser: Browser
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("web")
    file = packages / "@mparticle" / "web-sdk" / "dist" / "mparticle.js"
    cert, key = certificate(folder)
    port = free_port()
    settings = folder / "settings.yaml"
    settings.write_text(
        f"{{tls_cert: {cert}, tls_key: {key}, tls_port: {port}, web_sdk_file: {file}}}"
    )
    document = DOCUMENT.replace("PORT", str(port))
    served = Served(folder, "--settings", str(settings), workspace=document)
    served.start()
    yield Site(served, port, packages, browser)
    served.process.kill()
