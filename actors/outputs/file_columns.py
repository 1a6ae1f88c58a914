"""One event as one row: the columns of Parquet and CSV files.

The names are those of the warehouse tables (spec/connections.md, 7.4), with `event_attributes` and
`user_attributes` written as 7.2 says. A column that nothing is known for stays null.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

import orjson
from msgspec import Struct

from actors.outgoing import MESSAGE_TYPES

Kind = Literal["text", "integer", "number", "boolean", "date", "time", "map"]
INT64 = range(-(2**63), 2**63)

# spec/rules.md, 7: the type numbers of custom and commerce events.
EVENT_TYPES = {
    name: number
    for number, name in enumerate(
        (
            "unknown",
            "navigation",
            "location",
            "search",
            "transaction",
            "user_content",
            "user_preference",
            "social",
            "other",
            "media",
            "add_to_cart",
            "remove_from_cart",
            "checkout",
            "checkout_option",
            "click",
            "view_detail",
            "purchase",
            "refund",
            "promotion_view",
            "promotion_click",
            "add_to_wishlist",
            "remove_from_wishlist",
            "impression",
        )
    )
}
PRODUCT_ACTIONS = {
    name: number
    for number, name in enumerate(
        (
            "unknown",
            "add_to_cart",
            "remove_from_cart",
            "checkout",
            "checkout_option",
            "click",
            "view_detail",
            "purchase",
            "refund",
            "add_to_wishlist",
            "remove_from_wish_list",
        )
    )
}
PROMOTION_ACTIONS = {"unknown": 0, "view": 1, "click": 2}
TRANSITIONS = {
    "application_initialized": 1,
    "application_exit": 2,
    "application_background": 3,
    "application_foreground": 4,
}
IDENTITY_COLUMNS = {
    "customerid": "customer_id",
    "facebookid": "facebook",
    "twitterid": "twitter",
    "googleuserid": "google",
    "microsoftuserid": "microsoft",
    "yahoouserid": "yahoo",
    "email": "email",
    "otheruserid": "other",
}


class Row(Struct):
    """What the columns of one row are taken from; an eventless batch has no event.

    `of_batch`: the values of `BATCH_COLUMNS`, once they are known; the rows of a batch share them.
    """

    batch: dict[str, Any]
    identities: dict[str, Any]
    event: dict[str, Any]
    data: dict[str, Any]
    delivery_id: str
    loaded_ms: int
    of_batch: list[Any]


def rows(payload: bytes, delivery_id: str, loaded_ms: int) -> Iterator[Row]:
    """Take a payload apart: one row per event, one for a batch without events."""
    batch: dict[str, Any] = orjson.loads(payload)
    sent = batch.get("user_identities") or {}
    if isinstance(sent, list):  # the outgoing form; the raw data feed has the inbound one
        sent = {entry["identity_type"]: entry["identity"] for entry in sent}
    of_batch: list[Any] = []
    for event in batch.get("events") or [{}]:
        yield Row(batch, sent, event, event.get("data") or {}, delivery_id, loaded_ms, of_batch)


Getter = Callable[[Row], Any]


def _batch(*path: str) -> Getter:
    return lambda row: _at(row.batch, path)


def _data(*path: str) -> Getter:
    return lambda row: _at(row.data, path)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _number_of(names: dict[str, int], *path: str) -> Getter:
    return lambda row: names.get(_at(row.data, path) or "")


def _identity(name: str) -> Getter:
    return lambda row: row.identities.get(name)


def _json(*path: str) -> Getter:
    def read(row: Row) -> str | None:
        value = _at(row.data, path)
        return None if value is None else orjson.dumps(value).decode()

    return read


def _entry_point(row: Row) -> int:
    return 128 if _at(row.batch, ("source_info", "channel")) == "server_to_server" else 1


def _event_name(row: Row) -> Any:
    return row.data.get("event_name") or row.data.get("screen_name")


def moment_of(time_ms: int) -> datetime | None:
    """Return the date and time of an event, `None` beyond the years that the calendar has.

    Clients do send such times.
    """
    if not 0 <= time_ms < 253_402_300_800_000:
        return None
    return datetime.fromtimestamp(time_ms / 1000, UTC)


def event_number(value: Any) -> int | None:
    """Return an event's id as a number; one that was expanded, `7:0`, has one of its own."""
    if isinstance(value, str) and ":" in value:
        return int.from_bytes(sha256(value.encode()).digest()[:8]) >> 1
    return as_integer(value)


def _event_moment(row: Row) -> datetime | None:
    time_ms = as_integer(row.data.get("timestamp_unixtime_ms"))
    return None if time_ms is None else moment_of(time_ms)


def _event_date(row: Row) -> Any:
    moment = _event_moment(row)
    return None if moment is None else moment.date()


def _event_hour(row: Row) -> Any:
    moment = _event_moment(row)
    return None if moment is None else moment.replace(minute=0, second=0, microsecond=0)


def _commerce_screen(row: Row) -> Any:
    return row.data.get("screen_name") if row.event.get("event_type") == "commerce_event" else None


def _nothing(row: Row) -> None:
    return None


BATCH_COLUMNS: tuple[tuple[str, Kind, Getter], ...] = (
    ("appid", "text", _nothing),
    ("appplatformid", "text", _nothing),
    ("appname", "text", _batch("application_info", "application_name")),
    ("appversion", "text", _batch("application_info", "application_version")),
    ("packagename", "text", _batch("application_info", "package")),
    ("apparchitecture", "text", _nothing),
    ("ispirated", "boolean", _nothing),
    ("applicationbuildnumber", "text", _batch("application_info", "application_build_number")),
    ("isdebugsigning", "boolean", _nothing),
    ("upgradedate", "integer", _nothing),
    ("appenvironment", "text", _batch("environment")),
    ("installreferrer", "text", _batch("application_info", "install_referrer")),
    ("brand", "text", _batch("device_info", "brand")),
    ("product", "text", _batch("device_info", "product")),
    ("devicename", "text", _batch("device_info", "device")),
    ("deviceudid", "text", _batch("device_info", "android_uuid")),
    ("manufacturer", "text", _batch("device_info", "device_manufacturer")),
    ("platform", "text", _batch("device_info", "platform")),
    ("osversion", "text", _batch("device_info", "os_version")),
    ("devicemodel", "text", _batch("device_info", "device_model")),
    ("localecountry", "text", _batch("device_info", "locale_country")),
    ("localelanguage", "text", _batch("device_info", "locale_language")),
    ("networkcountry", "text", _batch("device_info", "network_country")),
    ("networkcarrier", "text", _batch("device_info", "network_carrier")),
    ("screenheight", "integer", _batch("device_info", "screen_height")),
    ("screenwidth", "integer", _batch("device_info", "screen_width")),
    ("screendpi", "integer", _batch("device_info", "screen_dpi")),
    ("deviceutcoffset", "number", _batch("device_info", "timezone_offset")),
    ("osversionint", "integer", _nothing),
    ("jailbroken", "boolean", _nothing),
    ("idfa", "text", _batch("device_info", "ios_advertising_id")),
    ("googleaid", "text", _batch("device_info", "android_advertising_id")),
    ("architecture", "text", _batch("device_info", "cpu_architecture")),
    ("istablet", "boolean", _batch("device_info", "is_tablet")),
    ("vendoridentifier", "text", _batch("device_info", "ios_idfv")),
    ("pushtoken", "text", _batch("device_info", "push_token")),
    ("attributionserviceprovider", "text", _batch("attribution_info", "service_provider")),
    ("attributionpublisher", "text", _batch("attribution_info", "publisher")),
    ("attributioncampaign", "text", _batch("attribution_info", "campaign")),
    ("mparticleuserid", "integer", _batch("mpid")),
    *((column, "text", _identity(name)) for column, name in IDENTITY_COLUMNS.items()),
    ("isdebug", "boolean", lambda row: row.batch.get("environment") == "development"),
    ("batchid", "integer", _batch("batch_id")),
    ("batchtimestamp", "integer", _batch("timestamp_unixtime_ms")),
    ("sdkversion", "text", _batch("sdk_version")),
    ("clientip", "text", _nothing),
    ("clientipv6", "text", _nothing),
    ("geolookupinfo", "text", _nothing),
    ("entrypointtype", "integer", _entry_point),
)
COLUMNS: tuple[tuple[str, Kind, Getter], ...] = (
    *BATCH_COLUMNS,
    ("countrycode", "text", _data("location", "country_code")),
    ("cityname", "text", _data("location", "city_name")),
    ("postalcode", "text", _data("location", "postal_code")),
    ("regioncode", "text", _data("location", "region_code")),
    ("latitude", "number", _data("location", "latitude")),
    ("longitude", "number", _data("location", "longitude")),
    ("accuracy", "number", _data("location", "accuracy")),
    ("audiencemembership", "text", _nothing),
    ("sessionid", "integer", _data("session_id")),
    ("sessionstarttimestamp", "integer", _data("session_start_unixtime_ms")),
    ("eventid", "integer", lambda row: event_number(row.data.get("event_id"))),
    ("eventtimestamp", "integer", _data("timestamp_unixtime_ms")),
    ("messagetypeid", "integer", lambda row: MESSAGE_TYPES.get(row.event.get("event_type") or "")),
    ("eventstarttimestamp", "integer", _data("event_start_unixtime_ms")),
    ("eventdate", "date", _event_date),
    ("eventhour", "time", _event_hour),
    ("eventname", "text", _event_name),
    ("eventtypeid", "integer", _number_of(EVENT_TYPES, "custom_event_type")),
    ("eventlength", "number", _data("custom_attributes", "EventLength")),
    ("eventltvvalue", "number", _data("lifetime_value_change")),
    ("dataconnectiontype", "text", _data("data_connection_type")),
    ("exceptionhandled", "boolean", _data("exception_handled")),
    ("isfirstrunevent", "boolean", _data("is_first_run")),
    ("firstseentimestamp", "integer", _nothing),
    ("isupgradeevent", "boolean", _data("is_upgrade")),
    ("successfullyclosed", "boolean", _data("successfully_closed")),
    (
        "applicationtransitiontypeid",
        "integer",
        _number_of(TRANSITIONS, "application_transition_type"),
    ),
    ("eventcustomflags", "text", _json("custom_flags")),
    ("event_attributes", "map", _data("custom_attributes")),
    ("user_attributes", "map", _batch("user_attributes")),
    ("productactiontypeid", "integer", _number_of(PRODUCT_ACTIONS, "product_action", "action")),
    ("ecommercescreenname", "text", _commerce_screen),
    ("ecommerceisnoninteractive", "boolean", _data("is_non_interactive")),
    (
        "promotionactiontypeid",
        "integer",
        _number_of(PROMOTION_ACTIONS, "promotion_action", "action"),
    ),
    ("productaction", "text", _json("product_action")),
    ("promotionaction", "text", _json("promotion_action")),
    ("productimpressions", "text", _json("product_impressions")),
    ("shoppingcart", "text", _json("shopping_cart")),
    ("deliveryid", "text", lambda row: row.delivery_id),
    ("loadedat", "time", lambda row: datetime.fromtimestamp(row.loaded_ms / 1000, UTC)),
)


def as_text(value: Any) -> str | None:
    """Return a text, anything else as its JSON."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


def as_integer(value: Any) -> int | None:
    """Return a signed 64-bit integer, also from its digits (`ids_as_strings`)."""
    if isinstance(value, str) and value.lstrip("-").isdecimal():
        value = int(value)
    return value if isinstance(value, int) and value in INT64 else None


def as_number(value: Any) -> float | None:
    """Return a float, also from its digits: attribute values are texts."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def as_map(value: Any) -> dict[str, str | None] | None:
    """Return a map of texts."""
    return {name: as_text(entry) for name, entry in value.items()} if value else None


CONVERSIONS: dict[Kind, Callable[[Any], Any]] = {
    "text": as_text,
    "integer": as_integer,
    "number": as_number,
    "boolean": lambda value: value if isinstance(value, bool) else None,
    "date": lambda value: value,
    "time": lambda value: value,
    "map": as_map,
}

_READERS = tuple((getter, CONVERSIONS[kind]) for _, kind, getter in COLUMNS)
_BATCH_READERS, _EVENT_READERS = _READERS[: len(BATCH_COLUMNS)], _READERS[len(BATCH_COLUMNS) :]


def values(row: Row) -> list[Any]:
    """Return the values of a row, in the order of COLUMNS."""
    if not row.of_batch:
        row.of_batch.extend(convert(getter(row)) for getter, convert in _BATCH_READERS)
    return [*row.of_batch, *[convert(getter(row)) for getter, convert in _EVENT_READERS]]
