"""Erasures on their way to outputs of kind `dsr` (spec/privacy.md, 6; connections.md, 7.1)."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from actors.clock import ManualClock, SystemRandomness
from actors.forwarder import Forwarder
from actors.forwarding.plan import OutputPlan
from actors.metric_groups import ForwarderMetrics
from actors.model.deliveries import Settlement
from actors.outputs.dsr_messages import decode
from actors.outputs.egress import EgressRules
from actors.outputs.environment import OutputEnvironment
from actors.outputs.registry import open_outputs
from actors.outputs.retry import PROFILES
from actors.privacy.desk import PrivacyDesk
from tests.actors.forwarding.support import Receiver
from tests.actors.outputs.firehose.support import MemoryState, Module, registration
from tests.whole.sent import batch
from tests.whole.subject_requests import (
    DAY_MS,
    KEY,
    MOMENT_MS,
    accepted,
    body,
    document,
    fulfil,
    status,
)
from tests.whole.world import World, running

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
EMAIL_ONLY = {"user_identities": [{"type": "email", "encoding": "raw"}]}
CUSTOMER = {"controller_customer_id": {"value": "zoe"}}


class DeskSource:
    """What forwarders read, without Ray."""

    def __init__(self, desk: PrivacyDesk) -> None:
        self.read = desk.read_forwards
        self._desk = desk

    async def settle(self, settlement: Settlement) -> None:
        await self._desk.settle_forwards(settlement)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MOMENT_MS)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def module() -> AsyncIterator[Module]:
    found = Module(registration(permissions=EMAIL_ONLY))
    await found.start()
    yield found
    await found.stop()


def with_outputs(*outputs: dict[str, Any], active: bool = True) -> dict[str, Any]:
    """Return a document whose workspace sends requests to outputs."""
    own = document()
    return document(
        outputs=[*own["outputs"], *outputs],
        connections=[
            *own["connections"],
            *(
                {"id": f"to-{each['id']}", "output": each["id"], "active": active}
                for each in outputs
            ),
        ],
    )


def phone(number: int) -> dict[str, Any]:
    """Return what a batch has of one of a user's phones."""
    vendor = f"{number:08d}-2222-4333-8444-555555555555"
    return {
        "mp_deviceid": str(UUID(int=number)),
        "device_info": {"platform": "iOS", "ios_idfv": vendor},
    }


def webhook(url: str, **settings: Any) -> dict[str, Any]:
    return {
        "id": "erase-hook",
        "kind": "dsr",
        "module": "webhook",
        "name": "Erasure hook",
        "settings": {"url": url, **settings},
    }


def firehose(url: str) -> dict[str, Any]:
    return {
        "id": "erase-mailer",
        "kind": "dsr",
        "module": "firehose",
        "name": "Erasure to mailer",
        "settings": {"registration_url": url},
    }


@asynccontextmanager
async def delivering(
    world: World, plan: OutputPlan, clock: ManualClock
) -> AsyncIterator["Delivering"]:
    """Run the forwarder of an output."""
    surroundings = OutputEnvironment(
        plan.info.id,
        clock,
        EgressRules(["127.0.0.1"]),
        Path("unused"),
        place=plan.place,
        state=MemoryState(),
    )
    forwarder = Forwarder(
        plan.info,
        open_outputs(plan.module, dict(plan.settings), surroundings),
        plan.connections,
        [DeskSource(world.privacy)],
        clock,
        SystemRandomness(),
        ForwarderMetrics("test"),
    )
    running_ = asyncio.create_task(forwarder.run())
    try:
        yield Delivering(world, forwarder, clock)
    finally:
        await forwarder.stop()
        await running_


async def plan_of(world: World, output: str) -> OutputPlan:
    plan = await world.configuration.output_plan(world.number, output)
    assert plan is not None
    return plan


async def forwards(world: World, request_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await status(world, request_id))["extensions"]
    return found


class Delivering:
    """A forwarder that runs, and what becomes of requests by it."""

    def __init__(self, world: World, forwarder: Forwarder, clock: ManualClock) -> None:
        self._world = world
        self._forwarder = forwarder
        self._clock = clock

    async def settled(self, request_id: str) -> dict[str, Any]:
        """Return what became of a request at its one output, once that is known."""
        async with asyncio.timeout(30):
            while True:
                self._clock.advance(100)
                self._forwarder.wake(0)
                await asyncio.sleep(0.001)
                found = await self._world.privacy.request(request_id)
                assert found is not None
                assert found.forwards is not None
                if found.forwards[0].status != "pending":
                    [shown] = await forwards(self._world, request_id)
                    return shown


async def test_case_22_an_erasure_is_forwarded_on_receipt(
    tmp_path: Path, clock: ManualClock, receiver: Receiver
) -> None:
    made = with_outputs(webhook(receiver.url, signing_secret=SECRET))
    async with running(tmp_path, document=made, clock=clock) as world:
        identities = {"email": "zoe.needle@example.test", "facebook": "f"}
        await world.accept(batch("zoe", user_identities=identities))
        asked = {**CUSTOMER, "android_id": {"value": "droid"}}
        request_id = await accepted(world, body(subject_identities=asked))
        assert await forwards(world, request_id) == [
            {
                "domain": "127.0.0.1",
                "name": "Erasure hook",
                "status": "pending",
                "status_message": None,
            }
        ]
        assert world.forwarders.woken == ["erase-hook"]
        async with delivering(world, await plan_of(world, "erase-hook"), clock) as sending:
            assert (await sending.settled(request_id))["status"] == "sent"
        [(headers, raw)] = receiver.requests
        assert json.loads(raw) == {
            "subject_request_id": request_id,
            "subject_request_type": "erasure",
            "submitted_time": 1_709_629_200.0,
            "subject_identities": {
                "controller_customer_id": {"value": "zoe", "encoding": "raw"},
                "email": {"value": "zoe.needle@example.test", "encoding": "raw"},
                "android_id": {"value": "droid", "encoding": "raw"},
            },
            "api_version": "3.0",
            "regulation": "gdpr",
            "account": {"account_id": 2},
        }
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + raw
        digest = hmac.digest(base64.b64decode(SECRET[6:]), signed, hashlib.sha256)
        assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
        # Cancelling does not recall it; and what was sent is kept by nobody.
        response = await world.client.delete(f"/v3/requests/{request_id}", headers=KEY)
        assert response.status == 202
        assert [each["status"] for each in await forwards(world, request_id)] == ["sent"]
        assert await world.privacy.read_forwards(5, 0, 10, 10_000) == []


async def sent_identities(world: World, request_id: str) -> dict[str, str]:
    """Return the identities that wait for the one output, by their names in the message."""
    waiting = await world.privacy.read_forwards(5, 0, 10, 10_000)
    [found] = [decode(each.payload) for each in waiting]
    assert found.subject_request_id == request_id
    return found.subject_identities


@pytest.mark.parametrize("is_swept", [True, False], ids=["swept", "not swept yet"])
async def test_of_who_has_aged_out_all_identities_are_sent(
    tmp_path: Path, clock: ManualClock, is_swept: bool
) -> None:
    made = with_outputs(webhook("https://hooks.example.com/erase"))
    async with running(tmp_path, document=made, clock=clock) as world:
        for email in ("old@example.test", "new@example.test"):
            await world.accept(batch("zoe", user_identities={"email": email}, **phone(1)))
        clock.advance(31 * DAY_MS)
        if is_swept:
            world.sweep()
        request_id = await accepted(world, body(subject_identities=CUSTOMER))
        assert await sent_identities(world, request_id) == {
            "controller_customer_id": "zoe",
            "email": "new@example.test",
            "ios_vendor_id": phone(1)["device_info"]["ios_idfv"],
        }


async def test_of_several_devices_the_one_seen_last_is_sent(
    tmp_path: Path, clock: ManualClock
) -> None:
    made = with_outputs(webhook("https://hooks.example.com/erase"))
    async with running(tmp_path, document=made, clock=clock) as world:
        for number in (1, 2, 1):
            await world.accept(batch("zoe", **phone(number)))
            clock.advance(1000)
        request_id = await accepted(world, body(subject_identities=CUSTOMER))
        sent = await sent_identities(world, request_id)
        assert sent["ios_vendor_id"] == phone(1)["device_info"]["ios_idfv"]


async def test_case_22_a_module_is_sent_what_it_takes_and_passed_by_otherwise(
    tmp_path: Path, clock: ManualClock, module: Module
) -> None:
    made = with_outputs(firehose(module.url))
    async with running(tmp_path, document=made, clock=clock) as world:
        await world.accept(batch("zoe", user_identities={"email": "zoe@example.test"}))
        await world.accept(batch("bob"))
        async with delivering(world, await plan_of(world, "erase-mailer"), clock) as sending:
            with_email = await accepted(world, body(subject_identities=CUSTOMER))
            assert (await sending.settled(with_email))["status"] == "sent"
            customer = {"controller_customer_id": {"value": "bob"}}
            without = await accepted(world, body(subject_identities=customer))
            assert await sending.settled(without) == {
                "domain": "127.0.0.1",
                "name": "Erasure to mailer",
                "status": "skipped",
                "status_message": "No matching identities available.",
            }
        [message] = module.of_type("dsr_processing_request")
        assert message["subject_identities"] == {
            "email": {"value": "zoe@example.test", "encoding": "raw"}
        }


async def test_case_22_a_refusal_is_final(
    tmp_path: Path, clock: ManualClock, receiver: Receiver
) -> None:
    made = with_outputs(webhook(receiver.url))
    async with running(tmp_path, document=made, clock=clock) as world:
        receiver.answer = lambda _: web.Response(status=401, text="zoe.needle@example.test")
        request_id = await accepted(world, body())
        async with delivering(world, await plan_of(world, "erase-hook"), clock) as sending:
            assert await sending.settled(request_id) == {
                "domain": "127.0.0.1",
                "name": "Erasure hook",
                "status": "failed",
                "status_message": "fatal_response, HTTP status 401",
            }
            assert len(receiver.requests) == 1
            # The connection goes on.
            receiver.answer = lambda _: web.Response()
            other = body(subject_identities={"email": {"value": "bob@example.test"}})
            assert (await sending.settled(await accepted(world, other)))["status"] == "sent"


async def test_case_22_other_versions_are_never_forwarded(
    tmp_path: Path, clock: ManualClock, receiver: Receiver
) -> None:
    made = with_outputs(webhook(receiver.url))
    async with running(tmp_path, document=made, clock=clock) as world:
        request_id = await accepted(world, body(version="2.0"), version="2.0")
        assert await forwards(world, request_id) is None
        assert world.forwarders.woken == []


async def test_outputs_follow_the_retry_profile_of_requests(
    tmp_path: Path, clock: ManualClock, receiver: Receiver
) -> None:
    """spec/connections.md, 3.3: 60 s, 3,600 s, 24 h and 8 attempts."""
    made = with_outputs(webhook(receiver.url), firehose(receiver.url))
    async with running(tmp_path, document=made, clock=clock) as world:
        for name in ("erase-hook", "erase-mailer"):
            assert (await plan_of(world, name)).info.schedule == PROFILES["dsr"]


async def test_a_lone_mpid_that_nobody_has_is_sent_nowhere(
    tmp_path: Path, clock: ManualClock
) -> None:
    made = with_outputs(webhook("https://hooks.example.com/erase"))
    async with running(tmp_path, document=made, clock=clock) as world:
        request_id = await accepted(world, body(subject_identities={"mpid": {"value": "42"}}))
        [found] = await forwards(world, request_id)
        assert (found["status"], found["domain"]) == ("skipped", "hooks.example.com")


async def test_an_inactive_output_gets_nothing(tmp_path: Path, clock: ManualClock) -> None:
    made = with_outputs(webhook("https://hooks.example.com/erase"), active=False)
    async with running(tmp_path, document=made, clock=clock) as world:
        assert await forwards(world, await accepted(world, body())) == []


async def test_case_37_what_waits_for_an_output_survives_the_erasure_and_a_restart(
    tmp_path: Path, clock: ManualClock, receiver: Receiver
) -> None:
    """spec/connections.md, worked case 37, second half; privacy.md, 5.2, row 6."""
    made = with_outputs(webhook(receiver.url))
    async with running(tmp_path, document=made, clock=clock) as world:
        await world.accept(batch("zoe", user_identities={"email": "zoe.needle@example.test"}))
        request_id = await accepted(world, body(subject_identities=CUSTOMER))
        await fulfil(world, clock)
        assert (await status(world, request_id))["request_status"] == "completed"
        assert await world.find("zoe") == []
        [waiting] = await world.privacy.read_forwards(5, 0, 10, 10_000)
        assert b"zoe.needle@example.test" in waiting.payload
    async with running(tmp_path, document=made, clock=clock) as world:
        async with delivering(world, await plan_of(world, "erase-hook"), clock) as sending:
            assert (await sending.settled(request_id))["status"] == "sent"
        assert b"zoe.needle@example.test" in receiver.requests[0][1]


async def test_what_waited_for_an_output_that_is_gone_has_failed_when_the_erasure_is_done(
    tmp_path: Path, clock: ManualClock
) -> None:
    made = with_outputs(webhook("https://hooks.example.com/erase"))
    async with running(tmp_path, document=made, clock=clock) as world:
        request_id = await accepted(world, body())
    off = with_outputs(webhook("https://hooks.example.com/erase"), active=False)
    async with running(tmp_path, document=off, clock=clock) as world:
        await fulfil(world, clock)
        [found] = await forwards(world, request_id)
        assert (found["status"], found["status_message"]) == ("failed", "connection_inactive")
        assert await world.privacy.read_forwards(5, 0, 10, 10_000) == []


async def test_a_connection_without_an_input_is_managed_like_any_other(
    tmp_path: Path, clock: ManualClock
) -> None:
    own = document()
    hook = webhook("https://hooks.example.com/erase")
    editable = {"config": {"allow_api_edits": True}}
    made = document(workspace=editable, outputs=[*own["outputs"], hook])
    async with running(tmp_path, document=made, clock=clock) as world:
        path = "/platform/v2/workspaces/1/output-connections"
        headers = await world.token()
        response = await world.client.post(path, json={"output_id": 2}, headers=headers)
        assert response.status == 201, await response.text()
        shown = await response.json()
        assert (shown["input"], shown["input_id"], shown["kind"]) == (None, None, "dsr")
        listed = await (await world.get(path)).json()
        found = listed["items"] if isinstance(listed, dict) else listed
        assert [each["kind"] for each in found].count("dsr") == 1
        await world.follow()
        request_id = await accepted(world, body())
        assert [each["status"] for each in await forwards(world, request_id)] == ["pending"]
        one = f"{path}/{shown['id']}"
        response = await world.client.delete(f"{one}/activation", headers=headers)
        assert response.status == 204, await response.text()
        other = body(subject_identities={"email": {"value": "bob@example.test"}})
        assert await forwards(world, await accepted(world, other)) == []


async def test_what_has_failed_is_not_looked_for_in_all_that_waits(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be 80,000 a day, and each would look through all of them."""
    made = with_outputs(webhook("https://hooks.example.com/erase"))
    async with running(tmp_path, document=made, clock=clock) as world:
        ids = [
            await accepted(world, body(subject_identities={"email": {"value": f"{n}@example.com"}}))
            for n in range(3)
        ]
    off = with_outputs(webhook("https://hooks.example.com/erase"), active=False)
    async with running(tmp_path, document=off, clock=clock) as world:
        await world.privacy.fulfil()
        assert len(await world.privacy.read_forwards(5, 0, 10, 10_000)) == 3, "none is over yet"
        with monkeypatch.context() as patch:
            patch.delattr("actors.store.outbox.read_encoded")
            await fulfil(world, clock)
        assert [(await forwards(world, each))[0]["status"] for each in ids] == ["failed"] * 3
        assert await world.privacy.read_forwards(5, 0, 10, 10_000) == []


async def test_what_waits_for_an_output_that_is_off_goes_when_the_request_is_cancelled(
    tmp_path: Path, clock: ManualClock
) -> None:
    made = with_outputs(webhook("https://hooks.example.com/erase"))
    async with running(tmp_path, document=made, clock=clock) as world:
        request_id = await accepted(world, body())
    off = with_outputs(webhook("https://hooks.example.com/erase"), active=False)
    async with running(tmp_path, document=off, clock=clock) as world:
        response = await world.client.delete(f"/v3/requests/{request_id}", headers=KEY)
        assert response.status == 202
        assert [each["status"] for each in await forwards(world, request_id)] == ["failed"]
        assert await world.privacy.read_forwards(5, 0, 10, 10_000) == []


@pytest.mark.parametrize("is_cancelled", [True, False], ids=["cancelled", "completed"])
async def test_what_waits_of_a_request_that_is_over_goes_with_its_output(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, is_cancelled: bool
) -> None:
    """Nobody would ever send it, and it has raw identities."""
    monkeypatch.setattr("actors.privacy.forwards.GIVEN_UP_TOGETHER", 1)
    made = with_outputs(webhook("https://hooks.example.com/erase"))
    async with running(tmp_path, document=made, clock=clock) as world:
        emails = ("a@example.test", "b@example.test")
        ids = [
            await accepted(world, body(subject_identities={"email": {"value": each}}))
            for each in emails
        ]
        if is_cancelled:
            for each in ids:
                await world.client.delete(f"/v3/requests/{each}", headers=KEY)
        else:
            await fulfil(world, clock)
        pending = await accepted(world, body(subject_identities=CUSTOMER))
        assert len(await world.privacy.read_forwards(5, 0, 10, 10_000)) == 3
    off = with_outputs(webhook("https://hooks.example.com/erase"), active=False)
    async with running(tmp_path, document=off, clock=clock) as world:
        await world.privacy.fulfil()
        for each in ids:
            [found] = await forwards(world, each)
            assert (found["status"], found["status_message"]) == ("failed", "connection_inactive")
        assert list(await sent_identities(world, pending)) == ["controller_customer_id"]
