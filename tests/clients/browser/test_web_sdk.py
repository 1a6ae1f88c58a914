"""mParticle's web SDK, unmodified, in a real browser (spec/clients.md, 4 and 7)."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route

from server.routes.pixel import TRANSPARENT_GIF
from tests.clients.browser.pages import KEY, PATIENCE_MS, PAUSE_MS, Site
from tests.serving import eventually

pytestmark = pytest.mark.ray

PARTNER = "https://partner.example.test/"
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
    user().setUserAttribute('gone', 'soon');
    user().removeUserAttribute('gone');
    user().setUserTag('brief');
    user().removeUserTag('brief');
    sdk.setAppName('Shop');
    sdk.setAppVersion('1.2');
    sdk.setPosition(53.3, -6.2);
    sdk.setIntegrationAttribute(128, {MCID: 'm'});
    sdk.setSessionAttribute('came', 'early');
    sdk.logEvent('Opened', sdk.EventType.Navigation, {a: 1}, {flag: 'f'});
    sdk.logBaseEvent({name: 'Based', messageType: 4, eventType: 8, data: {b: 2}});
    document.body.insertAdjacentHTML('beforeend', '<a id="link" href="#there">There</a>'
        + '<iframe name="sink"></iframe><form id="form" target="sink"></form>');
    sdk.logLink('#link', 'Linked', sdk.EventType.Navigation);
    sdk.logForm('#form', 'Formed', sdk.EventType.Other);
    document.querySelector('#link').click();
    document.querySelector('#form').requestSubmit();
    sdk.logPageView('Home', {page: '/home'});
    sdk.logError(new Error('broken'));
    const product = sdk.eCommerce.createProduct('Shoe', 's1', 10.5, 2);
    sdk.eCommerce.logProductAction(sdk.ProductActionType.AddToCart, product);
    sdk.eCommerce.logProductAction(sdk.ProductActionType.Purchase, product, null, null,
        {Id: 't1', Revenue: 21});
    sdk.eCommerce.logPromotion(sdk.PromotionType.PromotionClick,
        sdk.eCommerce.createPromotion('p1', 'c', 'Spring', 2));
    sdk.eCommerce.setCurrencyCode('EUR');
    sdk.eCommerce.logCheckout(1, 'card');
    sdk.eCommerce.logRefund({Id: 't1'}, product);
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
        "Based",
        "Linked",
        "Formed",
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
        "checkout",
        "refund",
        "promotion_click",
        "impression",
    }
    ends = [
        each["data"] for each in site.served.events(customer) if each["event_type"] == "session_end"
    ]
    assert any("came" in (each.get("custom_attributes") or {}) for each in ends)
    [purchase] = [each for each in commerce if each["custom_event_type"] == "purchase"]
    assert purchase["product_action"]["products"][0]["quantity"] == 2
    delivered = eventually(
        lambda: [each for each in site.served.delivered() if each["mpid"] == profile["mpid"]],
        lambda batches: any("Consented" in json.dumps(each) for each in batches),
    )
    [opened] = [
        (each, event["data"])
        for each in delivered
        for event in each["events"]
        if event["data"].get("event_name") == "Opened"
    ]
    assert opened[0]["application_info"]["application_name"] == "Shop"
    assert opened[0]["application_info"]["application_version"] == "1.2"
    assert opened[0]["integration_attributes"] == {"128": {"MCID": "m"}}
    assert opened[1]["location"]["latitude"] == 53.3
    page.context.close()


def test_a_browser_tells_a_partner_whose_cookie_it_is(site: Site) -> None:
    """spec/connections.md, 8: by an image, after identify, as consented, not too often."""
    page = site.open(site.single_urls)
    asked: list[str] = []

    def partner(route: Route) -> None:
        """Answer as a partner that has an id for the browser: hand it to the return leg."""
        url = urlsplit(route.request.url)
        asked.append(url.path)
        query = parse_qs(url.query)
        assert query["user"] == [page.evaluate("mParticle.Identity.getCurrentUser().getMPID()")]
        if "to" in query:
            location = query["to"][0].replace("id=ID", "id=p1")
            route.fulfill(status=302, headers={"Location": location})
        else:
            route.fulfill(status=200, content_type="image/gif", body=TRANSPARENT_GIF)

    page.context.route(f"{PARTNER}**", partner)
    login = """() => new Promise(done => mParticle.Identity.login(
        {userIdentities: {customerid: 'synced'}}, done))"""
    with page.expect_response("**/v1/cookiesync/2?**") as returned:
        page.evaluate(login)
    mpid = page.evaluate("mParticle.Identity.getCurrentUser().getMPID()")
    assert parse_qs(urlsplit(returned.value.url).query) == {"mpid": [mpid], "id": ["p1"]}
    assert (returned.value.status, returned.value.headers["content-type"]) == (200, "image/gif")
    assert asked == ["/sync"]
    page.evaluate(
        """() => {
            const consent = mParticle.Consent.createConsentState();
            consent.addGDPRConsentState('newsletter', mParticle.Consent.createGDPRConsent(true));
            mParticle.Identity.getCurrentUser().setConsentState(consent);
        }"""
    )
    # The SDK keeps when it has loaded which image.
    kept = """Object.values(localStorage).some(each => {
        const dates = each.match(/'csd':'([^']+)'/);
        return dates && Object.keys(JSON.parse(atob(dates[1]))).length === 2;
    })"""
    page.wait_for_function(kept, timeout=PATIENCE_MS)
    page.evaluate(login)
    assert asked == ["/sync", "/careful"]
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
