"""Outputs whose receivers register what they want, tried over HTTP.

Source: spec/platform-api.md, 15: `POST .../outputs/{id}/test`; spec/connections.md, 3.3 and 4.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from actors.output_states import OutputStateDesk
from actors.outputs.firehose.output import FirehoseOutput
from actors.outputs.firehose.settings import FirehoseSettings
from config.sealing import Sealer
from tests.actors.outputs.firehose.support import Module, Place, registration
from tests.actors.outputs.firehose.test_authorization import HOUR_MS, Tokens, authorize, registered
from tests.whole.world import T, World, running

OUTPUTS = "/platform/v2/workspaces/1/outputs"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T)


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock) -> AsyncIterator[World]:
    async with running(tmp_path, clock=clock, egress_allow=["127.0.0.1"]) as made:
        yield made


@pytest.fixture
async def module() -> AsyncIterator[Module]:
    found = Module()
    await found.start()
    yield found
    await found.stop()


async def made(world: World, kind: str, settings: dict[str, Any]) -> int:
    """Make the output `mailer`; return its number."""
    body = {"kind": kind, "module": "firehose", "name": "Mailer", "settings": settings}
    response = await world.client.post(OUTPUTS, json=body, headers=await world.token())
    assert response.status == 201, await response.text()
    number: int = (await response.json())["id"]
    return number


async def tried(world: World) -> dict[str, Any]:
    response = await world.client.post(f"{OUTPUTS}/mailer/test", headers=await world.token())
    assert response.status == 200, await response.text()
    result: dict[str, Any] = await response.json()
    return result


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("event", "event_processing_request"),
        ("audience", "audience_membership_change_request"),
    ],
)
async def test_a_module_is_asked_as_an_output_of_its_kind(
    world: World, module: Module, kind: str, message: str
) -> None:
    number = await made(world, kind, {"registration_url": module.url})
    assert (await tried(world))["ok"]
    [sent] = module.messages
    assert sent["type"] == message
    assert sent["account"]["account_id"] == number


async def test_a_module_that_is_sent_requests_of_data_subjects_is_asked_what_it_is(
    world: World, module: Module
) -> None:
    await made(world, "dsr", {"registration_url": module.url})
    assert (await tried(world))["ok"]


async def test_a_module_that_is_described_in_the_settings_needs_no_other_url_than_its_own(
    world: World, module: Module
) -> None:
    settings = {"registration": registration(), "audience_url": module.url}
    await made(world, "audience", settings)
    assert (await tried(world))["ok"]


async def test_an_authorized_output_is_tried_with_its_tokens(
    world: World, module: Module, clock: ManualClock
) -> None:
    """A token that is renewed for the test is kept: it may be the only one that holds."""
    Tokens(module, is_rotating=True)
    module.registration = registered(module)
    settings = {"registration_url": module.url, "client_secret": "hush"}
    await made(world, "event", settings)
    assert (await tried(world))["error"] == "the output has not been authorized"
    state = OutputStateDesk(world.coordinator_stores[-1], Sealer("k" * 32))
    running_output = FirehoseOutput(
        FirehoseSettings.model_validate(settings),
        replace(Place().environment, clock=clock, state=state),
    )
    await running_output.start()
    await authorize(running_output)
    assert (await tried(world))["ok"]
    assert module.requests[-1][0]["authorization"] == "Bearer t-1"
    clock.advance(HOUR_MS)
    assert (await tried(world))["ok"]
    assert module.requests[-1][0]["authorization"] == "Bearer t-2"
    await running_output.test()
    assert module.requests[-1][0]["authorization"] == "Bearer t-2"
    await running_output.stop()
