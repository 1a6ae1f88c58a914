"""What outputs of kind `dsr` are told: somebody wants their data erased.

Sources: spec/connections.md, 4.5; spec/privacy.md, 6.
"""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec
from msgspec import Struct

# Why a request is not sent to a module that may have none of its identities.
NO_IDENTITY = "missing_identity"

Regulation = Literal["unknown", "gdpr", "ccpa"]

# Name of an identity on profiles to what the message calls it. Other types are not sent.
SUBJECT_IDENTITIES: Mapping[str, str] = {
    "customer_id": "controller_customer_id",
    "email": "email",
    "google_advertising_id": "android_advertising_id",
    "android_id": "android_id",
    "fire_advertising_id": "fire_advertising_id",
    "ios_advertising_id": "ios_advertising_id",
    "ios_vendor_id": "ios_vendor_id",
    "microsoft_advertising_id": "microsoft_advertising_id",
    "microsoft_publisher_id": "microsoft_publisher_id",
    "roku_publisher_id": "roku_publisher_id",
    "roku_advertising_id": "roku_advertising_id",
}


class DsrMessage(Struct, frozen=True, tag_field="type", tag="dsr_request"):
    """A data subject request on its way to an output; `submitted_ms`: when it was made.

    `subject_identities` are by their names in the message.
    """

    subject_request_id: str
    subject_request_type: Literal["erasure"]
    submitted_ms: int
    regulation: Regulation
    subject_identities: dict[str, str]

    def __repr__(self) -> str:
        return f"DsrMessage({self.subject_request_id!r})"


class RawIdentity(Struct):
    """An identity of a data subject request, never hashed."""

    value: str
    encoding: Literal["raw"] = "raw"


class Account(Struct, frozen=True):
    """The output that a message is for."""

    account_id: int


class DsrBody(Struct, frozen=True):
    """What a webhook is sent; `submitted_time` in seconds since 1970, with fraction."""

    subject_request_id: str
    subject_request_type: Literal["erasure"]
    submitted_time: float
    subject_identities: dict[str, RawIdentity]
    api_version: Literal["3.0"]
    regulation: Regulation
    account: Account


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(DsrMessage).decode
_encode_body = msgspec.json.Encoder().encode


def body_of(payload: bytes, output: int) -> bytes:
    """Return the body of a webhook for an encoded `DsrMessage`; `output` is its number."""
    message = decode(payload)
    return _encode_body(
        DsrBody(
            message.subject_request_id,
            message.subject_request_type,
            message.submitted_ms / 1000,
            {name: RawIdentity(value) for name, value in message.subject_identities.items()},
            "3.0",
            message.regulation,
            Account(output),
        )
    )


def subject_identities(
    requested: Mapping[str, str],
    profile: Mapping[str, str] | None,
    supported: Collection[str] = frozenset(SUBJECT_IDENTITIES),
) -> dict[str, str]:
    """Return which identities of a data subject an output is sent, by their names in the message.

    Args:
        requested: those of the request, by their names on profiles.
        profile: those of the profile that it was resolved to, `None` if to none. Where both have a
            type, the request's value goes out.
        supported: types that the output takes.

    Returns:
        Nothing if the output takes none of them: the request is then not forwarded to it.
    """
    known = {**(profile or {}), **requested}
    return {
        word: known[name]
        for name, word in SUBJECT_IDENTITIES.items()
        if name in known and name in supported
    }
