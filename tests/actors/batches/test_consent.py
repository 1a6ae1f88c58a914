from typing import Any

import pytest

from tests.actors.batches.support import (
    PARTNER,
    T,
    client_context,
    context,
    decoded,
    paths,
    workspace,
)

DAY = 86_400_000
YES = {"consented": True, "timestamp_unixtime_ms": T - 1000}


def consent(gdpr: Any) -> dict[str, Any]:
    return {"consent_state": {"gdpr": gdpr}}


@pytest.mark.parametrize(
    ("sent", "record"),
    [
        (YES, YES),
        (
            YES | {"document": "d", "location": 5, "regulation": "x", "foo": 1},
            YES | {"document": "d", "location": "5"},
        ),
        ({"consented": True}, {"consented": True, "timestamp_unixtime_ms": T}),
        (YES | {"timestamp_unixtime_ms": T + DAY}, YES | {"timestamp_unixtime_ms": T + DAY}),
        (YES | {"timestamp_unixtime_ms": T + DAY + 1}, YES | {"timestamp_unixtime_ms": T}),
        (None, None),
    ],
)
def test_a_purposes_record_is_normalised(sent: Any, record: Any) -> None:
    """spec/events-api.md, worked case 42; spec/privacy.md, 2.2."""
    batch = decoded(consent({"newsletter": sent}))
    assert batch.consent_state == {"gdpr": {"newsletter": record}}
    assert batch.drops == []


def test_names_are_matched_trimmed_and_in_any_case() -> None:
    """spec/events-api.md, worked case 42; spec/privacy.md, 2.1."""
    batch = decoded({"consent_state": {"GDPR": {"Newsletter ": YES}}})
    assert batch.consent_state == {"gdpr": {"newsletter": YES}}


@pytest.mark.parametrize(
    "sent", [{"timestamp_unixtime_ms": 1}, {"consented": None}, {"consented": "maybe"}, 5, []]
)
def test_a_record_without_an_answer_is_dropped(sent: Any) -> None:
    """spec/events-api.md, worked case 42."""
    batch = decoded(consent({"newsletter": sent}))
    assert batch.consent_state == {}
    assert batch.drops == ["consent_invalid"]


def test_an_undefined_purpose_is_dropped() -> None:
    """spec/events-api.md, worked case 42."""
    sent = {"gdpr": {"unknown_purpose": YES}, "ccpa": {"data_sale_opt_out": YES, "other": YES}}
    batch = decoded({"consent_state": sent})
    assert batch.consent_state == {"ccpa": {"data_sale_opt_out": YES}}
    assert batch.drops == ["undefined_consent_purpose"] * 2


def test_a_regulation_that_is_not_enabled_is_dropped() -> None:
    """spec/events-api.md, 11.1."""
    sent = {"gdpr": {"newsletter": YES}, "ccpa": {"data_sale_opt_out": YES}, "lgpd": {"x": YES}}
    batch = decoded({"consent_state": sent}, into=workspace(gdpr=None, has_ccpa=False))
    assert batch.consent_state == {}
    assert batch.drops == ["undefined_consent_purpose"] * 2


@pytest.mark.parametrize("sent", [{"newsletter": YES}, {"newsletter": None}, {"x": 5}, []])
def test_partner_feeds_cannot_set_consent(sent: Any) -> None:
    """spec/events-api.md, worked case 42."""
    batch = decoded(consent(sent), context(PARTNER))
    assert batch.consent_state == {}
    assert batch.drops == ["partner_consent"]


@pytest.mark.parametrize("state", [None, {}, {"gdpr": None}, {"gdpr": {}, "ccpa": None}])
def test_absence_says_nothing(state: Any) -> None:
    """spec/privacy.md, 2.2."""
    assert decoded({"consent_state": state}).consent_state == {}


def test_values_of_the_wrong_kind_refuse_the_batch() -> None:
    assert paths({"consent_state": []}) == ["consent_state"]
    assert paths(consent([])) == ["consent_state.gdpr"]
    record = {"consented": True, "timestamp_unixtime_ms": "soon", "document": {}}
    assert paths(consent({"newsletter": record})) == [
        "consent_state.gdpr.newsletter.timestamp_unixtime_ms",
        "consent_state.gdpr.newsletter.document",
    ]


def test_a_client_loses_only_what_is_wrong() -> None:
    """spec/events-api.md, 16."""
    body = {"consent_state": {"gdpr": {"newsletter": YES | {"document": {}}}, "ccpa": 5}}
    batch = decoded(body, client_context())
    assert batch.consent_state == {"gdpr": {"newsletter": YES}}
    assert batch.drops == ["invalid_field"] * 2
