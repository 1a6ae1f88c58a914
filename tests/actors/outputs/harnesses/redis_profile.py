"""The module `redis_profile` beside a Redis."""

import contextlib
import json
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from redis import Redis
from redis.client import PubSub
from redis.exceptions import RedisError

from actors.model.deliveries import Delivery
from tests.actors.forwarding.support import delivery
from tests.actors.outputs.harness import Fault, Harness, Received
from tests.actors.outputs.redis_server import RedisServer

CHANGES = "__keyevent@0__:del"  # a hash is written anew each time
MARK = "mark"


class RedisProfileHarness(Harness):
    """A server that tells which hashes are written, in their order."""

    module = "redis_profile"
    faults = frozenset({"retryable", "fatal", "slow", "gone"})
    secrets = {"password": "hidden"}  # noqa: RUF012  # read only
    wrong = (
        ({"url": "http://127.0.0.1"}, "settings.url"),
        ({"url": "redis://user:word@127.0.0.1"}, "settings.url"),
        ({"allow_insecure": False}, "settings.allow_insecure"),
        ({"key": "{identity}"}, "settings.key"),
        ({"key": "{who}:{environment}:{identity_type}:{identity}"}, "settings.key"),
        ({"identities": []}, "settings.identities"),
    )

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = RedisServer(folder)
        self._client: Redis | None = None
        self._told: PubSub | None = None
        self._received: list[Received] = []
        self._is_held = False

    async def start(self) -> None:
        """Start the server, and listen."""
        self._server.start()
        self._client = self._server.client()
        self._told = self._client.pubsub()  # type: ignore[no-untyped-call]
        self._told.subscribe(CHANGES, MARK)

    async def stop(self) -> None:
        """End the server."""
        if self._is_held:
            await self.set_fault(None)
        if self._server.is_running:
            with contextlib.suppress(RedisError):
                self._hear()
        if self._client is not None:
            assert self._told is not None, "both were opened together"
            self._told.close()
            self._client.close()
            self._client = None
        self._server.stop()

    def settings(self) -> dict[str, Any]:
        """Write to the server; each delivery has a hash of its own."""
        return {
            "url": self._server.url,
            "allow_insecure": True,
            "key": "{environment}:{identity_type}:{identity}",
            "identities": ["customer_id"],
        }

    def impatient(self) -> dict[str, Any]:
        """Wait as long as a test can."""
        return {"timeout_s": 0.1}

    def delivery(self, number: int, mpid: int) -> Delivery:
        """Return a batch of a user whose identity has its number."""
        identity = {"identity_type": "customer_id", "identity": f"{mpid}-{number}"}
        batch = {
            "mpid": mpid,
            "batch_id": number,
            "user_identities": [identity],
            "user_attributes": {},
            "audience_ids": [],
            "events": [],
        }
        return replace(delivery(number, mpid=mpid), payload=json.dumps(batch).encode())

    async def set_fault(self, fault: Fault | None) -> None:
        """Be full, allow less, hold answers, or go away."""
        if not self._server.is_running:
            await self.start()
        if self._is_held:
            self._server.hold(is_held=False)
        client = self._client
        assert client is not None, "it runs"
        client.config_set("maxmemory", 1 if fault == "retryable" else 0)
        client.acl_setuser(
            "default", enabled=True, commands=["-eval" if fault == "fatal" else "+eval"]
        )
        self._is_held = fault == "slow"
        if self._is_held:
            self._server.hold(is_held=True)
        if fault == "gone":
            await self.stop()

    def is_asked(self) -> bool:
        """It answers nothing: what is under way cannot be seen from here."""
        return self._is_held

    async def received(self) -> list[Received]:
        """Return the hashes that were written, in their order."""
        if self._server.is_running and not self._is_held:
            self._hear()
        return list(self._received)

    def _hear(self) -> None:
        """Take note of all that has been told up to now."""
        client, told = self._client, self._told
        assert client is not None, "it runs"
        assert told is not None, "it runs"
        client.publish(MARK, "")
        while True:
            message = told.get_message(ignore_subscribe_messages=True, timeout=5)
            if message is None:
                continue
            if message["channel"] == MARK:
                return
            name = message["data"]
            mpid, _, number = name.rpartition(":")[2].partition("-")
            if number:  # of a test there is none
                self._received.append(Received(name, int(mpid), int(number)))
