"""Pages of a shop that use a deployment, in a real browser."""

import json
import mimetypes
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Geolocation, Page, Route

from tests.serving import Served

KEY = "us1-test-web-key"
SHOP = "https://shop.example.test/"
LOCATION: Geolocation = {"latitude": 45.5, "longitude": 9.25}
SEGMENT_PARTS = "https://cdn.segment.com/analytics-next/bundles/"  # of its SDK, loaded when used
PATIENCE_MS = 30_000
PAUSE_MS = 50


class Site:
    """A deployment that serves HTTPS, and pages of a shop that use it.

    `packages`: the folder of npm's packages, which pages load SDKs from.
    """

    def __init__(self, served: Served, port: int, packages: Path, browser: Browser) -> None:
        self.served = served
        self.host = f"localhost:{port}"
        self.packages = packages
        self._browser = browser

    def page(self, html: str) -> Page:
        """Open a page of the shop; what it asks for below /sdk/ comes from `packages`."""
        page = self._browser.new_context(
            ignore_https_errors=True, geolocation=LOCATION, permissions=["geolocation"]
        ).new_page()
        page.route(f"{SHOP}sdk/**", self._serve_sdk)
        page.route(f"{SEGMENT_PARTS}**", self._serve_segment_part)
        page.route(SHOP, lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto(SHOP)
        return page

    def open(self, config: str = "", *, by_loader: bool = False, key: str = KEY) -> Page:
        """Open a page whose web SDK is set up; return it once identify was answered."""
        script = f'<script src="https://{self.host}/js/v2/{key}/mparticle.js"></script>'
        if not by_loader:
            start = f'mParticle.init("{key}", window.mParticle.config)'
            source = "/sdk/@mparticle/web-sdk/dist/mparticle.js"
            script = f'<script src="{source}"></script><script>{start}</script>'
        html = f"""<script>
            window.mParticle = {{config: {{
                isDevelopmentMode: false, {config}
                identityCallback: result => window.identified = result,
            }}}};
        </script>{script}<h1>Shop</h1>"""
        page = self.page(html)
        page.wait_for_function("window.identified !== undefined", timeout=PATIENCE_MS)
        return page

    @property
    def single_urls(self) -> str:
        """The configuration that names each address."""
        urls = {
            "v1SecureServiceUrl": f"{self.host}/v1/JS/",
            "v2SecureServiceUrl": f"{self.host}/v2/JS/",
            "v3SecureServiceUrl": f"{self.host}/v3/JS/",
            "configUrl": f"{self.host}/JS/v2/",
            "identityUrl": f"{self.host}/v1/",
            "aliasUrl": f"{self.host}/v1/identity/",
            "userAudienceUrl": f"{self.host}/v1/",
        }
        return "".join(f"{name}: {json.dumps(url)}, " for name, url in urls.items())

    def names(self, user: str) -> list[str]:
        """Return the names of a user's events, types where there are none; `[]` of nobody."""
        events = self.served.events(user) if self.served.find(user) else []
        return [
            each["data"].get("event_name") or each["data"].get("screen_name") or each["event_type"]
            for each in events
        ]

    def _serve_sdk(self, route: Route) -> None:
        self._serve(route, urlsplit(route.request.url).path.removeprefix("/sdk/"))

    def _serve_segment_part(self, route: Route) -> None:
        name = route.request.url.removeprefix(SEGMENT_PARTS)
        self._serve(route, f"@segment/analytics-next/dist/umd/{name}")

    def _serve(self, route: Route, path: str) -> None:
        file = self.packages / path
        content_type, _ = mimetypes.guess_type(file.name)
        route.fulfill(body=file.read_bytes(), content_type=content_type)
