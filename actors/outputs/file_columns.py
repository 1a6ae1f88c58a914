"""One event as one row: the columns of Parquet and CSV files.

The names are those of the warehouse tables (spec/connections.md, 7.4), with `event_attributes` and
`user_attributes` written as 7.2 says. A column that nothing is known for stays null.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any, Literal

import orjson
from msgspec import Struct

from actors.outgoing import MESSAGE_TYPES
from actors.outputs.file_rows import Row

Kind = Literal["text", "integer", "number", "boolean", "date", "time", "map"]
INT64 = range(-(2**63), 2**63)
HOUR_MS = 3_600_000

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


Convert = Callable[[Any], Any]
Getter = Callable[[Row], Any]


class Member(Struct, frozen=True):
    """Where a value is found: in the batch, its identities or the event's data.

    `convert`: what is made of it; by default what the column's kind says.
    """

    part: Literal["batch", "identities", "data"]
    path: tuple[str, ...]
    convert: Convert | None = None


class Made(Struct, frozen=True):
    """How a value is made of a row; `is_of_batch`: all rows of a batch have the same."""

    getter: Getter
    is_of_batch: bool = False


def _batch(*path: str) -> Member:
    return Member("batch", path)


def _identity(name: str) -> Member:
    return Member("identities", (name,))


def _data(*path: str, convert: Convert | None = None) -> Member:
    return Member("data", path, convert)


def _number_of(names: dict[str, int], *path: str) -> Member:
    return Member("data", path, lambda value: names.get(value) if type(value) is str else None)


def _json(name: str) -> Member:
    return Member("data", (name,), _json_text)


def _json_text(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _of_batch(getter: Getter) -> Made:
    return Made(getter, is_of_batch=True)


def _entry_point(row: Row) -> int:
    source = row.batch.get("source_info")
    is_from_server = isinstance(source, dict) and source.get("channel") == "server_to_server"
    return 128 if is_from_server else 1


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


def _hour(value: Any) -> datetime | None:
    """Return the beginning of the hour of an event time."""
    time_ms = as_integer(value)
    return None if time_ms is None else moment_of(time_ms - time_ms % HOUR_MS)


def _date(value: Any) -> date | None:
    hour = _hour(value)
    return None if hour is None else hour.date()


def _message_type(row: Row) -> int | None:
    return MESSAGE_TYPES.get(row.event.get("event_type") or "")


def _commerce_screen(row: Row) -> Any:
    return row.data.get("screen_name") if row.event.get("event_type") == "commerce_event" else None


NOTHING = Made(lambda row: None, is_of_batch=True)

COLUMNS: tuple[tuple[str, Kind, Member | Made], ...] = (
    ("appid", "text", NOTHING),
    ("appplatformid", "text", NOTHING),
    ("appname", "text", _batch("application_info", "application_name")),
    ("appversion", "text", _batch("application_info", "application_version")),
    ("packagename", "text", _batch("application_info", "package")),
    ("apparchitecture", "text", NOTHING),
    ("ispirated", "boolean", NOTHING),
    ("applicationbuildnumber", "text", _batch("application_info", "application_build_number")),
    ("isdebugsigning", "boolean", NOTHING),
    ("upgradedate", "integer", NOTHING),
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
    ("osversionint", "integer", NOTHING),
    ("jailbroken", "boolean", NOTHING),
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
    ("isdebug", "boolean", _of_batch(lambda row: row.batch.get("environment") == "development")),
    ("batchid", "integer", _batch("batch_id")),
    ("batchtimestamp", "integer", _batch("timestamp_unixtime_ms")),
    ("sdkversion", "text", _batch("sdk_version")),
    ("clientip", "text", NOTHING),
    ("clientipv6", "text", NOTHING),
    ("geolookupinfo", "text", NOTHING),
    ("entrypointtype", "integer", _of_batch(_entry_point)),
    ("countrycode", "text", _data("location", "country_code")),
    ("cityname", "text", _data("location", "city_name")),
    ("postalcode", "text", _data("location", "postal_code")),
    ("regioncode", "text", _data("location", "region_code")),
    ("latitude", "number", _data("location", "latitude")),
    ("longitude", "number", _data("location", "longitude")),
    ("accuracy", "number", _data("location", "accuracy")),
    ("audiencemembership", "text", _batch("audience_ids")),
    ("sessionid", "integer", _data("session_id")),
    ("sessionstarttimestamp", "integer", _data("session_start_unixtime_ms")),
    ("eventid", "integer", _data("event_id", convert=event_number)),
    ("eventtimestamp", "integer", _data("timestamp_unixtime_ms")),
    ("messagetypeid", "integer", Made(_message_type)),
    ("eventstarttimestamp", "integer", _data("event_start_unixtime_ms")),
    ("eventdate", "date", _data("timestamp_unixtime_ms", convert=_date)),
    ("eventhour", "time", _data("timestamp_unixtime_ms", convert=_hour)),
    ("eventname", "text", Made(_event_name)),
    ("eventtypeid", "integer", _number_of(EVENT_TYPES, "custom_event_type")),
    ("eventlength", "number", _data("custom_attributes", "EventLength")),
    ("eventltvvalue", "number", _data("lifetime_value_change")),
    ("dataconnectiontype", "text", _data("data_connection_type")),
    ("exceptionhandled", "boolean", _data("exception_handled")),
    ("isfirstrunevent", "boolean", _data("is_first_run")),
    ("firstseentimestamp", "integer", NOTHING),
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
    ("ecommercescreenname", "text", Made(_commerce_screen)),
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
    ("deliveryid", "text", _of_batch(lambda row: row.delivery_id)),
    ("loadedat", "time", _of_batch(lambda row: moment_of(row.loaded_ms))),
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

OF_EVENT = frozenset(  # places of the columns whose values the rows of a batch do not share
    at
    for at, (_, _, source) in enumerate(COLUMNS)
    if (source.part == "data" if isinstance(source, Member) else not source.is_of_batch)
)
