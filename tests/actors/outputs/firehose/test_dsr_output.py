"""Data subject requests at a module. Sources: spec/connections.md, 4.5; spec/privacy.md, 6."""

import pytest

from actors.outputs import dsr_messages
from actors.outputs.contract import Delivered, Fatal, Retry
from actors.outputs.dsr_messages import DsrMessage, subject_identities
from tests.actors.forwarding.support import delivery
from tests.actors.outputs.firehose.support import NOW_MS, Module, Place

MESSAGE = DsrMessage(
    "a3f0", "erasure", 1_767_225_600_500, "gdpr", {"email": "a@b.example", "android_id": "x"}
)


async def test_a_request_carries_what_the_module_may_have(module: Module) -> None:
    place = Place("dsr")
    output = place.open(module.url)
    await output.start()
    request = delivery(1, None, payload=dsr_messages.encode(MESSAGE), event_count=0)
    assert isinstance((await output.send([request]))[0], Delivered)
    [message] = module.messages
    assert message.pop("id").count("-") == 4
    assert message == {
        "type": "dsr_processing_request",
        "timestamp_ms": NOW_MS,
        "firehose_version": "3.2.0",
        "account": {"account_id": 7},
        "subject_request_id": "a3f0",
        "subject_request_type": "erasure",
        "submitted_time": 1_767_225_600.5,
        "subject_identities": {"email": {"value": "a@b.example", "encoding": "raw"}},
        "api_version": "3.0",
        "regulation": "gdpr",
    }
    module.status = 503
    assert isinstance((await output.send([request]))[0], Retry)
    await output.stop()


async def test_a_request_without_any_of_it_is_not_sent(module: Module) -> None:
    place = Place("dsr")
    output = place.open(module.url)
    await output.start()
    nothing = DsrMessage("a3f0", "erasure", 5, "unknown", {"android_id": "x"})
    request = delivery(1, None, payload=dsr_messages.encode(nothing), event_count=0)
    assert await output.send([request]) == [Fatal("missing_identity", "")]
    await output.stop()
    assert module.messages == []
    assert place.drops == [(1, "missing_identity", 1)]


@pytest.mark.parametrize(
    ("requested", "profile", "expected"),
    [
        pytest.param(
            {"email": "new@b.example"},
            {"email": "old@b.example", "customer_id": "c", "facebook": "f"},
            {"email": "new@b.example", "controller_customer_id": "c"},
            id="the request's own value wins; types without a name are left out",
        ),
        pytest.param({"email": "a"}, None, {"email": "a"}, id="nobody found"),
        pytest.param({}, None, {}, id="an MPID of nobody"),
        pytest.param(
            {}, {"google_advertising_id": "g"}, {"android_advertising_id": "g"}, id="of a device"
        ),
    ],
)
def test_all_identities_of_the_profile_go_out(
    requested: dict[str, str], profile: dict[str, str] | None, expected: dict[str, str]
) -> None:
    assert subject_identities(requested, profile) == expected


def test_only_what_an_output_takes_goes_out() -> None:
    known = {"email": "a", "customer_id": "c"}
    assert subject_identities(known, None, {"customer_id"}) == {"controller_customer_id": "c"}
