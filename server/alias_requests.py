"""Bodies of alias requests, checked in the order of spec/identity.md, 10.1."""

from typing import Any

from actors.batches.identities import DEVICE_STAMP
from actors.identity.calls import AliasRequest, AliasScope, IdentityProblem
from actors.identity.keys import canonical
from server.edge_config import KeyInfo
from server.identity_problems import MALFORMED_ALIAS, IdentityRefused
from server.identity_requests import Body, as_mpid, environment_of

SAME_MPID = IdentityProblem(
    400, "BAD_REQUEST", "The source MPID is the same as the destination MPID."
)
BAD_RANGE = IdentityProblem(400, "BAD_REQUEST", "The given time range is invalid.")


def alias_request(body: Body, key: KeyInfo, window_ms: int, now_ms: int) -> AliasRequest:
    """Read the body of an alias request.

    Args:
        body: decoded.
        key: of the path, which the body's has to equal.
        window_ms: longest time that an alias may span, and how long ago it may have ended.
        now_ms: time of receipt.

    Raises:
        IdentityRefused: fields, equal MPIDs, time range: the first that fails (400).
    """
    request_id, environment, data = body.get("request_id"), environment_of(body), body.get("data")
    if not isinstance(request_id, str) or not request_id or environment is None:
        raise IdentityRefused(MALFORMED_ALIAS)
    if body.get("request_type") != "alias" or body.get("api_key") not in (None, key.key):
        raise IdentityRefused(MALFORMED_ALIAS)
    if not isinstance(data, dict):
        raise IdentityRefused(MALFORMED_ALIAS)
    source, destination = as_mpid(data.get("source_mpid")), as_mpid(data.get("destination_mpid"))
    if not source or not destination:
        raise IdentityRefused(MALFORMED_ALIAS)
    start_ms, end_ms = _time_ms(data, "start_unixtime_ms"), _time_ms(data, "end_unixtime_ms")
    scope, stamp = _scope(data)
    if source == destination:
        raise IdentityRefused(SAME_MPID)
    end_ms = now_ms if end_ms is None else min(end_ms, now_ms)
    start_ms = end_ms - window_ms if start_ms is None else max(start_ms, end_ms - window_ms)
    if start_ms > end_ms or end_ms < now_ms - window_ms:
        raise IdentityRefused(BAD_RANGE)
    return AliasRequest(
        request_id=request_id,
        environment=environment,
        source_mpid=source,
        destination_mpid=destination,
        start_ms=start_ms,
        end_ms=end_ms,
        scope=scope,
        device_stamp=stamp,
        received_ms=now_ms,
        input=key.input,
    )


def _time_ms(data: dict[str, Any], name: str) -> int | None:
    value = data.get(name)
    if value is not None and type(value) is not int:
        raise IdentityRefused(MALFORMED_ALIAS)
    return value


def _scope(data: dict[str, Any]) -> tuple[AliasScope, str | None]:
    """Return what an alias is confined to; without a word about it, a stamp confines it."""
    scope, stamp = data.get("scope"), data.get("device_application_stamp")
    if not isinstance(stamp, str | None):
        raise IdentityRefused(MALFORMED_ALIAS)
    found = canonical(DEVICE_STAMP, stamp or "") or None
    if scope == "mpid" or (scope is None and found is None):
        return "mpid", found
    if scope in ("device", None) and found is not None:
        return "device", found
    raise IdentityRefused(MALFORMED_ALIAS)
