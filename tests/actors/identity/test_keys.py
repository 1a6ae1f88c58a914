"""The canonical form of identities: spec/identity.md, 2, Value rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.batches.identities import BATCH_NAMES
from actors.identity.keys import IdentityName, canonical
from config.identity import DEFAULT_PRIORITY

_CASE_SENSITIVE_DEVICE_TYPES = {"push_token", "android_uuid"}


@pytest.mark.parametrize("identity_type", DEFAULT_PRIORITY)
def test_email_and_device_types_but_two_are_matched_without_regard_to_case(
    identity_type: str,
) -> None:
    """Every type of the default priority; types that batches have as user identities are user's."""
    is_device_type = identity_type not in BATCH_NAMES
    ignores_case = identity_type == "email" or (
        is_device_type and identity_type not in _CASE_SENSITIVE_DEVICE_TYPES
    )
    assert canonical(identity_type, " AbC-1\t") == ("abc-1" if ignores_case else "AbC-1")


@pytest.mark.parametrize(
    ("identity_type", "one", "other", "is_same"),
    [
        pytest.param("email", " A@B.Example ", "a@b.example", True, id="case 13: email"),
        pytest.param("customerid", "X1", "x1", False, id="case 13: customer id"),
        pytest.param("customerid", "a b", "ab", False, id="inner spaces stay"),
        pytest.param("email", "ÄNN@EXAMPLE.COM", "änn@example.com", True, id="not only ASCII"),
    ],
)
def test_two_ways_of_writing_are_one_identity_if_their_canonical_forms_are_equal(
    identity_type: str, one: str, other: str, is_same: bool
) -> None:
    """spec/identity.md, worked case 13."""
    assert (canonical(identity_type, one) == canonical(identity_type, other)) is is_same


@given(st.sampled_from(DEFAULT_PRIORITY), st.text())
def test_a_canonical_form_is_its_own_canonical_form(identity_type: str, value: str) -> None:
    """So it does not matter how often a value passes."""
    once = canonical(identity_type, value)
    assert canonical(identity_type, once) == once


def test_identities_are_ordered_by_type_and_value() -> None:
    """The order in which changes are written."""
    names = [IdentityName("other", "a"), IdentityName("email", "b"), IdentityName("email", "a")]
    assert [(each.type, each.value) for each in sorted(names)] == [
        ("email", "a"),
        ("email", "b"),
        ("other", "a"),
    ]
