"""The formats that a text can be asked to have (spec/data-plans.md, 2.3)."""

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from ipaddress import IPv4Address, IPv6Address

from actors.plans.regex_syntax import is_regex

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)", re.ASCII)
_TIME = re.compile(
    r"(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?P<zone>[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)?", re.ASCII
)
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LOCAL_PART = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_URI_TEXT = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*", re.DOTALL)

MAX_HOSTNAME = 253
MAX_LOCAL_PART = 64


def _is_date(text: str) -> bool:
    found = _DATE.fullmatch(text)
    if found is None:
        return False
    try:
        date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    """Tell whether a text is a time of RFC 3339; the zone may be left out."""
    found = _TIME.fullmatch(text)
    if found is None:
        return False
    if found[3] == "60":  # a leap second
        return found[2] == "59"
    try:
        time(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return False
    return True


def _is_date_time(text: str) -> bool:
    found = _TIME.fullmatch(text[11:])
    has_zone = found is not None and found["zone"] is not None
    is_both = _is_date(text[:10]) and _is_time(text[11:])
    return has_zone and is_both and text[10:11] in ("T", "t", " ")


def _is_hostname(text: str) -> bool:
    name = text.removesuffix(".")
    return len(name) <= MAX_HOSTNAME and all(map(_LABEL.fullmatch, name.split(".")))


def _is_email(text: str) -> bool:
    local, at, host = text.rpartition("@")
    is_local = len(local) <= MAX_LOCAL_PART and _LOCAL_PART.fullmatch(local) is not None
    return bool(at) and is_local and _is_hostname(host)


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return "%" not in text


def _is_uri(text: str) -> bool:
    return _SCHEME.match(text) is not None and _is_uri_reference(text)


def _is_uri_reference(text: str) -> bool:
    return _URI_TEXT.fullmatch(text) is not None


FORMATS: Mapping[str, Callable[[str], bool]] = {
    "date-time": _is_date_time,
    "date": _is_date,
    "time": _is_time,
    "email": _is_email,
    "hostname": _is_hostname,
    "ipv4": _is_ipv4,
    "ipv6": _is_ipv6,
    "uri": _is_uri,
    "uri-reference": _is_uri_reference,
    "uuid": lambda text: _UUID.fullmatch(text) is not None,
    "regex": is_regex,
    "json-pointer": lambda text: _POINTER.fullmatch(text) is not None,
}
