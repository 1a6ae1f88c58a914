"""Signed requests (spec/identity.md, 4.2; spec/clients.md, 5.1)."""

import hmac
from hashlib import sha256

import pytest

from server.signatures import date_ms, is_signed, targets_of

SECRET = b"s3cr3t-example"
BODY = b'{"environment":"development","request_id":"r-1","known_identities":{"customerid":"u-77"}}'
SIGNED = [
    pytest.param(
        "20240105T101112Z",
        "4076ea362db002353eef505d7fee652c23b7a4695ab50a9d3e196098a1c8ae42",
        id="case 3: ISO 8601 basic",
    ),
    pytest.param(
        "Fri, 05 Jan 2024 10:11:12 GMT",
        "25714ca39647bb5ac8b3a932f0bcc85e41cb1588936da41d6755efe393ebf7d3",
        id="case 4: RFC 1123",
    ),
]


@pytest.mark.parametrize(("date", "signature"), SIGNED)
def test_a_signature_is_of_one_request_only(date: str, signature: str) -> None:
    """spec/identity.md, worked cases 3 and 4."""
    path = ["/v1/identify"]
    assert is_signed(SECRET, signature, "POST", date, path, BODY)
    assert is_signed(SECRET, signature.upper(), "POST", date, path, BODY)
    assert not is_signed(b"other", signature, "POST", date, path, BODY)
    assert not is_signed(SECRET, signature[:-1], "POST", date, path, BODY)
    assert not is_signed(SECRET, "", "POST", date, path, BODY)
    assert not is_signed(SECRET, "é" * 64, "POST", date, path, BODY)
    assert not is_signed(SECRET, signature, "PUT", date, path, BODY)
    assert not is_signed(SECRET, signature, "POST", date + " ", path, BODY)
    assert not is_signed(SECRET, signature, "POST", date, ["/v1/login"], BODY)
    assert not is_signed(SECRET, signature, "POST", date, path, BODY.replace(b"77", b"78"))


def test_any_of_the_targets_may_be_the_signed_one() -> None:
    date, signature = SIGNED[0].values
    for targets in (["/a", "/v1/identify"], ["/v1/identify", "/a"]):
        assert is_signed(SECRET, str(signature), "POST", str(date), targets, BODY)


def test_a_header_that_is_not_text_is_signed_as_it_came() -> None:
    date = b"\xff".decode(errors="surrogateescape")
    signature = hmac.new(SECRET, b"POST\n\xff\n/v1/identify" + BODY, sha256).hexdigest()
    assert is_signed(SECRET, signature, "POST", date, ["/v1/identify"], BODY)


@pytest.mark.parametrize(
    ("raw_path", "targets"),
    [
        ("/v1/identify", {"/v1/identify"}),
        ("/v1/search?cb=1", {"/v1/search", "/v1/search?cb=1"}),
        ("/identity/v1/login", {"/identity/v1/login", "/v1/login"}),
        (
            "/identity/v1/login?a=1",
            {"/identity/v1/login", "/identity/v1/login?a=1", "/v1/login", "/v1/login?a=1"},
        ),
        ("/identityv1/login", {"/identityv1/login"}),
        (
            "/v4/K/config?av=1&plan_id=p&sv=2&plan_version=3",
            {
                "/v4/K/config",
                "/v4/K/config?av=1&sv=2",
                "/v4/K/config?av=1&plan_id=p&sv=2&plan_version=3",
            },
        ),
    ],
)
def test_every_spelling_that_clients_sign_is_tried_once(raw_path: str, targets: set[str]) -> None:
    found = targets_of(raw_path, ("/identity",))
    assert set(found) == targets
    assert len(found) == len(targets)


@pytest.mark.parametrize(
    ("date", "expected_ms"),
    [
        ("20240105T101112Z", 1_704_449_472_000),
        ("2024-01-05T10:11:12Z", 1_704_449_472_000),
        ("Fri, 05 Jan 2024 10:11:12 GMT", 1_704_449_472_000),
        ("Thu, 01 Jan 2026 01:00:00 GMT+01:00", 1_767_225_600_000),
        ("Wed, 31 Dec 2025 19:00:00 EST", 1_767_225_600_000),
        ("Thu, 01 Jan 2026 00:00:00 -0000", 1_767_225_600_000),
        ("2026-01-01T00:00:00", 1_767_225_600_000),
        ("Thu, 01 Jan 2026 01:00:00 CET", None),
        ("Thu, 01 Jan 2026 05:30:00 IST", None),
        ("Thu, 01 Jan 2026 09:00:00 JST", None),
        ("", None),
        ("soon", None),
        ("1704449472", None),
        ("Fri, 05 Jan 9999999999999999999999 10:11:12 GMT", None),
        ("Fri, 05 Jan 2024 10:11:12 +9999", None),
    ],
)
def test_dates_are_read_in_the_forms_that_clients_send(date: str, expected_ms: int | None) -> None:
    assert date_ms(date) == expected_ms
