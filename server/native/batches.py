"""A native SDK's batch as one of the batch model (spec/clients.md, 5.3)."""

from typing import Any

import orjson
from msgspec import Struct

from actors.errors import BatchRejected, Problem
from server.native.devices import DEVELOPMENT, application_info, consent_state, device_info
from server.native.events import event_of
from server.native.identities import user_identities
from server.native.members import Members, as_list, as_object, as_text, renamed

_BATCH = {
    "id": "source_request_id",
    "ct": "timestamp_unixtime_ms",
    "mpid": "mpid",
    "das": "mp_deviceid",
    "sdk": "sdk_version",
    "ua": "user_attributes",
    "uad": "deleted_user_attributes",
    "ia": "integration_attributes",
}
_PLAN = {"id": "plan_id", "v": "plan_version"}


class NativeBatch(Struct, frozen=True):
    """A batch as JSON. `skipped`: messages that cannot be translated, which are left out."""

    json: bytes
    skipped: int


def batch_of(sent: Members) -> NativeBatch | None:
    """Return what a request says as a batch; `None` if it is no upload of messages.

    Raises:
        BatchRejected: it is nested too deep, or has numbers of more than 64 bits.
    """
    if sent.get("dt") != "h":
        return None
    app = as_object(sent.get("ai"))
    is_debug = sent.get("dbg")
    if is_debug is None:
        is_debug = as_text(app.get("env")) == str(DEVELOPMENT)
    messages = as_list(sent.get("msgs"))
    events = [event for each in messages if (event := event_of(each)) is not None]
    batch: dict[str, Any] = {
        **renamed(sent, _BATCH),
        "environment": "development" if is_debug is True else "production",
        "user_identities": user_identities(sent.get("ui")),
        "device_info": device_info(sent.get("di")),
        "application_info": application_info(app),
        "consent_state": consent_state(sent.get("con")),
        "context": {"data_plan": renamed(as_object(as_object(sent.get("ctx")).get("dpln")), _PLAN)},
        "events": events,
    }
    try:
        content = orjson.dumps(batch)
    except orjson.JSONEncodeError:
        raise BatchRejected(
            [Problem("The batch is nested too deep or has too long numbers.")]
        ) from None
    return NativeBatch(content, len(messages) - len(events))
