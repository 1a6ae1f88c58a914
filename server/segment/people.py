"""What a message says of the user: identities and attributes (spec/clients.md, 6.3)."""

import re
from typing import Any
from uuid import UUID, uuid5

from server.segment.values import as_id, as_object, flattened

# It can never change: devices are known by what is made with it.
_DEVICES = UUID("0b2f6d0e-6c6b-4c55-9d0e-2f7a4be0c6b1")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_MIN_PHONE_DIGITS = 7

RESERVED_TRAITS = {
    "firstName": "$FirstName",
    "lastName": "$LastName",
    "phone": "$Mobile",
    "age": "$Age",
    "gender": "$Gender",
    "address.street": "$Address",
    "address.city": "$City",
    "address.state": "$State",
    "address.postalCode": "$Zip",
    "address.country": "$Country",
}


def device_stamp(input_id: str, anonymous_id: str) -> str:
    """Return the device application stamp of an anonymous id: itself, if it is a UUID."""
    if _UUID.fullmatch(anonymous_id):
        return anonymous_id.lower()
    return str(uuid5(_DEVICES, f"{input_id}:{anonymous_id}"))


def add_identities(batch: dict[str, Any], message: dict[str, Any], input_id: str) -> None:
    """Add `userId` and `anonymousId` to a batch."""
    user, anonymous = as_id(message.get("userId")), as_id(message.get("anonymousId"))
    if user is not None:
        batch["user_identities"] = {"customer_id": user}
    if anonymous is not None:
        batch["mp_deviceid"] = device_stamp(input_id, anonymous)
        batch["integration_attributes"] = {"segment": {"anonymousId": anonymous}}


def add_traits(batch: dict[str, Any], message: dict[str, Any]) -> None:
    """Add the traits of an `identify`, over those of its context; some are identities."""
    context = as_object(message.get("context"))
    traits = {**as_object(context.get("traits")), **as_object(message.get("traits"))}
    identities = batch.setdefault("user_identities", {})
    email = as_id(traits.pop("email", None))
    if email is not None:
        identities["email"] = email
    phone = as_id(traits.get("phone"))
    if phone is not None and sum(map(str.isdigit, phone)) >= _MIN_PHONE_DIGITS:
        identities["mobile_number"] = phone
    _set(batch, {RESERVED_TRAITS.get(name, name): each for name, each in flattened(traits)})


def add_group(batch: dict[str, Any], message: dict[str, Any]) -> None:
    """Add what a `group` says: the group's id and its traits, as attributes of the user."""
    traits = dict(flattened(as_object(message.get("traits")), "group_"))
    _set(batch, {"group_id": as_id(message.get("groupId")), **traits})


def _set(batch: dict[str, Any], attributes: dict[str, Any]) -> None:
    """Set attributes, and delete those that are null."""
    batch["user_attributes"] = {
        name: value for name, value in attributes.items() if value is not None
    }
    batch["deleted_user_attributes"] = [name for name, value in attributes.items() if value is None]
