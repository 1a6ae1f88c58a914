"""Makes requests with an `Idempotency-Key` be done once (spec/platform-api.md, 1).

Part of the coordinator's process, so that it holds for all edges. What is under way is known in
memory only: if its edge dies, a repeat is a new request after a while.
"""

from typing import Literal

import msgspec

from actors.clock import Clock
from actors.output_states import Seal
from actors.store.environment import Store
from actors.store.requests import ANSWERS, KeptAnswer

# Longer than any request takes; after that its edge has died.
UNDER_WAY_S = 60.0

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KeptAnswer).decode

# What a request with a key is: to be done, like no other one with the key, or being done.
Begun = Literal["new", "different", "under_way"]


class RepeatDesk:
    """Remembers who is answering which request, and with what it was answered."""

    def __init__(self, store: Store, seal: Seal, clock: Clock) -> None:
        """Args: `store` of the coordinator; `seal`: of what answers show, which can be secret."""
        self._store = store
        self._seal = seal
        self._clock = clock
        self._until: dict[bytes, float] = {}

    async def begin_request(self, key: bytes, content: bytes) -> KeptAnswer | Begun:
        """Return what to do about a request: the answer of its first time, if it has one.

        Args:
            key: digest of the key and of what it holds for.
            content: digest of what is asked.
        """
        with self._store.read() as txn:
            sealed = ANSWERS.read(txn, key, self._clock.now_ms())
        if sealed is not None:
            kept = _decode(self._seal.unseal(sealed))
            return kept if kept.content == content else "different"
        now_s = self._clock.monotonic()
        self._until = {each: until for each, until in self._until.items() if until > now_s}
        if key in self._until:
            return "under_way"
        self._until[key] = now_s + UNDER_WAY_S
        return "new"

    async def end_request(self, key: bytes, answer: KeptAnswer | None) -> None:
        """Remember the answer to a request that was begun; without one it may be made again.

        Raises:
            StoreFull: it is not remembered.
        """
        self._until.pop(key, None)
        if answer is not None:
            sealed = self._seal.seal(_encode(answer))
            with self._store.write() as txn:
                ANSWERS.write(txn, key, sealed, self._clock.now_ms())
