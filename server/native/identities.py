"""Identities by the numbers that the SDKs have for their types (spec/identity.md, 2)."""

from typing import Any

from actors.batches.identities import OTHER_NUMBERS
from server.native.members import Members, as_list, as_object, as_text, renamed

_TYPES: dict[int, str] = {
    0: "other",
    1: "customer_id",
    2: "facebook",
    3: "twitter",
    4: "google",
    5: "microsoft",
    6: "yahoo",
    7: "email",
    8: "alias",
    9: "facebook_custom_audience_id",
    **{8 + number: f"other_id_{number}" for number in OTHER_NUMBERS},
    19: "mobile_number",
    20: "phone_number_2",
    21: "phone_number_3",
}
_RECORD = {"i": "identity", "dfs": "timestamp_unixtime_ms", "f": "created_this_batch"}


def user_identities(sent: Any) -> dict[str, Any]:
    """Return the identities of a batch, by their names."""
    entries = (as_object(each) for each in as_list(sent))
    return {
        name: each["i"]
        for each in entries
        if (name := _name(each.get("n"))) is not None and each.get("i") is not None
    }


def identity_record(sent: Any) -> Members | None:
    """Return one side of an identity change, `None` if there is none."""
    entry = as_object(sent)
    name = _name(entry.get("n"))
    if name is None or entry.get("i") is None:
        return None
    return {"identity_type": name, **renamed(entry, _RECORD)}


def _name(number: Any) -> str | None:
    text = as_text(number)
    return _TYPES.get(int(text)) if text.isascii() and text.isdecimal() and len(text) < 3 else None
