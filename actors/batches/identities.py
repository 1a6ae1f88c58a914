"""Identity types under their three names, and the identities of a batch.

An identity type has a name in batches (`other_id_2`), a key in IDSync calls (`other2`) and a name
on profiles and outgoing batches. Source: spec/identity.md, 2; spec/events-api.md, 8.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta

from actors.batches.coerce import ZERO_ID, to_id
from actors.batches.exact import dict_of, keeps, takes
from actors.batches.reading import (
    MAX_PROBLEMS,
    MAX_STEP,
    Fault,
    Fields,
    Invalid,
    Reading,
    as_object,
    missing,
)
from actors.model.batches import Batch

MAX_IDENTITY = 4096  # code points after trimming

OTHER_NUMBERS = range(2, 11)

# Name in `user_identities` to IDSync key.
USER_IDENTITIES: dict[str, str] = {
    "customer_id": "customerid",
    "email": "email",
    "facebook": "facebook",
    "twitter": "twitter",
    "google": "google",
    "microsoft": "microsoft",
    "yahoo": "yahoo",
    "alias": "alias",
    "facebook_custom_audience_id": "facebookcustomaudienceid",
    "other": "other",
    **{f"other_id_{number}": f"other{number}" for number in OTHER_NUMBERS},
    "mobile_number": "mobile_number",
    "phone_number_2": "phone_number_2",
    "phone_number_3": "phone_number_3",
}

# Further names that `user_identities` may use, to the canonical one.
USER_IDENTITY_ALIASES: dict[str, str] = {
    key: name for name, key in USER_IDENTITIES.items() if key != name
}

# IDSync key to name in `user_identities`.
BATCH_NAMES: dict[str, str] = {key: name for name, key in USER_IDENTITIES.items()}

# Member of `device_info` to IDSync key; `mp_deviceid` of the batch is DEVICE_STAMP.
DEVICE_IDENTITIES: dict[str, str] = {
    "ios_advertising_id": "ios_idfa",
    "ios_idfv": "ios_idfv",
    "android_advertising_id": "android_aaid",
    "android_uuid": "android_uuid",
    "amp_id": "amp_id",
    "roku_advertising_id": "roku_aid",
    "roku_publisher_id": "roku_publisher_id",
    "fire_advertising_id": "fire_aid",
    "microsoft_advertising_id": "microsoft_aid",
    "microsoft_publisher_id": "microsoft_publisher_id",
    "push_token": "push_token",
}
DEVICE_STAMP = "device_application_stamp"
ADVERTISING_IDS = frozenset({"ios_idfa", "android_aaid", "fire_aid", "roku_aid", "microsoft_aid"})

# IDSync key to the name that profiles and outgoing batches use. A push token's name depends on the
# device's platform and the device application stamp is not shown as an identity: neither is here.
PROFILE_NAMES: dict[str, str] = {
    **BATCH_NAMES,
    "ios_idfa": "ios_advertising_id",
    "ios_idfv": "ios_vendor_id",
    "android_aaid": "google_advertising_id",
    "android_uuid": "android_id",
    "fire_aid": "fire_advertising_id",
    "roku_aid": "roku_advertising_id",
    "roku_publisher_id": "roku_publisher_id",
    "microsoft_aid": "microsoft_advertising_id",
    "microsoft_publisher_id": "microsoft_publisher_id",
    "amp_id": "unknown",
}


def batch_identities(batch: Batch) -> dict[str, str]:
    """Return the identities of a batch that may find a profile: IDSync key to trimmed value.

    Left out are blank values, advertising ids of zeros only, and `alias`, which is kept on the
    profile without being a lookup. Source: spec/identity.md, 2 and 9.
    """
    found: dict[str, str] = {}
    for name, value in batch.user_identities.items():
        if name != "alias" and (value := value.strip()):
            found[USER_IDENTITIES[name]] = value
    for name, value in batch.device_info.items():
        key = DEVICE_IDENTITIES.get(name)
        if key is None or not (value := value.strip()):
            continue
        if key not in ADVERTISING_IDS or value != ZERO_ID:
            found[key] = value
    if batch.mp_deviceid:
        found[DEVICE_STAMP] = batch.mp_deviceid
    return found


def canonical_name(name: str) -> str | None:
    """Return the canonical name of a user identity type, `None` if there is no such type."""
    return name if name in USER_IDENTITIES else USER_IDENTITY_ALIASES.get(name)


@takes(str)
def to_identity(value: Any, reading: Reading) -> str | None:
    """Coerce an identity's value: a String, trimmed; blank is absent."""
    text = to_id(value, reading).strip()
    if len(text) > MAX_IDENTITY:
        raise Invalid(f"must have at most {MAX_IDENTITY} characters.")
    return text or None


_TRIMMED = Annotated[str, Meta(max_length=MAX_IDENTITY, pattern=r"(?s)\A\S(?:.*\S)?\Z")]


@keeps(dict_of(Literal[tuple(USER_IDENTITIES)], _TRIMMED))
def to_user_identities(value: Any, reading: Reading) -> dict[str, str]:
    """Coerce `user_identities`, in either form, to canonical names and trimmed values.

    A value under the canonical name wins over one under another name of the same type.
    """
    if type(value) is list:
        return _from_outgoing_form(value, reading)
    identities: dict[str, str] = {}
    aliased: dict[str, str] = {}
    faults: list[Fault] = []
    for name, sent in as_object(value).items():
        canonical = canonical_name(name)
        if canonical is None:
            faults.append(_unrecognized(name, name))
            continue
        try:
            identity = None if sent is None else to_identity(sent, reading)
        except Invalid as error:
            faults += error.within(name)
            continue
        if identity is not None:
            (identities if canonical == name else aliased)[canonical] = identity
    reading.settle(faults)
    return aliased | identities if aliased else identities


def _from_outgoing_form(entries: list[Any], reading: Reading) -> dict[str, str]:
    identities: dict[str, str] = {}
    faults: list[Fault] = []
    for index, entry in enumerate(entries):
        try:
            name, identity = _entry(as_object(entry), reading)
        except Invalid as error:
            faults += error.within(f"[{index}]")
            if len(faults) >= MAX_PROBLEMS and not reading.skips_invalid:
                break
            continue
        if identity is not None:
            identities[name] = identity
    reading.settle(faults)
    return identities


def _entry(entry: Fields, reading: Reading) -> tuple[str, str | None]:
    name, sent = entry.get("identity_type"), entry.get("identity")
    if name in (None, ""):
        raise Invalid([missing("identity_type")])
    canonical = canonical_name(name) if type(name) is str else None
    if canonical is None:
        raise Invalid([_unrecognized(name if type(name) is str else "", "identity_type")])
    try:
        return canonical, None if sent is None else to_identity(sent, reading)
    except Invalid as error:
        raise Invalid(error.within("identity")) from None


def _unrecognized(name: str, step: str) -> Fault:
    text = f'Unrecognized user identity type "{name[:MAX_STEP]}".'
    return Fault(step[:MAX_STEP], text, True)


def to_partner_identities(value: Any, reading: Reading) -> dict[str, str]:
    """Coerce `partner_identities`: registered names only, of a partner feed only its own.

    Source: spec/events-api.md, 11.4.
    """
    registered = reading.workspace.partner_identities
    own = f"{reading.input.name}_".lower() if reading.input.is_partner else ""
    identities: dict[str, str] = {}
    faults: list[Fault] = []
    for name, sent in as_object(value).items():
        if sent is None:
            continue
        if name not in registered or not name.lower().startswith(own):
            if reading.skips_invalid:
                reading.drops.append("unregistered_partner_identity")
                continue
            text = f'Unregistered partner identity "{name[:MAX_STEP]}".'
            faults.append(Fault(name[:MAX_STEP], text, True))
            continue
        try:
            identity = to_identity(sent, reading)
        except Invalid as error:
            faults += error.within(name)
            continue
        if identity is not None:
            identities[name] = identity
    reading.settle(faults)
    return identities
