"""Consent: merging what a batch says into what is known (spec/privacy.md, 2.2 and 2.3)."""

from typing import Any, Literal, cast

from actors.model.batches import Batch
from actors.model.profiles import ConsentChange, ConsentRecord, Section
from actors.profiles.lateness import AsOf


def update_consent(section: Section, batch: Batch, as_of: AsOf) -> list[ConsentChange]:
    """Merge a batch's consent into the section, purpose by purpose.

    Args:
        section: changed in place.
        batch: its records are complete and their purposes defined.
        as_of: the time that the batch stands for.

    Returns:
        One change per record that is now different, new or gone.
    """
    changes = []
    for regulation, purposes in batch.consent_state.items():
        stored = section.consent_state.setdefault(regulation, {})
        for purpose, sent in purposes.items():
            old = stored.get(purpose)
            if old is not None and not as_of.replaces(old.updated_ms):
                continue
            current = None if sent is None else _record(sent, as_of)
            if current is None:
                stored.pop(purpose, None)
            elif old is None or current.timestamp_ms >= old.timestamp_ms:
                stored[purpose] = current
            else:
                continue
            if consent_fields(old) != consent_fields(current):
                name = cast(Literal["gdpr", "ccpa"], regulation)
                changes.append(ConsentChange(name, purpose, old, current))
        if not stored:
            del section.consent_state[regulation]
    return changes


def consent_fields(record: ConsentRecord | None) -> dict[str, Any] | None:
    """Return a record as it was ingested, without the members that it does not have."""
    if record is None:
        return None
    fields = {
        "consented": record.consented,
        "timestamp_unixtime_ms": record.timestamp_ms,
        "document": record.document,
        "location": record.location,
        "hardware_id": record.hardware_id,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _record(sent: dict[str, Any], as_of: AsOf) -> ConsentRecord:
    return ConsentRecord(
        consented=sent["consented"],
        timestamp_ms=sent["timestamp_unixtime_ms"],
        updated_ms=as_of.ms,
        document=sent.get("document"),
        location=sent.get("location"),
        hardware_id=sent.get("hardware_id"),
    )
