"""`consent_state`: which records are applied (spec/events-api.md, 11.1; spec/privacy.md, 2.2)."""

from typing import Any

from actors.batches.coerce import to_boolean, to_integer, to_string
from actors.batches.reading import (
    Coerce,
    Fault,
    Fields,
    Invalid,
    Reading,
    as_object,
    read_fields,
)

CCPA_PURPOSES = frozenset({"data_sale_opt_out"})
REGULATIONS = ("gdpr", "ccpa")

ConsentState = dict[str, dict[str, Fields | None]]

_DAY_MS = 86_400_000
_RECORD: dict[str, Coerce] = {
    "consented": to_boolean,
    "timestamp_unixtime_ms": to_integer,
    "document": to_string,
    "location": to_string,
    "hardware_id": to_string,
}


def to_consent_state(value: Any, reading: Reading) -> ConsentState | None:
    """Coerce `consent_state` to regulation, canonical purpose and record; null removes a purpose.

    Records of undefined purposes and those without `consented` are left out. Partner feeds cannot
    set consent: theirs is absent, whatever it is.
    """
    if reading.input.is_partner:
        reading.drops.append("partner_consent")
        return None
    state: ConsentState = {}
    faults: list[Fault] = []
    for name, purposes in as_object(value).items():
        regulation = name.lower()
        if purposes is None or regulation not in REGULATIONS:
            continue
        try:
            records = _records(as_object(purposes), _defined(regulation, reading), reading)
        except Invalid as error:
            faults += error.within(name)
            continue
        if records:
            state.setdefault(regulation, {}).update(records)
    reading.settle(faults)
    return state


def _defined(regulation: str, reading: Reading) -> frozenset[str]:
    if regulation == "gdpr":
        return reading.workspace.gdpr_purposes or frozenset()
    return CCPA_PURPOSES if reading.workspace.is_ccpa_enabled else frozenset()


def _records(
    purposes: Fields, defined: frozenset[str], reading: Reading
) -> dict[str, Fields | None]:
    records: dict[str, Fields | None] = {}
    faults: list[Fault] = []
    for name, sent in purposes.items():
        purpose = name.strip().lower()
        if purpose not in defined:
            reading.drops.append("undefined_consent_purpose")
        elif sent is None:
            records[purpose] = None
        elif not _has_consented(sent, reading):
            reading.drops.append("consent_invalid")
        else:
            try:
                records[purpose] = _record(sent, reading)
            except Invalid as error:
                faults += error.within(name)
    reading.settle(faults)
    return records


def _has_consented(sent: Any, reading: Reading) -> bool:
    """Tell whether a record answers at all, be it yes or no."""
    if type(sent) is not dict:
        return False
    try:
        return to_boolean(sent.get("consented"), reading) is not None
    except Invalid:
        return False


def _record(sent: Fields, reading: Reading) -> Fields:
    record = read_fields(sent, _RECORD, reading)
    timestamp_ms = record.get("timestamp_unixtime_ms")
    # No later answer could ever win over one from far in the future.
    if timestamp_ms is None or timestamp_ms > reading.received_ms + _DAY_MS:
        record["timestamp_unixtime_ms"] = reading.received_ms
    return record
