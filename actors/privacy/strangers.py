"""The identities that a delivery names, where it is nobody's (spec/privacy.md, 5.2)."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from actors.batches.identities import DEVICE_IDENTITIES, DEVICE_STAMP, USER_IDENTITIES
from actors.identity.keys import IdentityName, canonical


class _Sent(Struct):
    """What a payload has of identities: as an outgoing batch lists them, or as they were sent."""

    user_identities: Any = None
    device_info: Any = None
    mp_deviceid: Any = None


_sent = msgspec.json.Decoder(_Sent).decode


def named_in(payload: bytes) -> list[IdentityName]:
    """Return the identities in a delivery's payload, which is a batch; none of anything else."""
    try:
        sent = _sent(payload)
    except msgspec.DecodeError:
        return []
    return [
        IdentityName(kind, canonical(kind, value))
        for kind, value in _pairs(sent)
        if kind is not None and isinstance(value, str)
    ]


def _pairs(sent: _Sent) -> Iterator[tuple[str | None, Any]]:
    """Yield IDSync types, `None` for what is no identity, and values."""
    match sent.user_identities:
        case dict(by_name):
            for name, value in by_name.items():
                yield USER_IDENTITIES.get(name), value
        case list(listed):
            for each in listed:
                match each:
                    case {"identity_type": str(name), "identity": value}:
                        yield USER_IDENTITIES.get(name), value
    if isinstance(sent.device_info, dict):
        for name, value in sent.device_info.items():
            yield DEVICE_IDENTITIES.get(name), value
    yield DEVICE_STAMP, sent.mp_deviceid
