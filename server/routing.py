"""Where a batch goes: its routing fields decoded, everything else left alone.

What is found here is a hint. The shard decodes the whole batch and decides; a batch that was sent
to the wrong shard comes back. So nothing is validated, and what cannot be read is passed over.
"""

from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct

from actors.batches.coerce import ZERO_ID, text_of
from actors.batches.identities import (
    DEVICE_IDENTITIES,
    DEVICE_STAMP,
    USER_IDENTITIES,
    USER_IDENTITY_ALIASES,
)
from actors.identity.keys import IdentityName, canonical
from actors.model.workspaces import Environment
from actors.store.keys import identity_key, slot_of_hash, slot_of_mpid, unattributed_digest
from server.bodies import UNREADABLE, without_half_pairs


class _Routing(Struct):
    """The fields that decide where a batch goes, of any type."""

    environment: Any = None
    mpid: Any = None
    mp_deviceid: Any = None
    user_identities: Any = None
    device_info: Any = None
    source_request_id: Any = None
    batch_id: Any = None


class Route(Struct, frozen=True):
    """Where a batch goes first.

    Attributes:
        slot: the shard that owns it is asked.
        unit_keys: batches of one request that share one of them stay in order.
        guess_key: by which the MPID that the batch turned out to have can be remembered; `None`
            without a login ID: only with one can the profile's own shard confirm it.
    """

    slot: int
    unit_keys: tuple[object, ...]
    guess_key: bytes | None


_decode = msgspec.json.Decoder(_Routing).decode
_KEYS: dict[str, str] = {
    **{alias: USER_IDENTITIES[name] for alias, name in USER_IDENTITY_ALIASES.items()},
    **USER_IDENTITIES,
}


class Router:
    """Reads routes off batches."""

    def __init__(
        self,
        scope: int,
        priority: tuple[str, ...],
        login_ids: frozenset[str],
        unique_ids: frozenset[str],
        debug_inputs: frozenset[int],
    ) -> None:
        """Args: of the workspace; `debug_inputs`: whose batches are all `development`."""
        self.scope = scope
        self.unique_ids = unique_ids
        self._rank = {kind: rank for rank, kind in enumerate(priority)}
        self._login_ids = login_ids
        self._debug_inputs = debug_inputs

    def route(self, raw: bytes, api_key: str, source: int) -> Route:
        """Return the route of one batch, which came with a key of input number `source`."""
        try:
            fields = _decode(raw)
        except UNREADABLE:
            try:
                fields = _decode(without_half_pairs(raw))  # as the shard reads it
            except UNREADABLE:
                return _anywhere(raw)
        if fields.mpid is not None and (mpid := _integer(fields.mpid)):
            return Route(slot_of_mpid(mpid), (mpid,), None)
        found = _identities(fields)
        rank = self._rank
        kinds = [kind for kind in found if kind in rank]
        if not kinds:
            upload_id = _upload_id(fields)
            if upload_id is None:
                return _anywhere(raw)
            return Route(slot_of_hash(unattributed_digest(api_key, *upload_id)), (), None)
        kinds.sort(key=rank.__getitem__)
        names = tuple([IdentityName(kind, canonical(kind, found[kind])) for kind in kinds])
        environment = self._environment(fields, source)
        key = identity_key(self.scope, environment, kinds[0], names[0].value)
        has_login = not self._login_ids.isdisjoint(kinds)
        return Route(slot_of_hash(key), names, key if has_login else None)

    def _environment(self, fields: _Routing, source: int) -> Environment:
        name = fields.environment
        is_development = isinstance(name, str) and name.lower() == "development"
        return "development" if is_development or source in self._debug_inputs else "production"


def _upload_id(fields: _Routing) -> tuple[str, str] | None:
    """Return kind and value of the id by which a repeat of a batch of nobody's is known."""
    sent = fields.source_request_id
    request_id = sent if isinstance(sent, str) else _text(sent)
    if request_id:
        return "request_id", request_id
    batch_id = _integer(fields.batch_id)
    return ("batch_id", str(batch_id)) if batch_id else None


def _identities(fields: _Routing) -> dict[str, str]:
    """Return IDSync key to value of what looks like an identity."""
    found: dict[str, str] = {}
    sent = fields.user_identities
    if type(sent) is dict:
        for name, value in sent.items():
            kind = _KEYS.get(name)
            # The value under the canonical name of a type wins.
            if kind is not None and (name in USER_IDENTITIES or kind not in found):
                text = value.strip() if type(value) is str else _text(value)
                if text:
                    found[kind] = text
    elif type(sent) is list:
        for name, value in _named(sent):  # the last of a type wins
            kind = _KEYS.get(name)
            if kind is not None and (text := _text(value)):
                found[kind] = text
    found.pop("alias", None)
    device = fields.device_info
    if type(device) is dict:
        for name in device.keys() & DEVICE_IDENTITIES.keys():
            text = _text(device[name])
            if text and text != ZERO_ID:
                found[DEVICE_IDENTITIES[name]] = text
    stamp = _text(fields.mp_deviceid)
    if stamp and stamp != ZERO_ID:
        found[DEVICE_STAMP] = stamp
    return found


def _named(entries: list[Any]) -> list[tuple[str, Any]]:
    return [
        (each["identity_type"], each.get("identity"))
        for each in entries
        if isinstance(each, dict) and isinstance(each.get("identity_type"), str)
    ]


def _text(value: Any) -> str:
    if type(value) is str:
        return value.strip()
    return text_of(value) if isinstance(value, bool | int | float) else ""


def _integer(value: Any) -> int | None:
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and -(2**63) <= value < 2**63 else None


def _anywhere(raw: bytes) -> Route:
    """Return a route that depends on the bytes alone, so that a repeat meets its first time."""
    return Route(slot_of_hash(blake2b(raw, digest_size=2).digest()), (), None)
