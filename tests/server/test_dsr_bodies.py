"""What bodies of data subject requests may say (spec/privacy.md, 3.2)."""

import json
from typing import Any

import pytest

from actors.outputs.egress import EgressRules
from actors.privacy.requests import Submission, Version
from server.dsr_bodies import MAIN_TYPES, read_submission
from server.dsr_problems import DsrRefused
from tests.whole.subject_requests import MOMENT_MS, body

DOMAIN = "privacy.example.com"
OPEN = EgressRules(["hooks.example.com:8080", "10.0.0.0/8"])
MPID_ALONE = "If an mpid is provided, it must be the only identity in the request."


def read(sent: dict[str, Any] | bytes, version: Version = "3.0") -> Submission:
    raw = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    return read_submission(raw, version, DOMAIN, OPEN, MOMENT_MS)


def refusal(sent: dict[str, Any] | bytes, version: Version = "3.0") -> list[str]:
    with pytest.raises(DsrRefused) as caught:
        read(sent, version)
    assert caught.value.status == 400
    return list(caught.value.messages)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        pytest.param(
            {"subject_identities": {"mpid": {"value": "5"}, "email": {"value": "a@b.example"}}},
            MPID_ALONE,
            id="mpid and email",
        ),
        pytest.param(
            {"subject_identities": {"email": {"value": "x", "encoding": "sha256"}}},
            "encoding must be raw.",
            id="hashed",
        ),
        pytest.param(
            {"subject_identities": {"fax": {"value": "1", "encoding": "raw"}}},
            "subject_identities has an unknown identity type.",
            id="unknown type",
        ),
        pytest.param(
            {"subject_request_id": "5AD0F6B0-9D7C-4E0E-8F6B-9D7C4E0E8F6B"},
            "subject_request_id must be a lower-case UUID of version 4.",
            id="upper case",
        ),
        pytest.param(
            {"subject_request_id": "5ad0f6b0-9d7c-1e0e-8f6b-9d7c4e0e8f6b"},
            "subject_request_id must be a lower-case UUID of version 4.",
            id="version 1",
        ),
        pytest.param(
            {"subject_identities": None},
            "subject_identities must have an identity.",
            id="no identities",
        ),
        pytest.param({"regulation": None}, "regulation must be one of gdpr, ccpa.", id="none"),
        pytest.param(
            {"submitted_time": "yesterday"},
            "submitted_time must be a date, or a date and time, of ISO 8601.",
            id="no time",
        ),
        pytest.param(
            {"submitted_time": "2024-03-06T09:30:01Z"},
            "submitted_time must not be in the future.",
            id="tomorrow and a second",
        ),
        pytest.param(
            {"api_version": "2.0"}, "api_version must be 3.0 on this path.", id="other version"
        ),
        pytest.param(
            {"group_id": "g" * 151}, "group_id must be a text of 1 to 150 characters.", id="group"
        ),
        pytest.param(
            {"skip_waiting_period": "yes"},
            "skip_waiting_period must be true or false.",
            id="no flag",
        ),
        pytest.param(
            {"status_callback_urls": ["https://127.0.0.1/x"]},
            "status_callback_urls must be absolute https URLs of public hosts.",
            id="loopback",
        ),
        pytest.param(
            {"status_callback_urls": ["http://hooks.example.com/x"]},
            "status_callback_urls must be absolute https URLs of public hosts.",
            id="plain http",
        ),
        pytest.param(
            {"status_callback_urls": [f"https://h.example.com/{each}" for each in range(11)]},
            "status_callback_urls must be a list of at most 10 URLs.",
            id="eleven callbacks",
        ),
        pytest.param(
            {"extensions": [1]}, "extensions must be an object of objects by domain.", id="list"
        ),
    ],
)
def test_case_11_what_is_wrong_is_refused(members: dict[str, Any], message: str) -> None:
    assert refusal(body(**members)) == [message]


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"subject_request_id": "a", "subject_request_id": "b"}', id="repeated key"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b'{"a": NaN}', id="no number"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", id="huge number"),
        pytest.param(b"\xff", id="no text"),
    ],
)
def test_case_11_a_body_that_is_no_plain_object_is_refused(raw: bytes) -> None:
    assert refusal(raw) == ["Invalid data was detected"]


def test_what_is_optional_may_be_null() -> None:
    names = ("api_version", "group_id", "status_callback_urls", "skip_waiting_period", "extensions")
    made = read(body() | dict.fromkeys(names))
    assert (made.version, made.group, made.callback_urls) == ("3.0", None, ())


def test_every_type_of_discovery_is_read() -> None:
    sent = {name: {"value": f" {name} ", "encoding": "raw"} for name in MAIN_TYPES}
    assert read(body(subject_identities=sent)).identities == tuple(
        (kind, name) for name, kind in MAIN_TYPES.items()
    )


def test_the_extension_has_further_types_by_several_spellings() -> None:
    own = {
        "subject_identities": {
            "other1": {"value": "1"},
            "other10": {"value": "10"},
            "phone_number_2": {"value": "2"},
            "roku_publishing_id": {"value": "r"},
        }
    }
    for domain in (DOMAIN, "opendsr.mparticle.com"):
        extensions = {domain: own, "other.example.com": {"subject_identities": 5}}
        made = read(body(subject_identities=None, extensions=extensions))
        assert made.identities == (
            ("other", "1"),
            ("other10", "10"),
            ("phone_number_2", "2"),
            ("roku_publisher_id", "r"),
        )
    twice = {"email": {"value": "b"}}
    extensions = {DOMAIN: {"subject_identities": twice}}
    assert refusal(body(extensions=extensions)) == [
        "subject_identities must have one identity of each type."
    ]


def test_versions_1_and_2_take_many_identities_and_mpids() -> None:
    own = {"mpids": [5, "-6", 5], "identities": [{"identity_type": "other", "identity_value": "o"}]}
    for version, domain in (("1.0", "opengdpr.mparticle.com"), ("2.0", DOMAIN)):
        made = read(body(version=version, extensions={domain: own}), version)  # type: ignore[arg-type]
        assert made.mpids == (5, -6)
        assert made.identities == (("email", "zoe.needle@example.test"), ("other", "o"))
        assert made.regulation == (None if version == "1.0" else "gdpr")
    wrong = body(version="2.0", extensions={DOMAIN: {"mpids": [1.5, True, "x", 2**63]}})
    assert refusal(wrong, "2.0") == ["mpid must be an integer of 64 bits."]


def test_callbacks_may_go_where_the_operator_has_opened() -> None:
    urls = ["http://hooks.example.com:8080/a", "https://10.0.0.5/b", "https://x.example.com/c"]
    assert read(body(status_callback_urls=[*urls, urls[0]])).callback_urls == tuple(urls)
    for url in (
        "http://hooks.example.com/a",
        "https://u:p@x.example.com/",
        "ftp://x",
        "x",
        "https://[",
    ):
        assert refusal(body(status_callback_urls=[url])) == [
            "status_callback_urls must be absolute https URLs of public hosts."
        ]


def test_half_of_a_surrogate_pair_is_replaced() -> None:
    """No request can be kept that has one, and its sender would repeat it for ever."""
    sent = json.dumps(body(group_id="a-half")).replace("a-half", r"\ud800")
    assert read(sent.encode()).group == "\ufffd"


def test_nothing_of_a_person_is_in_what_is_shown_of_a_request() -> None:
    assert "zoe" not in repr(read(body()))
