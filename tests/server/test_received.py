"""What an edge holds of bodies, and whom it tells to come again."""

import asyncio
import contextlib
import gzip
import io
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import orjson
import pytest
from aiohttp.test_utils import make_mocked_request
from aiohttp.web import Request

from actors.clock import Clock, ManualClock
from server.bodies import PART_BYTES
from server.context import UNKNOWN_INPUT
from server.limit_file import LimitFile
from server.received import LONGEST_RETRY_S, RECEIVED, Overloaded, QueueFull, Received
from tests.server.conftest import K1, World, basic, config_with, key_info, serving
from tests.server.routes.batches import GOOD
from tests.server.routes.identity import KEY, KEY_ONLY, body, set_up

ROOM = 1000


def request() -> Request:
    return make_mocked_request("POST", "/v2/events")


def hold(received: Received, sharer: str, size: int) -> Request:
    """Let somebody's body come; return its request, to be released."""
    one = request()
    received.share(one, sharer)
    received.hold(one, size)
    return one


async def expect(received: Received, size: int, input_: int = 1) -> Request:
    """Let a request begin; return it, to be released."""
    one = request()
    await received.expect(one, "shop", input_, size, ROOM)
    received.hold(one, size)
    return one


def impatient(most: int, clock: Clock | None = None) -> Received:
    """Return what lets nobody wait for room."""
    received = Received(most, clock or ManualClock())
    received.patience_s = 0.0
    return received


async def test_what_is_answered_makes_room() -> None:
    received = impatient(10_000)
    first = await expect(received, 600)
    with pytest.raises(Overloaded):
        await expect(received, 600)
    assert received.held == 600
    received.release(first)
    assert received.held == 0
    received.release(await expect(received, 600))


async def test_a_request_waits_a_moment_for_room() -> None:
    """What is answered may make room for more than one; then who came last is first."""
    received = Received(10_000, ManualClock())
    first = await expect(received, ROOM)
    waiting = [asyncio.create_task(expect(received, size)) for size in (200, 500, 400)]
    await asyncio.sleep(0)
    assert not any(each.done() for each in waiting)
    received.release(first)
    third, second = await waiting[2], await waiting[1]
    assert not waiting[0].done()
    assert received.held == 900
    received.release(third)
    received.release(second)
    received.release(await waiting[0])
    assert received.held == 0


async def test_a_request_for_which_there_is_no_room_in_time_is_refused() -> None:
    received = Received(10_000, ManualClock())
    first = await expect(received, ROOM)
    received.patience_s = 0.01
    with pytest.raises(Overloaded):
        await expect(received, 200)
    received.release(first)
    await expect(received, 200)


async def test_a_body_that_is_there_counts_for_what_it_is() -> None:
    """It may be longer than was declared, as it was compressed, or shorter."""
    received = impatient(10_000)
    first, second = await expect(received, 100), await expect(received, 800)
    received.came(first, 900)
    with pytest.raises(Overloaded):
        await expect(received, 1)
    received.came(second, 0)
    third = await expect(received, 100)
    for each in (first, second, third):
        received.release(each)
    for _ in range(10):
        await expect(received, 100)
    with pytest.raises(Overloaded):
        await expect(received, 1)


async def test_a_large_request_that_waits_keeps_no_small_one_waiting() -> None:
    received = Received(10_000, ManualClock())
    first, _ = await expect(received, 200), await expect(received, 800)
    waiting = [asyncio.create_task(expect(received, size)) for size in (100, 100, 900)]
    await asyncio.sleep(0)
    received.release(first)
    await asyncio.gather(*waiting[:2])
    assert not waiting[2].done()
    waiting[2].cancel()


async def test_the_only_request_is_taken_however_slow_the_shards_are() -> None:
    received = impatient(10_000)
    await expect(received, 5000)
    with pytest.raises(Overloaded):
        await expect(received, 1)


async def test_an_input_that_floods_leaves_the_others_their_part() -> None:
    received = impatient(10_000)
    for _ in range(10):
        await expect(received, 100)
    with pytest.raises(Overloaded):
        await expect(received, 100)
    for _ in range(5):  # half of the room is the other's
        await expect(received, 100, input_=2)
    with pytest.raises(Overloaded):
        await expect(received, 100, input_=2)


def test_all_bodies_together_are_bounded() -> None:
    received = Received(1000, ManualClock())
    received.hold(request(), 900)
    one = request()
    with pytest.raises(Overloaded):
        received.hold(one, 101)
    received.release(one)
    received.hold(one, 100)
    received.hold(one, 50)  # counted already
    assert received.held == 1000


def test_however_many_hold_what_they_can_there_is_as_much_for_the_next() -> None:
    received = Received(1000, ManualClock())
    for sharer, most in (("a", 500), ("b", 250), ("c", 120)):
        for _ in range(most // 10):
            hold(received, sharer, 10)
        with pytest.raises(Overloaded):
            hold(received, sharer, 10)
    hold(received, "d", 60)
    assert received.held == 930


def test_one_request_alone_may_hold_what_is_free() -> None:
    received = Received(1000, ManualClock())
    one = hold(received, "a", 100)
    received.hold(one, 1000)
    received.release(one)
    hold(received, "b", 100)
    hold(received, "a", 900)


def test_what_is_held_goes_with_the_request_to_whose_it_turns_out_to_be() -> None:
    received = Received(1000, ManualClock())
    one = hold(received, "nobody", 400)
    hold(received, "shop", 200)
    received.share(one, "nobody")
    with pytest.raises(Overloaded):
        received.share(one, "shop")
    assert received.held == 200
    received.release(one)
    hold(received, "nobody", 10)
    hold(received, "nobody", 300)
    assert received.held == 510


async def test_the_more_are_refused_the_later_they_are_to_come_again() -> None:
    clock = ManualClock()
    received = impatient(10_000, clock)
    await expect(received, ROOM)

    async def refused(count: int) -> list[int]:
        found = []
        for _ in range(count):
            with pytest.raises(Overloaded) as error:
                await expect(received, 100)
            found.append(error.value.retry_after_s)
        return found

    assert set(await refused(500)) == {1}
    clock.advance(1000)
    times = await refused(500)
    assert set(times) == set(range(1, LONGEST_RETRY_S + 1))
    clock.advance(1000)
    await refused(1)
    clock.advance(1000)
    assert max(await refused(100)) <= 2
    await refused(500)
    clock.advance(60_000)
    assert set(await refused(100)) == {1}  # the flood of a minute ago says nothing of now


async def test_the_first_refusal_of_a_while_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Each has its line in the access log; thousands a second would say no more."""
    clock = ManualClock()
    received = impatient(10_000, clock)
    await expect(received, ROOM)
    for _ in range(3):
        clock.advance(1000)
        for _ in range(100):
            with pytest.raises(Overloaded):
                await expect(received, 100)
    assert [each.__dict__["event"] for each in caplog.records] == ["overloaded"] * 3
    assert [each.__dict__["refused_per_taken"] for each in caplog.records] == [0, 100, 100]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        pytest.param("/v2/events", K1, id="server"),
        pytest.param("/v2/k1/events", {}, id="app"),
        pytest.param("/v1/batch", basic("kw:"), id="tracking"),
        pytest.param("/v1/t", basic("kw:"), id="one message"),
        pytest.param("/v1/batch", {}, id="the key in the body"),
        pytest.param("/beacon/v1/batch?writeKey=kw", {}, id="a beacon"),
        pytest.param("/v1/identify", {}, id="of one of two protocols"),
    ],
)
async def test_a_body_is_refused_before_it_is_read(
    world: World, path: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """It says when to come again; others of the edge are served."""
    world.deployment.room = 100
    received = world.client.app[RECEIVED]
    received.patience_s = 0.0
    held = asyncio.Event()
    let_go = asyncio.Event()

    async def body() -> Any:
        yield b'{"events": ['
        held.set()
        await let_go.wait()
        yield b"]}"

    slow = asyncio.create_task(world.client.post(path, data=body(), headers=headers))
    await held.wait()
    while not received.held:  # noqa: ASYNC110  # until its head was read
        await asyncio.sleep(0)
    answer = await world.client.post(path, json={}, headers=headers)
    assert answer.status == 503
    events = [each.__dict__.get("event") for each in caplog.records]
    assert "overloaded" in events
    assert "unavailable" not in events
    assert int(answer.headers["Retry-After"]) >= 1
    assert world.deployment.calls == 0
    let_go.set()
    # What is not signed, or has no key, may not be taken.
    assert (await slow).status in (202, 400, 401, 403)
    again = await world.client.post(path, json={"events": []}, headers=headers)
    assert again.status != 503


IDLE = {
    "tracking, without a key": ("/v1/batch", 4 * 2**20, ""),
    "one of two protocols": ("/v1/identify", 4 * 2**20, ""),
    "identity, a site's key": ("/v1/login", 2**18, f"x-mp-key: {KEY}\r\n"),
    "identity, not signed": (
        "/v1/login",
        2**18,
        f"x-mp-key: {KEY}\r\nDate: now\r\nx-mp-signature: 0\r\n",
    ),
    "aliases": (f"/v1/identity/{KEY}/alias", 2**18, ""),
    "events of an app": (f"/v2/{KEY}/events", 2**21, ""),
    "what kits forwarded": (f"/v1/JS/{KEY}/Forwarding", 2**18, ""),
    "tokens": ("/oauth/token", 16 * 1024, ""),
}


@pytest.mark.parametrize(("path", "declared", "headers"), IDLE.values(), ids=IDLE)
async def test_who_only_declares_bodies_keeps_nobody_out(
    clock: ManualClock, limit_file: LimitFile, path: str, declared: int, headers: str
) -> None:
    """33 heads of 4 MiB without a key once had all that has a body answered 503."""
    most = 8 * 2**20
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {declared}\r\n\r\n"
    enough = most // 2 // min(declared, PART_BYTES) + 20
    async with (
        serving(clock, limit_file, config_with(), max_received_bytes=most) as [world],
        contextlib.AsyncExitStack() as stack,
        asyncio.timeout(10),
    ):
        set_up(world, key_info("k1", "s1", 1))
        received = world.client.app[RECEIVED]
        for _ in range(enough):
            _, writer = await asyncio.open_connection("127.0.0.1", world.client.port)
            stack.callback(writer.close)
            writer.write(head.encode())
        while received.held < most // 2:  # noqa: ASYNC110  # until they were read
            await asyncio.sleep(0)
        assert (await world.client.post("/v2/events", json=GOOD, headers=K1)).status == 202
        assert received.held == most // 2


async def test_a_body_is_counted_as_it_comes(world: World) -> None:
    received = world.client.app[RECEIVED]
    size = 3 * PART_BYTES
    _, writer = await asyncio.open_connection("127.0.0.1", world.client.port)
    head = f"POST /v2/events HTTP/1.1\r\nHost: a\r\nAuthorization: {K1['Authorization']}\r\n"
    writer.write(f"{head}Content-Length: {size}\r\n\r\n".encode())
    for sent, held in ((0, PART_BYTES), (1000, PART_BYTES + 1000), (2 * PART_BYTES, size)):
        writer.write(b" " * sent)
        while received.held < held:  # noqa: ASYNC110  # until it was read
            await asyncio.sleep(0)
        assert received.held == held
    writer.close()
    while received.held:  # noqa: ASYNC110  # until the server knows
        await asyncio.sleep(0)


@pytest.mark.parametrize("path", ["/v1/batch", "/v1/identify"])
async def test_a_body_with_a_key_is_counted_of_its_input_once_that_is_known(
    world: World, path: str
) -> None:
    """What has to be read first is an input of its own, so that each leaves the other its part."""
    received = world.client.app[RECEIVED]
    received.patience_s = 0.0
    world.deployment.room = 100
    body = {"writeKey": "kw", "batch": [], "userId": "ann", "traits": {"text": "x" * 200}}
    flood = request()
    await received.expect(flood, "w1", 4, 100, world.deployment.room)
    answer = await world.client.post(path, json=body)
    assert (answer.status, (await answer.json())["code"]) == (503, "unavailable")
    received.release(flood)
    assert (await world.client.post(path, json=body)).status == 200
    nobodys = request()
    await received.expect(nobodys, "w1", UNKNOWN_INPUT, 100, world.deployment.room)
    assert (await world.client.post("/v1/batch", json=body, headers=basic("kw:"))).status == 200
    assert (await world.client.post(path, json=body)).status == 503
    received.release(nobodys)
    assert received.held == 0


@pytest.mark.parametrize(
    ("path", "headers", "declared"),
    [
        pytest.param("/v2/events", K1, 3 * 2**20, id="server"),
        pytest.param("/v1/batch", basic("kw:"), 5 * 2**20, id="tracking"),
    ],
)
async def test_a_body_that_is_too_long_is_told_so_however_much_is_under_way(
    world: World, path: str, headers: dict[str, str], declared: int
) -> None:
    """Or else its sender comes again and again."""
    received = world.client.app[RECEIVED]
    received.patience_s = 0.0
    world.deployment.room = 1
    for input_ in (1, 4):
        await received.expect(request(), "w1", input_, 10, world.deployment.room)
    answer = await world.client.post(path, data=io.BytesIO(bytes(declared)), headers=headers)
    assert answer.status == 413


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize("is_declared", [True, False])
async def test_a_body_counts_for_what_is_in_it_once_it_is_there(
    world: World, encoding: str, *, is_declared: bool
) -> None:
    received, counted = world.client.app[RECEIVED], []
    content = orjson.dumps(GOOD | {"note": "x" * 100_000})
    sent = gzip.compress(content) if encoding == "gzip" else content

    async def parts() -> AsyncIterator[bytes]:
        yield sent

    apply = world.deployment.apply

    async def applied(*arguments: Any, **options: Any) -> Any:
        counted.append(received._inputs["w1"][1])
        return await apply(*arguments, **options)

    with mock.patch.object(world.deployment, "apply", applied):
        answer = await world.client.post(
            "/v2/events",
            data=sent if is_declared else parts(),
            headers=K1 | {"Content-Encoding": encoding},
        )
    assert answer.status == 202
    assert counted == [len(content)]
    assert received._inputs["w1"] == {}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        pytest.param("/v2/events", K1, id="server"),
        pytest.param("/v1/batch", basic("kw:"), id="tracking"),
    ],
)
async def test_who_meets_a_full_queue_is_told_as_others_when_to_come_again(
    world: World, path: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    world.deployment.failure = QueueFull("the queue of the shard is full")
    message = {"type": "track", "event": "Seen", "userId": "ann", "messageId": "m1"}
    body = GOOD if path == "/v2/events" else {"batch": [message]}
    answer = await world.client.post(path, json=body, headers=headers)
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) >= 1
    events = [each.__dict__.get("event") for each in caplog.records]
    assert "overloaded" in events
    assert "unavailable" not in events


async def test_identity_calls_say_when_to_come_again(world: World) -> None:
    set_up(world)
    received = world.client.app[RECEIVED]
    held = hold(received, "others", received._most)
    with mock.patch.object(received, "refused", lambda reason: Overloaded(reason, 17)):
        answer = await world.client.post("/v1/login", json=body(), headers=KEY_ONLY)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "17"
    received.release(held)


async def test_of_a_long_request_only_the_first_part_is_refused_for_want_of_room(
    world: World,
) -> None:
    further: list[bool] = []
    apply = world.deployment.apply

    async def applied(*arguments: Any, is_further: bool = False) -> Any:
        further.append(is_further)
        return await apply(*arguments, is_further=is_further)

    messages = [
        {"type": "track", "event": "Seen", "userId": f"u{number}", "messageId": f"m{number}"}
        for number in range(250)
    ]
    with mock.patch.object(world.deployment, "apply", applied):
        answer = await world.client.post(
            "/v1/batch", json={"batch": messages}, headers=basic("kw:")
        )
    assert answer.status == 200
    assert further == [False, True, True]
