"""Clients with bad networks: cut in mid-body, impatient, repeating, and never giving up."""

import asyncio
import contextlib
import itertools
import random
from base64 import b64encode
from typing import Any

import msgspec

from actors.clock import Clock
from load_tests.client import Channel, Response, Target, request_bytes
from load_tests.faults.document import EVENT, WEB_KEY
from load_tests.faults.record import Record, Sent
from load_tests.server_process import KEY
from server.problems import NOT_REACHED, NOT_STORED, TOO_MUCH

CLIENTS = 6
USERS_EACH = 2
# How long clients wait for an answer, in turn, until they break off and send again: less than an
# edge waits for a shard (`kept.SHARD_TIMEOUT_S`), and long enough to hear what it says then.
ATTEMPTS_S = (1.5, 6.0)
FULL = "not stored"  # why a request was refused that is sure not to have been applied
_REASONS = {
    NOT_STORED.encode(): FULL,
    NOT_REACHED.encode(): "not reached",
    TOO_MUCH.encode(): "too much",
}
_VALUE_BYTES = 4096  # of an attribute, at most (spec/events-api.md, 14)
_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
_THINK_S = 0.02
AUTHORIZATION = "Basic " + b64encode(f"{KEY[1]}:{KEY[3]}".encode()).decode()


class NotAcknowledged(Exception):
    """Something is still refused long after all faults. Says what, and with what answer."""


class Clients:
    """Send for a while, and then until all that was begun is acknowledged."""

    def __init__(
        self, target: Target, record: Record, clock: Clock, seed: int, patience_s: float
    ) -> None:
        """Args: `patience_s`: for one batch, with all faults that come meanwhile."""
        self._target = target
        self._record = record
        self._clock = clock
        self._seed = seed
        self._patience_s = patience_s
        self._attempts_s = itertools.cycle(ATTEMPTS_S)
        self._is_over = False

    async def run(self, seconds: float) -> None:
        """Send; return once everything is acknowledged. Raises NotAcknowledged."""
        async with asyncio.TaskGroup() as group:
            for number in range(CLIENTS):
                group.create_task(self._work(number))
            await asyncio.sleep(seconds)
            self._is_over = True

    async def insist(self, one: Sent) -> None:
        """Send a batch until it is acknowledged. Raises NotAcknowledged."""
        with contextlib.closing(Channel(self._target)) as channel:
            await self._insist([one], channel, _without_a_cut)

    async def try_once(self, one: Sent) -> str | None:
        """Send a batch once; return why it was refused, `None` if it is acknowledged.

        Raises OSError.
        """
        body = self._body(one)
        request = request_bytes(self._target, "POST", "/v2/events", AUTHORIZATION, body)
        with contextlib.closing(Channel(self._target)) as channel:
            response = await self._once(channel, request)
        if response.status != 202:
            return self._refused(response)
        self._record.acknowledge(one, self._clock.monotonic())
        return None

    async def _work(self, number: int) -> None:
        generator = random.Random(f"client {self._seed} {number}")  # repeatable
        own = [number * USERS_EACH + each for each in range(USERS_EACH)]
        channel, earlier = Channel(self._target), []
        try:
            while not self._is_over:
                # Now and then that of a neighbour, who may be sending for it just then.
                users = own if generator.random() < 0.9 else [0]
                chosen = generator.sample(users, generator.randint(1, len(users)))
                batches = [self._record.begin(u, self._clock.monotonic()) for u in chosen]
                await self._insist(batches, channel, generator.random)
                earlier.append(batches)
                if generator.random() < 0.15:  # a retry that was held up somewhere
                    await self._insist(generator.choice(earlier), channel, generator.random)
                if generator.random() < 0.15:
                    await self._log_in(generator.choice(own), generator.randrange(4), channel)
                await asyncio.sleep(generator.random() * _THINK_S)
        finally:
            channel.close()

    async def _insist(self, batches: list[Sent], channel: Channel, draw: Any) -> None:
        """Send until acknowledged, in one of the ways in which that goes wrong."""
        path = "/v2/events" if len(batches) == 1 else "/v2/bulkevents"
        bodies = [self._body(one) for one in batches]
        body = bodies[0] if len(bodies) == 1 else b"[%b]" % b",".join(bodies)
        request = request_bytes(self._target, "POST", path, AUTHORIZATION, body)
        way = draw()
        if way < 0.05:
            await self._cut(request, len(request) - 1 - int(draw() * (len(body) - 1)))
        elif way < 0.1:
            await self._cut(request, len(request))  # whole, but nobody waits for the answer
        elif way < 0.15:
            with contextlib.suppress(OSError):
                other = Channel(self._target)
                both = (self._once(channel, request), self._once(other, request))
                try:
                    await asyncio.gather(*both, return_exceptions=True)
                finally:
                    other.close()
        await self._ask(channel, request, 202)
        for one in batches:
            self._record.acknowledge(one, self._clock.monotonic())

    async def _log_in(self, user: int, device: int, channel: Channel) -> None:
        """Log in from a device and add an address; what is answered is to hold for ever."""
        record, name = self._record, self._record.customer_id(user)
        stamp, email = f"{name}-d{device}", f"{name}-{device}@example.com"
        known = {"customerid": name, "device_application_stamp": stamp}
        answer = await self._identity(channel, "login", {"known_identities": known})
        mpid = str(msgspec.json.decode(answer.body)["mpid"])
        record.mpids.setdefault(user, set()).add(int(mpid))
        record.devices.setdefault(user, set()).add(stamp)
        change = {"identity_type": "email", "old_value": None, "new_value": email}
        await self._identity(channel, f"{mpid}/modify", {"identity_changes": [change]})
        record.emails.setdefault(user, set()).add(email)

    async def _identity(self, channel: Channel, call: str, body: dict[str, Any]) -> Response:
        encoded = msgspec.json.encode({"environment": "production", **body})
        request = request_bytes(self._target, "POST", f"/v1/{call}", "", encoded)
        line = f"\r\nx-mp-key: {WEB_KEY}\r\n".encode()
        return await self._ask(channel, request.replace(b"\r\n", line, 1), 200)

    async def _ask(self, channel: Channel, request: bytes, status: int) -> Response:
        deadline_s = self._clock.monotonic() + self._patience_s
        pause_s, problem = _PAUSE_S, ""
        while self._clock.monotonic() < deadline_s:
            try:
                response = await self._once(channel, request)
            except OSError as error:
                problem = repr(error)
            else:
                if response.status == status:
                    return response
                problem = f"{response.status} {response.body[:200]!r}"
                if response.status not in (429, 503):
                    break
                self._refused(response)
            channel.close()  # a new connection may come to another edge
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        first_line = request.partition(b"\r\n")[0].decode()
        raise NotAcknowledged(f"{first_line}: {problem}")

    async def _once(self, channel: Channel, request: bytes) -> Response:
        async with asyncio.timeout(next(self._attempts_s)):
            return await channel.exchange(request)

    def _refused(self, response: Response) -> str:
        """Count a refusal; return why."""
        reason = next((why for text, why in _REASONS.items() if text in response.body), "other")
        self._record.refused[reason] += 1
        return reason

    async def _cut(self, request: bytes, length: int) -> None:
        """Send the first bytes of a request and break off."""
        self._record.cuts += 1
        with contextlib.suppress(OSError):
            async with asyncio.timeout(max(ATTEMPTS_S)):
                host, port = self._target.host, self._target.port
                _, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(request[:length])
                    await writer.drain()
                finally:
                    writer.close()

    def _body(self, one: Sent) -> bytes:
        record, name = self._record, self._record.customer_id(one.user)
        message_id = record.message_id(one.number)
        padding = range(one.padding_bytes // _VALUE_BYTES)
        data = {
            "event_name": EVENT,
            "source_message_id": message_id,
            "custom_attributes": {
                "w": one.weight,
                **{f"padding-{each}": "x" * _VALUE_BYTES for each in padding},
            },
        }
        return msgspec.json.encode(
            {
                "environment": "production",
                "user_identities": {"customer_id": name},
                "user_attributes": {"last": message_id},
                "events": [{"event_type": "custom_event", "data": data}],
                "source_request_id": message_id,
            }
        )


def _without_a_cut() -> float:
    return 1.0
