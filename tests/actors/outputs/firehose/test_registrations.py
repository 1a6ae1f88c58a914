"""Asking a module what it wants. Source: spec/connections.md, 4.2."""

import asyncio
import json
from typing import Any

import pytest

from actors.outputs.contract import Delivered, Retry
from actors.outputs.firehose import output as firehose_output
from actors.outputs.firehose.output import FirehoseOutput
from tests.actors.outputs.firehose.support import Module, Place, batch, event, registration, sent


async def opened(place: Place, module: Module, **settings: Any) -> FirehoseOutput:
    output = place.open(module.url, **settings)
    await output.start()
    return output


async def test_a_registration_is_fetched_once_and_kept(module: Module) -> None:
    place = Place()
    for _ in range(2):
        output = await opened(place, module, token="sesame")
        assert isinstance((await output.send([sent(1, batch(event()))]))[0], Delivered)
        await output.stop()
    asked = [(headers, json.loads(body)) for headers, body in module.requests]
    [(headers, request)] = [each for each in asked if "registration" in each[1]["type"]]
    assert request.keys() == {"type", "id", "timestamp_ms", "firehose_version"}
    assert "authorization" not in headers


async def test_an_invalid_registration_leaves_the_one_in_force(
    module: Module, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place()
    output = await opened(place, module)
    module.registration = registration(name="", version="")
    problems = await output.refresh_registration()
    assert [each.partition(":")[0] for each in problems] == ["name", "version"]
    assert isinstance((await output.send([sent(1, batch(event()))]))[0], Delivered)
    module.registration = registration(permissions={"partner_identities": [{"type": "Acme_Id"}]})
    assert await output.refresh_registration() == []
    await output.send([sent(2, batch(event()))])
    await output.stop()
    assert "mpid" in module.messages[0]
    assert "mpid" not in module.messages[1]
    assert [r for r in caplog.records if getattr(r, "event", "") == "registration_refused"]


async def test_nothing_is_sent_before_the_registration_is_known(module: Module) -> None:
    module.status = 503
    output = await opened(Place(), module)
    [outcome] = await output.send([sent(1, batch(event()))])
    assert isinstance(outcome, Retry)
    module.status = 200
    await output.keep_up()
    assert isinstance((await output.send([sent(1, batch(event()))]))[0], Delivered)
    await output.stop()
    assert len(module.messages) == 1


@pytest.mark.parametrize("text", ["Café".encode("latin-1"), b"\\ud800"], ids=["latin-1", "half"])
async def test_a_registration_that_is_not_unicode_is_refused_like_any_other(
    module: Module, text: bytes
) -> None:
    good = json.dumps(registration(description="harmless")).encode()
    module.text = good.replace(b"harmless", text)
    output = await opened(Place(), module)
    problem = "the answer is not a module_registration_response, as JSON in UTF-8"
    assert await output.refresh_registration() == [problem]
    [outcome] = await output.send([sent(1, batch(event()))])
    assert outcome == Retry(f"what the module wants is not known: {problem}")
    module.text = None
    await output.keep_up()
    assert isinstance((await output.send([sent(1, batch(event()))]))[0], Delivered)
    await output.stop()


async def test_upkeep_goes_on_whatever_it_meets(
    module: Module, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firehose_output, "UPKEEP_S", 0.0)
    place, is_asked_again = Place(), asyncio.Event()
    place.state.failing = LookupError("nobody has thought of it")

    def answer(message: dict[str, Any]) -> None:
        if len(module.requests) > 3:
            is_asked_again.set()

    module.custom = answer
    output = await opened(place, module)
    async with asyncio.timeout(5):
        await is_asked_again.wait()
    await output.stop()
    events = [each.__dict__["event"] for each in caplog.records]
    assert events == ["module_upkeep_failed"]


async def test_a_refusal_is_logged_once_and_in_bounds(
    module: Module, caplog: pytest.LogCaptureFixture
) -> None:
    def problems() -> list[list[str]]:
        found = [each.__dict__ for each in caplog.records]
        return [each["problems"] for each in found if each["event"] == "registration_refused"]

    module.status, module.text = 500, "x" * 10_000
    output = await opened(Place(), module)
    await output.keep_up()
    [[problem]] = problems()
    assert problem == ("the module cannot be asked: " + "x" * 200)[:200]
    [outcome] = await output.send([sent(1, batch(event()))])
    assert outcome == Retry(f"what the module wants is not known: {problem}")
    module.status, module.text = 200, None
    events = {"supported_event_types": ["sneeze"] * 50}
    module.registration = registration(event_processing_registration=events)
    assert len(await output.refresh_registration()) == 50
    assert len(problems()) == 2
    assert len(problems()[1]) == 10
    module.registration = registration()
    assert await output.refresh_registration() == []
    module.registration = registration(event_processing_registration=events)
    await output.refresh_registration()
    assert len(problems()) == 3
    await output.stop()
