"""Identity records, histories and aliases as operators see them (spec/identity.md, 12).

MPIDs are decimal text, times milliseconds since 1970, values in canonical form.
"""

from collections.abc import Collection, Sequence
from typing import Any

from actors.identity.aliases import Alias
from actors.identity.state import IdentityRecord
from actors.model.profiles import Lookup
from actors.store.trail import TrailEntry


def record_view(mpid: int, record: IdentityRecord, login_ids: Collection[str]) -> dict[str, Any]:
    """Show an identity record; `login_ids`: types of which one makes a user known."""
    source = record.source_mpid
    return {
        "mpid": str(mpid),
        "known": any(each.type in login_ids for each in record.lookups),
        "orphaned": not record.lookups,
        "source_mpid": None if source is None else str(source),
        "created_ms": record.created_ms,
        "identities": _lookups(record.lookups),
    }


def history_view(mpid: int, entries: Sequence[TrailEntry]) -> dict[str, Any]:
    """Show what was done to a record, newest first.

    `call_mpid` is whom the call was about; `also_changed` whose records it changed besides.
    """
    changes = [
        {
            "time_ms": entry.time_ms,
            "call": entry.kind,
            "call_mpid": str(entry.mpid),
            "attached": _lookups(entry.attached),
            "removed": _lookups(entry.removed),
            "also_changed": [str(each) for each in entry.records if each != mpid],
        }
        for entry in reversed(entries)
    ]
    return {"mpid": str(mpid), "changes": changes}


def alias_view(alias: Alias) -> dict[str, Any]:
    """Show an alias: what was asked for, as it was accepted, and what has become of it."""
    request = alias.request
    return {
        "request": {
            "request_id": request.request_id,
            "environment": request.environment,
            "source_mpid": str(request.source_mpid),
            "destination_mpid": str(request.destination_mpid),
            "start_unixtime_ms": request.start_ms,
            "end_unixtime_ms": request.end_ms,
            "scope": request.scope,
            "device_application_stamp": request.device_stamp,
        },
        "accepted_ms": request.received_ms,
        "state": alias.state,
        "reason": alias.reason,
        "settled_ms": alias.settled_ms or None,
    }


def _lookups(lookups: Sequence[Lookup]) -> list[dict[str, Any]]:
    return [
        {"type": each.type, "value": each.value, "linked_ms": each.linked_ms} for each in lookups
    ]
