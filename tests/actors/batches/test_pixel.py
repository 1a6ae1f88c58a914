from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.batches.pixel import pixel_batch
from actors.errors import BatchRejected, Problem
from actors.model.batches import Batch
from tests.actors.batches.support import WEB, T, context, decoded

PIXEL = context(WEB, channel="pixel", ip="203.0.113.9", user_agent="Browser/1")
NAMED = "dt=AppEvent&n=Mail"


def pixel(query: str) -> Batch:
    return decoded(pixel_batch(query, T), PIXEL)


def pixel_data(query: str) -> dict[str, Any]:
    [only] = pixel(query).events
    return only.data


def test_a_pixel_is_a_batch_with_a_custom_event() -> None:
    """spec/events-api.md, worked case 67."""
    batch = pixel(
        "dt=AppEvent&n=Mail%20Open&et=Navigation&ct=1767225000000&dbg=true&ui_t=customerid&ui_v=c9"
        "&attrs_k=a,b&attrs_v=1,x%2Cy"
    )
    assert batch.environment == "development"
    assert batch.user_identities == {"customer_id": "c9"}
    assert batch.ip == "203.0.113.9"
    assert batch.device_info == {"platform": "web", "http_header_user_agent": "Browser/1"}
    [only] = batch.events
    assert only.event_type == "custom_event"
    assert only.timestamp_ms == 1767225000000
    assert only.data["event_name"] == "Mail Open"
    assert only.data["custom_event_type"] == "navigation"
    assert only.data["custom_attributes"] == {"a": "1", "b": "x,y"}


def test_a_screen_view_is_named_after_its_page() -> None:
    """spec/events-api.md, worked case 68."""
    batch = pixel("dt=ScreenView&path=/p&hn=shop.example&ttl=Shop")
    [only] = batch.events
    assert only.event_type == "screen_view"
    assert only.data["screen_name"] == "/p"
    page = {"hostname": "shop.example", "title": "Shop", "path": "/p"}
    assert only.data["custom_attributes"] == page
    assert pixel_data("dt=3&hn=shop.example")["screen_name"] == "shop.example"
    assert pixel_data("dt=3&hn=shop.example&n=Home")["screen_name"] == "Home"
    assert "screen_name" not in pixel_data("dt=3")


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("dt=Foo", ('Invalid value for field "dt": must be AppEvent or ScreenView.', "dt")),
        ("n=x", ('Required field "dt" is missing or empty.', "dt")),
        ("", ('Required field "dt" is missing or empty.', "dt")),
        ("dt=appevent", ('Required field "n" is missing or empty.', "n")),
        ("dt=4&n=${name}", ('Required field "n" is missing or empty.', "n")),
    ],
)
def test_a_pixel_needs_a_type_and_a_name(query: str, problem: tuple[str, str]) -> None:
    """spec/events-api.md, worked case 68."""
    with pytest.raises(BatchRejected) as refusal:
        pixel_batch(query, T)
    assert refusal.value.problems == [Problem(*problem)]


@pytest.mark.parametrize(
    ("query", "attributes"),
    [
        ("ua_k=a,b,c&ua_v=1,2", {"a": "1", "b": "2"}),
        ("ua_k=a&ua_v=1,2", {"a": "1"}),
        ("ua_k=a,,c&ua_v=1,2,3", {"a": "1", "c": "3"}),
        ("ua_k=a,b&ua_v=,${x}", {}),
        ("ua_k=a+b&ua_v=c%2Bd+e", {"a b": "c+d e"}),
        ("ua_k=a%3Db%26c&ua_v=%C3%A9", {"a=b&c": "é"}),
        ("ua_k=a%2Cb&ua_v=x=y", {"a,b": "x=y"}),
    ],
)
def test_lists_pair_by_position(query: str, attributes: dict[str, str]) -> None:
    """spec/events-api.md, worked case 69."""
    assert pixel(f"{NAMED}&{query}").user_attributes == attributes


@pytest.mark.parametrize(
    "placeholder", ["${eventAttributes_Keys}", "%24%7BeventAttributes_Keys%7D"]
)
def test_unfilled_placeholders_are_absent(placeholder: str) -> None:
    """spec/events-api.md, worked case 69."""
    assert pixel_data(f"{NAMED}&attrs_k={placeholder}&attrs_v=x")["custom_attributes"] == {}


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        *(("", "unknown"), ("UserContent", "user_content"), ("USERPREFERENCE", "user_preference")),
        *(("0", "unknown"), ("5", "user_content"), ("9", "media"), ("10", "unknown")),
        ("x", "unknown"),
    ],
)
def test_event_types_have_names_and_numbers(sent: str, kind: str) -> None:
    """spec/events-api.md, 17."""
    assert pixel_data(f"{NAMED}&et={sent}")["custom_event_type"] == kind


@pytest.mark.parametrize("sent", ["", "soon", "0", "-5", "${timestamp}", "9" * 30])
def test_an_unreadable_time_is_that_of_receipt(sent: str) -> None:
    """spec/events-api.md, 17."""
    assert pixel_data(f"{NAMED}&ct={sent}")["timestamp_unixtime_ms"] == T


def test_other_parameters_have_their_places() -> None:
    """spec/events-api.md, 17."""
    batch = pixel(
        f"{NAMED}&av=1.2&amp_id=amp-7&flags_k=f&flags_v=1&ui_t=CUSTOMERID,Email&ui_v=c9,a%40b"
        "&path=/p&attrs_k=path&attrs_v=mine&lc=48.85%2C2.35"
        "&consent_state=%7B%22gdpr%22%3A%7B%22newsletter%22%3A%7B%22consented%22%3Atrue%7D%7D%7D"
    )
    assert batch.environment == "production"
    assert batch.application_info == {"application_version": "1.2"}
    assert batch.device_info["amp_id"] == "amp-7"
    assert batch.user_identities == {"customer_id": "c9", "email": "a@b"}
    assert batch.consent_state["gdpr"]["newsletter"] == {
        "consented": True,
        "timestamp_unixtime_ms": T,
    }
    assert batch.location == {"latitude": 48.85, "longitude": 2.35}
    [only] = batch.events
    assert only.data["custom_flags"] == {"f": "1"}
    assert only.data["custom_attributes"] == {"path": "mine"}


@pytest.mark.parametrize(
    "query", ["lc=here", "lc=1", "lc=nan,inf", "consent_state=%7B", "consent_state=5"]
)
def test_what_cannot_be_read_is_dropped(query: str) -> None:
    """spec/events-api.md, 17."""
    batch = pixel(f"{NAMED}&{query}")
    assert batch.location is None
    assert batch.consent_state == {}


NAMES = st.sampled_from(
    ["dt", "n", "et", "ct", "dbg", "attrs_k", "attrs_v", "ua_k", "ua_v", "lc", "consent_state"]
)
VALUES = st.text(alphabet="a,%2C+&=${}é\ud8000[1.-", max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_any_query_makes_a_batch(parameters: list[tuple[str, str]]) -> None:
    query = "&".join([NAMED, *(f"{name}={value}" for name, value in parameters)])
    try:
        raw = pixel_batch(query, T)
    except BatchRejected:
        return
    assert len(decoded(raw, PIXEL).events) == 1
