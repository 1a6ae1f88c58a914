"""Consent over batches and time."""

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.model.batches import Batch
from actors.model.profiles import ConsentRecord
from actors.profiles.consent import consent_fields
from tests.actors.profiles.builders import (
    DAY,
    NOW,
    apply,
    batch,
    context,
    historical,
    new_profile,
    section,
)


def _said(consented: bool, timestamp_ms: int = NOW, **more: Any) -> dict[str, Any]:
    return {"consented": consented, "timestamp_unixtime_ms": timestamp_ms, **more}


def _consent(
    purpose: str, record: dict[str, Any] | None, regulation: Literal["gdpr", "ccpa"] = "gdpr"
) -> Batch:
    return batch(consent_state={regulation: {purpose: record}})


def _answer(stored: ConsentRecord | None) -> tuple[bool, int] | None:
    return None if stored is None else (stored.consented, stored.timestamp_ms)


def test_an_older_answer_is_ignored_and_an_equally_old_one_replaces() -> None:
    """spec/profiles.md, worked case 11."""
    profile = new_profile()
    apply(profile, _consent("ads", _said(True, 200)))
    ignored = apply(profile, _consent("ads", _said(False, 100)))
    ads = section(profile).consent_state["gdpr"]["ads"]
    assert _answer(ads) == (True, 200)
    assert ignored.consent_changes == []

    [change] = apply(profile, _consent("ads", _said(False, 200))).consent_changes
    assert (change.regulation, change.purpose) == ("gdpr", "ads")
    assert (_answer(change.old), _answer(change.current)) == ((True, 200), (False, 200))
    assert section(profile).consent_state["gdpr"]["ads"] == change.current


def test_consent_is_merged_by_purpose_and_null_removes() -> None:
    """spec/events-api.md, worked case 42."""
    profile = new_profile()
    first = apply(profile, _consent("newsletter", _said(True, NOW - 1000)))
    assert [_answer(each.old) for each in first.consent_changes] == [None]
    apply(profile, _consent("newsletter", _said(False, NOW - 2000)))
    apply(profile, _consent("data_sale_opt_out", _said(True), "ccpa"))
    state = section(profile).consent_state
    assert _answer(state["gdpr"]["newsletter"]) == (True, NOW - 1000)
    assert len(apply(profile, _consent("newsletter", _said(False))).consent_changes) == 1

    [removal] = apply(profile, _consent("newsletter", None)).consent_changes
    assert (_answer(removal.old), removal.current) == ((False, NOW), None)
    assert list(state) == ["ccpa"]
    assert apply(profile, _consent("newsletter", None)).consent_changes == []


def test_a_new_answer_replaces_the_whole_record() -> None:
    """spec/privacy.md, 2.2: no field merge."""
    profile = new_profile()
    apply(profile, _consent("ads", _said(True, document="terms-7", location="/p", hardware_id="h")))
    apply(profile, _consent("ads", _said(True, NOW + 1, document="terms-8")))
    assert consent_fields(section(profile).consent_state["gdpr"]["ads"]) == {
        "consented": True,
        "timestamp_unixtime_ms": NOW + 1,
        "document": "terms-8",
    }


@pytest.mark.parametrize(
    ("again", "changes"),
    [
        pytest.param(_said(True, document="a"), 0, id="the same record"),
        pytest.param(_said(True, NOW + 1, document="a"), 1, id="another time"),
        pytest.param(_said(True, document="b"), 1, id="another document"),
        pytest.param(_said(True), 1, id="no document any more"),
    ],
)
def test_only_what_differs_is_a_change(again: dict[str, Any], changes: int) -> None:
    """spec/privacy.md, 2.3: consented, or any field of a record."""
    profile = new_profile()
    apply(profile, _consent("ads", _said(True, document="a")))
    assert len(apply(profile, _consent("ads", again)).consent_changes) == changes


def test_a_historical_answer_is_written_only_over_an_older_one() -> None:
    """spec/profiles.md, 3.1; spec/events-api.md, worked case 56."""
    profile = new_profile()
    apply(profile, _consent("ads", _said(True, NOW - 9 * DAY)), context(NOW - DAY))
    apply(profile, _consent("newsletter", _said(True, NOW - 9 * DAY)), context(NOW - 9 * DAY))
    refusals = {"ads": _said(False, NOW - 5 * DAY), "newsletter": _said(False, NOW - 5 * DAY)}
    update = apply(profile, *historical(NOW - 5 * DAY, consent_state={"gdpr": refusals}))
    stored = section(profile).consent_state["gdpr"]
    assert (stored["ads"].consented, stored["newsletter"].consented) == (True, False)
    assert [change.purpose for change in update.consent_changes] == ["newsletter"]


_answers = st.lists(
    st.tuples(st.booleans(), st.integers(1, NOW)), min_size=1, max_size=6, unique_by=lambda a: a[1]
)


@given(_answers, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter_for_distinct_times(
    answers: list[tuple[bool, int]], random: Any
) -> None:
    """spec/privacy.md, 2.2: the newest answer is the one in force."""
    shuffled = list(answers)
    random.shuffle(shuffled)
    profile = new_profile()
    for consented, timestamp_ms in shuffled:
        apply(profile, _consent("ads", _said(consented, timestamp_ms)))
    newest = max(answers, key=lambda answer: answer[1])
    assert _answer(section(profile).consent_state["gdpr"]["ads"]) == newest
