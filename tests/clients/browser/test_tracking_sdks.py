"""Segment's and RudderStack's browser SDKs, unmodified (spec/clients.md, 6.5, 6.6 and 7)."""

import json
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route

from tests.clients.browser.pages import KEY, PAUSE_MS, Site
from tests.serving import eventually

pytestmark = pytest.mark.ray

T = TypeVar("T")
SDKS = ["segment", "rudder"]
LOAD = {
    "segment": """
        <script src="/sdk/@segment/analytics-next/dist/umd/index.js"></script>
        <script>
            window.analytics = AnalyticsNext.AnalyticsBrowser.load(
                {writeKey: "KEY", cdnURL: "https://HOST"},
                {integrations: {"Segment.io": {apiHost: "HOST/v1", protocol: "https"}}});
        </script>""",
    "rudder": """
        <script src="/sdk/@rudderstack/analytics-js/dist/npm/modern/bundled/umd/index.js"></script>
        <script>
            window.analytics = new rudderanalytics.RudderAnalytics();
            window.analytics.load("KEY", "https://HOST", {configUrl: "https://HOST"});
        </script>""",
}
CALLS = """USER => {
    analytics.identify(USER, {email: USER + "@example.test", firstName: "Ada", plan: "pro",
        address: {city: "Turin"}});
    analytics.page("Docs", "Pricing");
    analytics.track("Opened", {n: 1, nested: {a: true}});
    analytics.track("Order Completed", {order_id: "o1", total: 21.0,
        products: [{product_id: "p", quantity: 2}]});
    analytics.group("acme", {size: 3});
    if (analytics.screen) analytics.screen("Main");
}"""
SENT = {"segment": ["Main", "Opened", "Pricing", "commerce_event"]}  # RudderStack's has no screen
SENT["rudder"] = SENT["segment"][1:]
TRAITS = {"$FirstName": "Ada", "plan": "pro", "$City": "Turin"}
GROUP = {"group_id": "acme", "group_size": "3"}


def html(site: Site, sdk: str, key: str = KEY) -> str:
    """Return a page whose SDK is told where to send."""
    return LOAD[sdk].replace("KEY", key).replace("HOST", site.host)


def known(site: Site, sdk: str, user: str) -> Page:
    """Open a page and return it once its user is known."""
    page = site.page(html(site, sdk))
    page.evaluate("user => { analytics.identify(user); }", user)
    eventually(lambda: site.served.find(user), bool)
    return page


def wait(page: Page, ask: Callable[[], T], is_right: Callable[[T], bool]) -> T:
    """Ask until the answer is right, while the page's requests are answered by this test."""

    def look() -> T:
        page.wait_for_timeout(PAUSE_MS)
        return ask()

    return eventually(look, is_right)


@pytest.mark.parametrize("sdk", SDKS)
def test_every_call_of_the_sdk_arrives(site: Site, sdk: str) -> None:
    """Section 7, (a) and (b). Both SDKs send what is queued at once, in no order.

    So who they are comes first: a page that is seen before may be stored as somebody unknown's.
    """
    user = f"browser-{sdk}"
    page = site.page(html(site, sdk))
    page.evaluate(CALLS, user)
    eventually(lambda: sorted(site.names(user)), lambda found: found == SENT[sdk])
    profile = eventually(
        lambda: site.served.profile(user),
        lambda found: found["user_attributes"].keys() == (TRAITS | GROUP).keys(),
    )
    assert profile["user_attributes"] == TRAITS | GROUP
    assert {each["type"]: each["value"] for each in profile["user_identities"]} == {
        "customer_id": user,
        "email": f"{user}@example.test",
    }
    events = {each["event_type"]: each["data"] for each in site.served.events(user)}
    assert (
        events["custom_event"]["custom_attributes"].items()
        >= {"n": "1", "nested.a": "true"}.items()
    )
    assert events["commerce_event"]["product_action"]["total_amount"] == 21
    outgoing = eventually(
        lambda: [each for each in site.served.delivered() if each["mpid"] == profile["mpid"]],
        lambda found: len([event for each in found for event in each["events"]]) == len(SENT[sdk]),
    )
    assert {each["source_info"]["channel"] for each in outgoing} == {"javascript"}
    page.context.close()


def test_an_alias_of_the_rudderstack_sdk_names_an_anonymous_user(site: Site) -> None:
    """Section 6.7."""
    page = site.page(html(site, "rudder"))
    with page.expect_response("**/v1/track"):
        page.evaluate("() => { analytics.track('Seen'); }")
    page.evaluate("() => { analytics.alias('now-named', analytics.getAnonymousId()); }")
    assert eventually(lambda: site.names("now-named"), bool) == ["Seen"]
    page.context.close()


def test_an_alias_of_the_segment_sdk_is_accepted_without_effect(site: Site) -> None:
    """Section 6.5: once a user is identified, both of its ids are his."""
    page = known(site, "segment", "keeps-name")
    with page.expect_response("**/v1/a") as aliased:
        page.evaluate("() => { analytics.alias('other-name', 'keeps-name'); }")
    assert aliased.value.status == 200
    sent = json.loads(aliased.value.request.post_data or "")
    assert sent["userId"] == sent["previousId"]
    assert site.served.find("other-name") == []
    page.context.close()


@pytest.mark.parametrize(
    ("sdk", "config", "more", "path"),
    [
        (
            "segment",
            'protocol: "https"',
            'deliveryStrategy: {strategy: "batching", config: {size: 3, timeout: 200}}',
            "/v1/b",
        ),
        (
            "rudder",
            'configUrl: "https://HOST"',
            "useBeacon: true, beaconQueueOptions: {flushQueueInterval: 200}",
            "/beacon/v1/batch",
        ),
    ],
)
def test_several_messages_may_come_together(
    site: Site, sdk: str, config: str, more: str, path: str
) -> None:
    """Sections 6.5 and 6.6: in batches, and by beacons."""
    config = config.replace("HOST", site.host)
    page = site.page("<h1>Shop</h1>")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.set_content(html(site, sdk).replace(config, f"{config}, {more}"))
    user = f"together-{sdk}"
    page.evaluate(
        """user => {
            analytics.identify(user, {plan: "pro"});
            for (const name of ["A", "B", "C"]) analytics.track(name);
        }""",
        user,
    )
    assert wait(page, lambda: sorted(site.names(user)), lambda found: len(found) == 3) == [*"ABC"]
    assert site.served.profile(user)["user_attributes"] == {"plan": "pro"}
    assert path in asked
    assert "/v1/track" not in asked
    page.context.close()


def test_links_and_forms_that_the_segment_sdk_watches_are_tracked(site: Site) -> None:
    page = known(site, "segment", "watched")
    page.evaluate(
        """async () => {
            document.body.insertAdjacentHTML("beforeend", '<a id="link" href="#there">There</a>'
                + '<iframe name="sink"></iframe><form id="form" target="sink"></form>');
            await analytics.trackLink(document.querySelector("#link"), "Linked", {at: "top"});
            await analytics.trackSubmit(document.querySelector("#form"), "Formed");
            document.querySelector("#link").click();
            document.querySelector("#form").requestSubmit();
            await analytics.pageView("/viewed");
        }"""
    )
    found = wait(page, lambda: set(site.names("watched")), lambda found: len(found) == 3)
    assert {"Linked", "Formed"} < found
    events = {each["data"].get("event_name"): each for each in site.served.events("watched")}
    assert events["Linked"]["data"]["custom_attributes"]["at"] == "top"
    page.context.close()


def test_sessions_and_ids_that_the_rudderstack_sdk_is_given_are_kept(site: Site) -> None:
    page = known(site, "rudder", "sitting")
    page.evaluate("() => { analytics.startSession(1795480513946); analytics.track('Sat'); }")
    wait(page, lambda: site.names("sitting"), lambda found: found == ["Sat"])
    [sat] = site.served.events("sitting")
    assert sat["data"]["session_id"] == 1795480513946
    page.evaluate(
        """() => {
            analytics.endSession();
            analytics.reset();
            analytics.setAnonymousId("own-anonymous-id");
            analytics.track("Unknown");
            analytics.identify("stood-up");
        }"""
    )
    wait(page, lambda: site.names("stood-up"), lambda found: found == ["Unknown"])
    assert site.names("sitting") == ["Sat"]
    page.context.close()


@pytest.mark.parametrize("sdk", SDKS)
def test_a_wrong_key_stores_nothing(site: Site, sdk: str) -> None:
    """Section 7, (d): neither SDK starts."""
    path = {"segment": "**/settings", "rudder": "**/sourceConfig/**"}[sdk]
    page = site.page("<h1>Shop</h1>")
    with page.expect_response(path) as told:
        page.set_content(html(site, sdk, "us1-wrong-key"))
    assert told.value.status == {"segment": 404, "rudder": 401}[sdk]
    page.evaluate(CALLS, "nobody")
    assert site.served.find("nobody") == []
    page.context.close()


@pytest.mark.parametrize("sdk", SDKS)
def test_what_is_refused_arrives_once(site: Site, sdk: str) -> None:
    """Worked case 38."""
    user = f"refused-{sdk}"
    page = known(site, sdk, user)
    answers = [503, 429]

    def refuse(route: Route) -> None:
        if answers and route.request.method == "POST":
            headers = {"Access-Control-Allow-Origin": "*", "Retry-After": "1"}
            body = json.dumps({"code": "unavailable", "message": "later"})
            route.fulfill(status=answers.pop(), headers=headers, body=body)
        else:
            route.continue_()

    page.route(f"https://{site.host}/v1/**", refuse)
    page.evaluate("() => { analytics.track('Waited'); }")
    wait(page, lambda: site.names(user), lambda found: found == ["Waited"])
    assert answers == []
    page.context.close()


@pytest.mark.parametrize("sdk", SDKS)
def test_what_was_stored_though_its_answer_was_lost_counts_once(site: Site, sdk: str) -> None:
    """Worked case 39."""
    user = f"lost-{sdk}"
    page = known(site, sdk, user)
    answers: list[int] = []

    def lose(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        response = route.fetch()
        answers.append(response.status)
        if len(answers) == 1:
            route.abort("connectionreset")
        else:
            route.fulfill(response=response)

    page.route(f"https://{site.host}/v1/**", lose)
    page.evaluate("() => { analytics.track('Stored'); }")
    wait(page, lambda: answers, lambda found: found == [200, 200])
    assert site.names(user) == ["Stored"]
    page.context.close()


def test_events_wait_while_the_server_is_started_again(site: Site) -> None:
    """Section 7, (c): of all three browser SDKs, each event once."""
    pages = {f"restart-{sdk}": known(site, sdk, f"restart-{sdk}") for sdk in SDKS}
    mparticle = site.open(site.single_urls)
    mparticle.evaluate(
        """() => new Promise(done => mParticle.Identity.login(
            {userIdentities: {customerid: 'restart-mparticle'}}, done))"""
    )
    site.served.process.kill()
    for page in pages.values():
        page.evaluate("() => { analytics.track('Waited'); }")
    mparticle.evaluate("() => { mParticle.logEvent('Waited', mParticle.EventType.Other); }")
    site.served.start()
    for user, page in (pages | {"restart-mparticle": mparticle}).items():
        wait(page, lambda user=user: site.names(user), lambda found: "Waited" in found)  # type: ignore[misc]
        assert site.names(user).count("Waited") == 1
        page.context.close()
