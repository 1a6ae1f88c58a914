"""Requests whose calls to the coordinator were done, and whose answers an edge did not hear.

An edge makes such calls again: the coordinator was killed after its commit, or cut the call off
because slots had moved. Whoever has sent the request gets one effect and the right answer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from actors.clock import ManualClock
from actors.once import Once
from actors.store.environment import Transaction
from actors.store.kept_answers import AnswerShelf
from tests.whole.subject_requests import CREDENTIALS, KEY, body, submit
from tests.whole.test_audiences import status_is
from tests.whole.test_audit_log import LOGS
from tests.whole.test_calculated import definition
from tests.whole.test_configuration_api import ask
from tests.whole.test_groups import HOUSEHOLD
from tests.whole.test_idempotency import GROUPS
from tests.whole.world import DOCUMENT, World, changed, running

Work = Callable[[], Awaitable[Any]]
Tell = Callable[[], Awaitable[None]]
_once = Once.call


async def _lost(self: Once, call_id: bytes, work: Work, tell: Tell) -> Any:
    """The answer, whatever it was, did not arrive."""
    with suppress(Exception):
        await _once(self, call_id, work, tell)
    return await _once(self, call_id, work, tell)


async def _cut_off(self: Once, call_id: bytes, work: Work, tell: Tell) -> Any:
    """The call is cancelled as soon as it has committed, where it waits next."""
    call = asyncio.ensure_future(_once(self, call_id, work, tell))
    write = AnswerShelf.write

    def written(shelf: AnswerShelf, txn: Transaction, key: bytes, *more: Any) -> None:
        write(shelf, txn, key, *more)
        if key == call_id:
            call.cancel()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(AnswerShelf, "write", written)
        await asyncio.gather(call, return_exceptions=True)
    return await _once(self, call_id, work, tell)


@pytest.fixture(params=[_lost, _cut_off], ids=["the answer was lost", "the call was cut off"])
async def world(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    monkeypatch.setattr(Once, "call", request.param)
    document = changed(DOCUMENT, workspace={"dsr_credentials": CREDENTIALS})
    async with running(tmp_path, document=document, clock=clock) as only:
        yield only


async def done(world: World, method: str, path: str, sent: Any = None) -> Any:
    """Ask for something that is to succeed; return the answer."""
    status, answer = await ask(world, method, path, sent)
    assert status < 300, answer
    return answer


async def names(world: World, path: str) -> list[str]:
    return [each["name"] for each in await done(world, "GET", path)]


async def test_inputs_outputs_and_connections_are_made_once(world: World) -> None:
    """The answer that makes an input is the only one that ever shows its secret."""
    before = await names(world, "/inputs")
    made = await done(
        world, "POST", "/inputs", {"kind": "platform", "os": "android", "name": "Our App"}
    )
    [key] = made["keys"]
    assert await names(world, "/inputs") == [*before, "Our App"]
    world.secrets["new"] = f"{key['key']}:{key['secret']}"
    event = {"event_type": "custom_event", "data": {"event_name": "Opened"}}
    batch = {"user_identities": {"customer_id": "ann"}, "events": [event]}
    assert (await world.send(batch, "new")).status == 202
    output = {"module": "devnull", "kind": "event", "name": "Another"}
    output_id = (await done(world, "POST", "/outputs", output))["id"]
    joined = {"input_id": made["id"], "output_id": output_id}
    connection = await done(world, "POST", "/output-connections", joined)
    listed = await done(world, "GET", "/output-connections")
    assert [each["id"] for each in listed].count(connection["id"]) == 1
    await done(world, "DELETE", f"/output-connections/{connection['id']}")
    assert connection["id"] not in [
        each["id"] for each in await done(world, "GET", "/output-connections")
    ]


async def test_a_second_request_is_refused_as_ever(world: World) -> None:
    """It is another call: only what an edge repeats by itself is answered as the first time."""
    sent = {"kind": "platform", "os": "android", "name": "Our App"}
    await done(world, "POST", "/inputs", sent)
    status, answer = await ask(world, "POST", "/inputs", sent)
    assert status == 422
    assert answer["errors"][0]["message"] == "already used by input 'our-app'"


async def test_groups_are_made_and_deleted_once(world: World) -> None:
    headers = await world.token()
    made = await world.client.post(GROUPS, json=HOUSEHOLD, headers=headers)
    assert made.status == 201, await made.text()
    assert len(await (await world.get(GROUPS)).json()) == 1
    deleted = await world.client.delete(f"{GROUPS}/household", headers=headers)
    assert deleted.status < 300, await deleted.text()
    assert await (await world.get(GROUPS)).json() == []


async def test_audiences_are_made_cloned_and_deleted_once(world: World) -> None:
    sent = {"name": "Gold", "definition": status_is("gold")}
    gold = (await done(world, "POST", "/audiences", sent))["id"]
    clone = await done(world, "POST", f"/audiences/{gold}/clone")
    assert await names(world, "/audiences") == ["Gold", clone["name"]]
    await done(world, "DELETE", f"/audiences/{gold}")
    assert await names(world, "/audiences") == [clone["name"]]


async def test_calculated_attributes_are_made_activated_and_deleted_once(world: World) -> None:
    sent = {"name": "buys", "draft_definition": definition("count")}
    number = await done(world, "POST", "/calculatedattributes", sent)
    await done(world, "POST", f"/calculatedattributes/{number}/activation")
    await done(world, "DELETE", f"/calculatedattributes/{number}")
    assert (await ask(world, "GET", f"/calculatedattributes/{number}"))[0] == 404


async def test_a_data_subject_request_is_taken_and_cancelled_once(world: World) -> None:
    sent = body()
    taken = await submit(world, sent)
    assert taken.status == 201, await taken.text()
    path = f"/v3/requests/{sent['subject_request_id']}"
    cancelled = await world.client.delete(path, headers=KEY)
    assert cancelled.status == 202, await cancelled.text()
    assert (await world.client.delete(path, headers=KEY)).status == 400


async def test_what_was_done_is_in_the_audit_log_once(world: World) -> None:
    await world.client.post(GROUPS, json=HOUSEHOLD, headers=await world.token())
    await done(world, "POST", "/outputs", {"module": "devnull", "kind": "event", "name": "Another"})
    response = await world.get(LOGS, actor="ops")
    kinds = [each["resource_type"] for each in (await response.json())["items"]]
    assert (kinds.count("group_definition"), kinds.count("output")) == (1, 1)
