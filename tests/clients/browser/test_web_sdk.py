"""mParticle's web SDK, unmodified, in a real browser (spec/clients.md, 4 and 7)."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Route

from server.routes.pixel import TRANSPARENT_GIF
from tests.clients.browser.conftest import PLUS
from tests.clients.browser.pages import KEY, LOCATION, PATIENCE_MS, PAUSE_MS, SHOP, Site
from tests.serving import eventually

pytestmark = pytest.mark.ray

PARTNER = "https://partner.example.test/"
CALLS = (Path(__file__).parent / "web_calls.js").read_text()
AUDIENCES = """mpid => new Promise(done =>
    mParticle.Identity.getUser(mpid).getUserAudiences(told => done(told.currentAudienceMemberships))
)"""
LOGIN = """customerid => new Promise(done =>
    mParticle.Identity.login({userIdentities: {customerid}}, done))"""
OFFERED = """() => {
    const sdk = mParticle, names = new Set();
    for (const object of [sdk, sdk.Identity, sdk.Identity.getCurrentUser(), sdk.eCommerce,
                          sdk.Consent, sdk.Consent.createConsentState()])
        for (const name in object)
            if (typeof object[name] === 'function' && !name.startsWith('_')) names.add(name);
    return [...names];
}"""
TELL_NO_SERVER = {  # they read, calculate, or are for kits that run in the page
    *("MPSideloadedKit", "addForwarder", "captureTiming", "configurePixel", "expandCommerceEvent"),
    *("generateHash", "getAllUserAttributes", "getAppName", "getAppVersion", "getCart"),
    *("getCCPAConsentState", "getConsentState", "getDeviceId", "getEnvironment"),
    *("getFirstSeenTime", "getGDPRConsentState", "getInstance", "getIntegrationAttributes"),
    *("getLastSeenTime", "getUserAttributesLists", "getUserIdentities", "getUsers", "getVersion"),
    *("isInitialized", "isLoggedIn", "ready", "reset"),
    "init",  # each page calls it
    "removeCCPAState",  # the former name of removeCCPAConsentState
}
EVENT_TYPES = {
    "Type Unknown": "unknown",
    "Type Navigation": "navigation",
    "Type Location": "location",
    "Type Search": "search",
    "Type Transaction": "transaction",
    "Type UserContent": "user_content",
    "Type UserPreference": "user_preference",
    "Type Social": "social",
    "Type Other": "other",
    "Type Media": "media",
}
NAMED = {
    *("Opened", "Tracked", "Based", "Linked", "Formed", "Home", "PageView", "Consented"),
    *("session_start", "session_end", "user_attribute_change", "user_identity_change"),
    *("crash_report", "commerce_event", *EVENT_TYPES),
}
COMMERCE = {
    *("add_to_cart", "remove_from_cart", "checkout", "checkout_option", "click", "view_detail"),
    *("purchase", "refund", "add_to_wishlist", "remove_from_wishlist", "promotion_view"),
    *("promotion_click", "impression"),
}


def test_no_call_of_the_sdk_is_left_out(site: Site) -> None:
    """What the tests here call is all that the SDK offers, but for what concerns no server."""
    page = site.open(site.single_urls)
    offered = set(page.evaluate(OFFERED))
    called = {
        name for name in offered if re.search(rf'\.{name}\(|asked\("{name}"', CALLS + AUDIENCES)
    }
    assert offered - called == TELL_NO_SERVER
    page.context.close()


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
    answers = page.evaluate(CALLS, {"customer": customer, "key": KEY})
    mpid, anonymous = answers.pop("mpids")
    assert answers == {
        **dict.fromkeys(("identify", "login", "modify", "search", "logout"), 200),
        "alias": 202,
    }
    eventually(lambda: set(site.names(customer)), lambda found: found >= NAMED)
    profile = site.served.profile(customer)
    assert str(profile["mpid"]) == mpid
    check_profile(profile, customer)
    check_events(site.served.events(customer), customer)
    delivered = eventually(
        lambda: [each for each in site.served.delivered() if each["mpid"] == profile["mpid"]],
        lambda batches: "Consented" in json.dumps(batches),
    )
    check_delivered(delivered)
    heard = eventually(lambda: site.names(anonymous), lambda found: "Heard" in found)
    assert heard.count("opt_out") == 2
    assert "Unheard" not in heard
    if way != "domain":  # with it the SDK asks its vendor's host for audiences
        found = eventually(lambda: page.evaluate(AUDIENCES, mpid), bool)
        assert found == [{"audience_id": PLUS}]
        hosts = page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
        assert {urlsplit(each).netloc for each in hosts} <= {
            *(site.host, urlsplit(SHOP).netloc, urlsplit(PARTNER).netloc)
        }
    page.context.close()


def check_profile(profile: dict[str, Any], customer: str) -> None:
    assert {each["type"]: each["value"] for each in profile["user_identities"]} == {
        "customer_id": customer,
        "email": f"new-{customer}@example.test",
        "other_id_2": "o2",
    }
    assert profile["user_attributes"] == {
        "plan": "plus",
        "visits": "7",
        "size": "m",
        "tall": "true",
        "colors": ["red", "teal"],
        "vip": None,
    }
    consent = profile["consent_state"]
    assert list(consent["gdpr"]) == ["newsletter"]
    newsletter = consent["gdpr"]["newsletter"]
    assert newsletter["consented"] is True
    assert (newsletter["document"], newsletter["hardware_id"]) == ("terms", "h1")
    assert consent["ccpa"]["data_sale_opt_out"]["consented"] is True


def check_events(events: list[dict[str, Any]], customer: str) -> None:
    def of(kind: str) -> list[dict[str, Any]]:
        return [each["data"] for each in events if each["event_type"] == kind]

    custom = {each["event_name"]: each for each in of("custom_event")}
    assert {name: custom[name]["custom_event_type"] for name in EVENT_TYPES} == EVENT_TYPES
    opened = custom["Opened"]
    assert "Kept back" not in custom
    assert (opened["custom_attributes"]["a"], opened["custom_flags"]) == ("1", {"flag": "f"})
    assert opened["location"]["latitude"] == 53.3
    assert custom["Tracked"]["location"]["longitude"] == LOCATION["longitude"]
    assert custom["Based"]["custom_attributes"]["b"] == "2"
    assert custom["Based"]["source_message_id"] == f"own-{customer}"
    assert {"broken", "in words"} <= {each["custom_attributes"]["m"] for each in of("crash_report")}
    commerce = of("commerce_event")
    assert {each["custom_event_type"] for each in commerce} == COMMERCE
    assert {each.get("currency_code") for each in commerce} == {"EUR"}
    orders = {
        each["product_action"]["transaction_id"]: each["product_action"]
        for each in commerce
        if each["custom_event_type"] == "purchase"
    }
    assert {name: each["total_amount"] for name, each in orders.items()} == {"t1": 21, "t2": 4}
    assert (orders["t1"]["tax_amount"], orders["t1"]["shipping_amount"]) == (2, 3)
    [product] = orders["t1"]["products"]
    assert (product["id"], product["quantity"], product["price"]) == ("s1", 2, 10.5)
    assert (product["brand"], product["custom_attributes"]) == ("Northpeak", {"lace": "long"})
    assert any("came" in (each.get("custom_attributes") or {}) for each in of("session_end"))


def check_delivered(batches: list[dict[str, Any]]) -> None:
    """What goes out beside the events; `Opened` was sent after the app and device were named."""
    [opened] = [each for each in batches if '"Opened"' in json.dumps(each)]
    assert opened["application_info"]["application_name"] == "Shop"
    assert opened["application_info"]["application_version"] == "1.2"
    assert opened["integration_attributes"] == {"128": {"MCID": "m"}}
    assert opened["mp_deviceid"] == "0f0f0f0f-0000-4000-8000-0000000000dd"
    [consented] = [each for each in batches if '"Consented"' in json.dumps(each)]
    assert consented["consent_state"]["gdpr"]["newsletter"]["consented"] is True


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
    with page.expect_response("**/v1/cookiesync/2?**") as returned:
        page.evaluate(LOGIN, "synced")
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
    page.evaluate(LOGIN, "synced")
    assert asked == ["/sync", "/careful"]
    page.context.close()


def test_what_waits_when_a_page_is_closed_is_sent(site: Site) -> None:
    """Section 4.4: by a beacon."""
    page = site.open(site.single_urls)
    page.evaluate(LOGIN, "closing")
    page.evaluate("() => { mParticle.logEvent('Last', mParticle.EventType.Other); }")
    page.unroute_all()  # a request that would be looked at ends with its page
    page.goto("about:blank")
    eventually(
        lambda: site.names("closing"),
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
    page.evaluate(LOGIN, "patient")
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
