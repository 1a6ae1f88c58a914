"""mParticle's web SDK, unmodified, in a real browser (spec/clients.md, 4 and 7)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.clients.tools import (
    BROWSER_FLAGS,
    WEB_SDK,
    certificate,
    chromium,
    free_port,
    npm_packages,
)
from tests.serving import WORKSPACE, Served, eventually

pytestmark = pytest.mark.ray

KEY = "us1-test-web-key"
SHOP = "https://shop.example.test/"
DOCUMENT = (
    WORKSPACE.replace(
        "  name: W1",
        "  name: W1\n  client_audience_api: true\n  client_sdks: {event_batching_interval_ms: 500}",
    )
    + "  - {id: web-files, input: web, output: files, settings: {include_consent_state: true}}\n"
)
PATIENCE_MS = 30_000
PAUSE_MS = 50


class Site:
    """A deployment that serves HTTPS, and pages of a shop that use it."""

    def __init__(self, served: Served, port: int, sdk: str, browser: Browser) -> None:
        self.served = served
        self.host = f"localhost:{port}"
        self._sdk = sdk
        self._browser = browser

    def open(self, config: str = "", *, by_loader: bool = False, key: str = KEY) -> Page:
        """Open a page whose SDK is set up; return it once identify was answered."""
        page = self._browser.new_context().new_page()
        script = f'<script src="https://{self.host}/js/v2/{key}/mparticle.js"></script>'
        if not by_loader:
            start = f'mParticle.init("{key}", window.mParticle.config)'
            script = f'<script src="/sdk.js"></script><script>{start}</script>'
        html = f"""<script>
            window.mParticle = {{config: {{
                isDevelopmentMode: false, {config}
                identityCallback: result => window.identified = result,
            }}}};
        </script>{script}<h1>Shop</h1>"""
        page.route("**/sdk.js", lambda route: _fulfil(route, self._sdk, "text/javascript"))
        page.route(SHOP, lambda route: _fulfil(route, html, "text/html"))
        page.goto(SHOP)
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
        """Return type, or name where there is one, of all events of a user."""
        return [
            each["data"].get("event_name") or each["data"].get("screen_name") or each["event_type"]
            for each in self.served.events(user)
        ]


def _fulfil(route: Route, body: str, content_type: str) -> None:
    route.fulfill(status=200, body=body, content_type=content_type)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("web")
    executable = chromium()
    package = npm_packages(folder / "npm", [WEB_SDK]) / "node_modules/@mparticle/web-sdk"
    file = package / "dist" / "mparticle.js"
    cert, key = certificate(folder)
    port = free_port()
    settings = folder / "settings.yaml"
    settings.write_text(
        f"{{tls_cert: {cert}, tls_key: {key}, tls_port: {port}, web_sdk_file: {file}}}"
    )
    served = Served(folder, "--settings", str(settings), workspace=DOCUMENT)
    served.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=BROWSER_FLAGS)
            yield Site(served, port, file.read_text(), browser)
            browser.close()
    finally:
        served.process.kill()


CALLS = """
    const sdk = window.mParticle;
    const answer = (name, start) => new Promise((done, fail) => {
        setTimeout(() => fail(new Error('no answer to ' + name)), 10000);
        start(done);
    });
    const asked = (name, known) =>
        answer(name, done => sdk.Identity[name]({userIdentities: known}, done));
    const user = () => sdk.Identity.getCurrentUser();
    const out = {};
    const login = await asked('login',
        {customerid: CUSTOMER, email: CUSTOMER + '@example.test', other2: 'o2'});
    out.login = login.httpCode;
    const mpid = user().getMPID();
    user().setUserAttribute('plan', 'basic');
    user().setUserAttribute('plan', 'plus');
    user().setUserAttribute('visits', 7);
    user().setUserAttribute('temp', 'x');
    user().removeUserAttribute('temp');
    user().setUserAttributeList('colors', ['red', 'teal']);
    user().setUserTag('vip');
    sdk.logEvent('Opened', sdk.EventType.Navigation, {a: 1}, {flag: 'f'});
    sdk.logPageView('Home', {page: '/home'});
    sdk.logError(new Error('broken'));
    const product = sdk.eCommerce.createProduct('Shoe', 's1', 10.5, 2);
    sdk.eCommerce.logProductAction(sdk.ProductActionType.AddToCart, product);
    sdk.eCommerce.logProductAction(sdk.ProductActionType.Purchase, product, null, null,
        {Id: 't1', Revenue: 21});
    sdk.eCommerce.logPromotion(sdk.PromotionType.PromotionClick,
        sdk.eCommerce.createPromotion('p1', 'c', 'Spring', 2));
    sdk.eCommerce.logImpression(sdk.eCommerce.createImpression('List', product));
    const consent = sdk.Consent.createConsentState();
    consent.addGDPRConsentState('newsletter', sdk.Consent.createGDPRConsent(true, Date.now()));
    consent.setCCPAConsentState(sdk.Consent.createCCPAConsent(true, Date.now()));
    user().setConsentState(consent);
    sdk.logEvent('Consented', sdk.EventType.Other);
    out.modify = (await asked('modify',
        {customerid: CUSTOMER, email: 'new-' + CUSTOMER + '@example.test'})).httpCode;
    out.search = (await answer('search',
        done => sdk.Identity.search(KEY, {customerid: CUSTOMER}, done))).httpCode;
    if (!sdk.getInstance()._Store.SDKConfig.domain)
        out.audiences = await answer('audiences', done => user().getUserAudiences(done));
    sdk.endSession();
    sdk.startNewSession();
    sdk.upload();
    out.logout = (await asked('logout', {})).httpCode;
    const anonymous = user().getMPID();
    out.alias = (await answer('alias', done => sdk.Identity.aliasUsers({
        sourceMpid: anonymous, destinationMpid: mpid,
        startTime: Date.now() - 60000, endTime: Date.now()}, done))).httpCode;
    sdk.setOptOut(true);
    sdk.setOptOut(false);
    out.mpids = [mpid, anonymous];
    return out;
"""


def use(page: Page, customer: str) -> dict[str, Any]:
    """Make every call that the SDK offers; return what the callbacks were told."""
    names = f"const CUSTOMER = {json.dumps(customer)}, KEY = {json.dumps(KEY)};"
    script = f"async () => {{ {names}{CALLS} }}"
    answers: dict[str, Any] = page.evaluate(script)
    return answers


@pytest.mark.parametrize("way", ["single URLs", "domain", "loader"])
def test_every_call_of_the_sdk_arrives(site: Site, way: str) -> None:
    """Section 7, (a) and (b), for each way of pointing the SDK here."""
    config = {
        "single URLs": site.single_urls,
        "domain": f'domain: "{site.host}", ',
        "loader": "",
    }[way]
    page = site.open(config, by_loader=way == "loader")
    assert page.evaluate("window.identified.httpCode") == 200
    customer = f"cust-{way[:6].strip()}"
    answers = use(page, customer)
    assert (answers["login"], answers["modify"], answers["logout"]) == (200, 200, 200)
    assert (answers["search"], answers["alias"]) == (200, 202)
    if way != "domain":  # with it the SDK asks its vendor's host for audiences
        assert "currentAudienceMemberships" in json.dumps(answers["audiences"])
    expected = {
        "Opened",
        "Home",
        "crash_report",
        "commerce_event",
        "Consented",
        "session_start",
        "session_end",
        "user_attribute_change",
        "user_identity_change",
    }
    eventually(
        lambda: set(site.names(customer)) if site.served.find(customer) else set(),
        lambda found: expected <= found,
    )
    profile = site.served.profile(customer)
    identities = {each["type"]: each["value"] for each in profile["user_identities"]}
    assert identities["customer_id"] == customer
    assert identities["email"] == f"new-{customer}@example.test"
    assert identities["other_id_2"] == "o2"
    attributes = profile["user_attributes"]
    assert attributes == {"plan": "plus", "visits": "7", "colors": ["red", "teal"], "vip": None}
    assert profile["consent_state"]["gdpr"]["newsletter"]["consented"] is True
    assert profile["consent_state"]["ccpa"]["data_sale_opt_out"]["consented"] is True
    assert str(profile["mpid"]) == answers["mpids"][0]
    commerce = [
        each["data"]
        for each in site.served.events(customer)
        if each["event_type"] == "commerce_event"
    ]
    assert {each["custom_event_type"] for each in commerce} == {
        "add_to_cart",
        "purchase",
        "promotion_click",
        "impression",
    }
    [purchase] = [each for each in commerce if each["custom_event_type"] == "purchase"]
    assert purchase["product_action"]["products"][0]["quantity"] == 2
    delivered = eventually(
        lambda: [each for each in site.served.delivered() if each["mpid"] == profile["mpid"]],
        lambda batches: any("Consented" in json.dumps(each) for each in batches),
    )
    assert delivered
    page.context.close()


def test_what_waits_when_a_page_is_closed_is_sent(site: Site) -> None:
    """Section 4.4: by a beacon."""
    page = site.open(site.single_urls)
    page.evaluate(
        """() => new Promise(done => mParticle.Identity.login(
            {userIdentities: {customerid: 'closing'}}, done))"""
    )
    page.evaluate("() => { mParticle.logEvent('Last', mParticle.EventType.Other); }")
    page.unroute_all()  # a request that would be looked at ends with its page
    page.goto("about:blank")
    eventually(
        lambda: site.names("closing") if site.served.find("closing") else [],
        lambda found: "Last" in found,
    )


def test_a_wrong_key_is_told_and_stores_nothing(site: Site) -> None:
    """Section 7, (d)."""
    page = site.open(site.single_urls, key="us1-unknown-key")
    assert page.evaluate("window.identified.httpCode") not in (200, 202)
    page.context.close()


def test_events_wait_while_the_server_is_away(site: Site) -> None:
    """Worked case 38: they arrive at the next interval, once."""
    page = site.open(site.single_urls)
    page.evaluate(
        """() => new Promise(done => mParticle.Identity.login(
            {userIdentities: {customerid: 'patient'}}, done))"""
    )
    answers = [503, 429, 503]

    def refuse(route: Route) -> None:
        if answers and route.request.method == "POST":
            headers = {"Access-Control-Allow-Origin": "*", "Retry-After": "1"}
            route.fulfill(status=answers.pop(), headers=headers)
        else:
            route.continue_()

    page.route("**/v3/JS/**", refuse)
    page.evaluate("() => { mParticle.logEvent('Waited', mParticle.EventType.Other); }")

    def look() -> bool:
        page.wait_for_timeout(PAUSE_MS)  # requests are answered here only meanwhile
        return not answers

    eventually(look, lambda is_over: is_over)
    page.unroute_all()
    names = eventually(lambda: site.names("patient"), lambda found: "Waited" in found)
    assert names.count("Waited") == 1
    page.context.close()
