"""Outputs that browsers load an image of (spec/connections.md, 8)."""

import copy
from pathlib import Path
from typing import Any

import pytest

from config.cookie_sync import sdk_hash
from tests.config.documents import Change, problems, setting, shop

PIXEL = {
    "id": "partner",
    "kind": "cookie_sync",
    "module": "pixel",
    "name": "Partner",
    "settings": {"pixel_url": "https://partner.example.com/sync"},
}
CONSENT = {
    "kind": "consent",
    "action": "include",
    "purposes": [{"regulation": "gdpr", "purpose": "ads", "has_consented": True}],
}
GDPR = setting("workspace.regulations", {"gdpr": {"enabled": True, "purposes": ["ads"]}})


def joined(source: str = "web", **members: Any) -> tuple[Change, Change]:
    """Put an image and a connection to it at the head of the document's own."""
    connection = {"id": "sync", "input": source, "output": "partner", **members}
    return (
        lambda data: data["outputs"].insert(0, copy.deepcopy(PIXEL)),
        lambda data: data["connections"].insert(0, connection),
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("a", 97),
        ("Ab", 97 * 31 + 98),
        ("polygenelubricants", -(2**31)),  # known as a text whose hash is the least there is
        pytest.param("plan", 3443497, id="case 42: an attribute"),
        pytest.param("Gold", 3178592, id="case 42: a value"),
        pytest.param("gold", 3178592, id="case 42: the same in lower case"),
        pytest.param("1marketing", -1972997867, id="case 42: a purpose of the GDPR"),
        pytest.param("2data_sale_opt_out", -575335347, id="case 42: the CCPA"),
        pytest.param("country", 957831062, id="rules.md, case 25: an attribute"),
        pytest.param("CA", 3166, id="rules.md, case 25: a value"),
    ],
)
def test_a_text_is_hashed_as_pages_do(text: str, expected: int) -> None:
    """Section 2.3 and worked case 42: of the text in lower case, as 32 bits with a sign."""
    assert sdk_hash(text) == expected


def test_units_of_utf_16_are_hashed() -> None:
    assert sdk_hash("\U0001f642") == 0xD83D * 31 + 0xDE42


def test_a_web_input_is_joined_with_a_consent_rule(tmp_path: Path) -> None:
    data = shop(GDPR, *joined(forwarding_rules=[CONSENT]))
    assert problems(data, tmp_path) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            joined("ios"),
            "connections[0].input: an output of kind cookie_sync takes inputs of os MobileWeb only",
        ),
        (
            joined(forwarding_rules=[{"kind": "id_sync"}]),
            "connections[0].forwarding_rules[0]: an output of kind cookie_sync takes one rule, of "
            "kind consent",
        ),
        (
            (GDPR, *joined(forwarding_rules=[CONSENT, CONSENT])),
            "connections[0].forwarding_rules[1]: an output of kind cookie_sync takes one rule, of "
            "kind consent",
        ),
        (
            joined(sampling={"percentage": 50}),
            "connections[0].sampling: an output of kind cookie_sync has no sampling",
        ),
        (
            (*joined(), setting("outputs.0.settings.pixel_url", "ftp://partner.example.com")),
            "outputs[0].settings.pixel_url: must be an http or https URL",
        ),
        (
            (*joined(), setting("outputs.0.settings.redirect_url", "https://example.com:99999/")),
            "outputs[0].settings.redirect_url: must have a port from 1 to 65535",
        ),
        (
            (*joined(), setting("outputs.0.kind", "event")),
            "outputs[0].kind: module 'pixel' can be cookie_sync",
        ),
    ],
)
def test_what_pages_cannot_decide_is_refused(
    changes: tuple[Change, ...], expected: str, tmp_path: Path
) -> None:
    assert problems(shop(*changes), tmp_path) == [expected]
