"""The mParticle Python SDK 0.16.1, unmodified: only `configuration.host` is set."""

from collections.abc import Iterator
from typing import Any

import mparticle
import pytest

from tests.serving import KEY, SECRET, Served, eventually, serving

pytestmark = [
    pytest.mark.ray,
    # Of the SDK's own making: it was written for older versions of Python and urllib3.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::SyntaxWarning"),
]

SESSION = "0b6f2c1e-7d43-4a8e-9c55-1f2e3d4c5b6a"
SESSION_ID = -5919788808654228288


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serving(tmp_path_factory.mktemp("sdk"))


@pytest.fixture
def api(served: Served) -> Any:
    configuration = mparticle.Configuration()
    configuration.api_key, configuration.api_secret = KEY, SECRET
    configuration.host = f"{served.process.url}/v2"
    return mparticle.EventsApi(configuration)


def every_event() -> list[Any]:
    """Make one event of each type that the SDK has."""
    product = mparticle.Product(id="p1", name="Shoe", price=10.5, quantity=2)
    promotion = mparticle.Promotion(id="promo", name="Spring")
    return [
        mparticle.SessionStartEvent(session_uuid=SESSION),
        mparticle.AppEvent(
            "Opened",
            "navigation",
            session_uuid=SESSION,
            custom_attributes={"n": 3, "f": 1.5, "b": True, "s": "x"},
            custom_flags={"flag": 42},
            location=mparticle.GeoLocation(latitude=40.7, longitude=-73.9, accuracy=5.0),
            device_current_state=mparticle.DeviceCurrentState(battery_level=0.5),
        ),
        mparticle.ScreenViewEvent(screen_name="Home", activity_type="main"),
        mparticle.CommerceEvent(
            mparticle.ProductAction(
                action="purchase", transaction_id="t1", total_amount=21.0, products=[product]
            ),
            currency_code="EUR",
            shopping_cart=mparticle.ShoppingCart(products=[product]),
        ),
        mparticle.CommerceEvent(
            promotion_action=mparticle.PromotionAction(action="view", promotions=[promotion])
        ),
        mparticle.CommerceEvent(
            product_impressions=[
                mparticle.ProductImpression(product_impression_list="list", products=[product])
            ]
        ),
        mparticle.ApplicationStateTransitionEvent(
            application_transition_type="application_initialized", is_first_run=True
        ),
        mparticle.BreadcrumbEvent(label="tapped", session_number=1),
        mparticle.CrashReportEvent(message="boom", severity="fatal", exception_handled=False),
        mparticle.FirstRunEvent(),
        mparticle.NetworkPerformanceEvent(
            http_verb="GET", url="https://x.example", time_elapsed=12, response_code=200
        ),
        mparticle.OptOutEvent(is_opted_out=False),
        mparticle.ProfileEvent(profile_event_type="login", profile_name="p"),
        mparticle.PushMessageEvent(
            push_message_type="received",
            push_message_token="token",
            network="gcm",
            push_notification_payload="{}",
        ),
        mparticle.PushRegistrationEvent(register=True, registration_token="token"),
        mparticle.SessionEndEvent(session_uuid=SESSION, session_duration_ms=1000),
    ]


EVENT_TYPES = [
    *("session_start", "custom_event", "screen_view", "commerce_event", "commerce_event"),
    *("commerce_event", "application_state_transition", "breadcrumb", "crash_report"),
    *("first_run", "network_performance", "opt_out", "profile", "push_message"),
    *("push_registration", "session_end"),
]


def batch_of(customer_id: str, events: list[Any]) -> Any:
    """Make a batch with all that the SDK can put beside events."""
    batch = mparticle.Batch()
    batch.environment = "production"
    batch.user_identities = mparticle.UserIdentities(
        customerid=customer_id, email=f"{customer_id}@example.com"
    )
    batch.user_attributes = {"tier": "gold", "visits": 7, "tags": ["a", "b"]}
    batch.device_info = mparticle.DeviceInformation(
        platform="iOS", ios_advertising_id="d1f5c3a0-0000-4000-8000-00000000abcd"
    )
    batch.application_info = mparticle.ApplicationInformation(application_version="1.2.3")
    consent = mparticle.ConsentState()
    consent.gdpr = {"newsletter": mparticle.GDPRConsentState(document="terms", consented=True)}
    consent.ccpa = {"data_sale_opt_out": mparticle.CCPAConsentState(consented=True)}
    batch.consent_state = consent
    batch.deleted_user_attributes = ["old"]
    batch.integration_attributes = {"128": {"MCID": "m"}}
    batch.context = mparticle.BatchContext(
        data_plan=mparticle.DataPlanContext(plan_id="shop", plan_version=1)
    )
    batch.events = events
    return batch


def test_upload_events_stores_every_type_with_its_types_of_values(served: Served, api: Any) -> None:
    """Profile, timeline and output hold what the SDK sent; 202 is what makes it return."""
    _, status, _ = api.upload_events_with_http_info(batch_of("sdk-one", every_event()))
    assert status == 202

    events = served.events("sdk-one")
    assert [event["event_type"] for event in events] == EVENT_TYPES
    opened = events[1]["data"]
    assert opened["session_id"] == SESSION_ID
    assert opened["custom_event_type"] == "navigation"
    assert opened["custom_attributes"] == {
        "n": "3",
        "f": "1.5",
        "b": "true",
        "s": "x",
        "mParticle Source Feed": "Backend",
    }
    assert opened["custom_flags"] == {"flag": 42}
    assert opened["location"]["latitude"] == 40.7
    assert opened["device_current_state"] == {"battery_level": 0.5}
    assert events[3]["data"]["shopping_cart"]["products"][0]["id"] == "p1"
    assert events[3]["data"]["product_action"]["products"][0]["total_product_amount"] == 21
    assert [event["data"]["custom_event_type"] for event in events[3:6]] == [
        "purchase",
        "promotion_view",
        "impression",
    ]

    profile = served.profile("sdk-one")
    assert profile["user_attributes"] == {"tier": "gold", "visits": "7", "tags": ["a", "b"]}
    assert {each["type"]: each["value"] for each in profile["user_identities"]} == {
        "customer_id": "sdk-one",
        "email": "sdk-one@example.com",
    }
    assert profile["consent_state"]["gdpr"]["newsletter"]["consented"] is True
    assert profile["consent_state"]["ccpa"]["data_sale_opt_out"]["consented"] is True

    batches = eventually(
        lambda: [each for each in served.delivered() if each["mpid"] == profile["mpid"]], bool
    )
    [outgoing] = batches
    assert [event["event_type"] for event in outgoing["events"]] == EVENT_TYPES
    assert outgoing["user_attributes"] == profile["user_attributes"]
    assert outgoing["device_info"]["platform"] == "iOS"
    assert outgoing["deleted_user_attributes"] == ["old"]
    assert outgoing["integration_attributes"] == {"128": {"MCID": "m"}}
    assert outgoing["context"]["data_plan"] == {"plan_id": "shop", "plan_version": 1}


def test_bulk_upload_events_stores_every_batch(served: Served, api: Any) -> None:
    """Twenty users in one request."""
    batches = [batch_of(f"sdk-bulk-{number}", every_event()[:3]) for number in range(20)]
    for number, batch in enumerate(batches):  # a device of their own
        batch.device_info.ios_advertising_id = f"d1f5c3a0-0000-4000-8000-{number:012d}"
    _, status, _ = api.bulk_upload_events_with_http_info(batches)
    assert status == 202
    for number in range(20):
        events = served.events(f"sdk-bulk-{number}")
        assert [event["event_type"] for event in events] == EVENT_TYPES[:3]


def test_what_serve_prints_works_as_printed(served: Served) -> None:
    """The banner's snippet runs, with the secret that it leaves out put in."""
    lines = served.process.text().splitlines()
    start = next(place for place, line in enumerate(lines) if line == "  import mparticle")
    snippet = [line.strip() for line in lines[start : lines.index("", start)]]
    source = "\n".join(snippet).replace("SECRET", SECRET)
    exec(compile(source, "banner", "exec"), {})
    assert served.events("ann")[-1]["data"]["event_name"] == "Hello"
