"""Calls that are done once, however often they are made: parts of the coordinator's process.

A caller asks again when it does not hear the answer: because this process has died, or because the
call was cut off when slots moved. What was asked may be done by then. So each call that changes
something has an id, which its repeats share, and what it is answered is kept in the transaction
that changes it. A call that changes nothing keeps nothing: it is made anew.
"""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from actors.clock import Clock, SystemRandomness
from actors.output_states import Seal
from actors.store.calls import ANSWERS
from actors.store.environment import Store, Transaction

# Of `actors.desks.Desks` and `config.desk.ConfigDesk`: those where a repeat would be refused, would
# be done once more, or would be answered otherwise. All others find what they are to bring about.
OF_DESKS = frozenset(
    {
        *("call_audiences", "call_calculated", "call_privacy"),
        *("create_group", "replace_group", "delete_group", "run_group"),
    }
)
OF_CONFIGURATION = frozenset({"access", "apply_file", "edit", "record", "roll_back"})

_randomness = SystemRandomness()


class _Call:
    """A call under way. `answer`: what is to be kept with the next transaction, in a tuple."""

    def __init__(self, owner: "Once", call_id: bytes) -> None:
        self.owner = owner
        self.call_id = call_id
        self.answer: tuple[Any] | None = None


_under_way: ContextVar[_Call | None] = ContextVar("call_under_way", default=None)


def answer_with(answer: Any) -> None:
    """Say what the call under way is answered, before the transaction that does it is committed.

    A repeat gets the answer as it is at the commit. Nothing happens if nobody asks for it once.
    """
    call = _under_way.get()
    if call is not None:
        call.answer = (answer,)


def named_once(method: str, among: frozenset[str]) -> tuple[Any, ...]:
    """Return what names a method to its desk: with a new id if it is one of those done once."""
    if method not in among:
        return (method,)
    return "once", _randomness.bits(128).to_bytes(16, "big"), method


class Once:
    """Makes the calls that change one store, and knows what they were answered."""

    def __init__(self, store: Store, seal: Seal, clock: Clock) -> None:
        """Args: `seal`: of answers, which can be secret."""
        self._store = store
        self._seal = seal
        self._clock = clock
        self._running: dict[bytes, asyncio.Event] = {}
        store.finish_with(self._keep)

    async def call(
        self,
        call_id: bytes,
        work: Callable[[], Awaitable[Any]],
        tell: Callable[[], Awaitable[None]],
    ) -> Any:
        """Do some work, or return what it was answered if a call of this id has done it before.

        Args:
            call_id: the same for all repeats of a call.
            work: says by `answer_with` what it will return, once that is on disk.
            tell: has take effect what is on disk: a call that was cut off may not have.
        """
        while (ended := self._running.get(call_id)) is not None:  # its caller took us for dead
            await ended.wait()
        with self._store.read() as txn:
            sealed = ANSWERS.read(txn, call_id, self._clock.now_ms())
        if sealed is not None:
            await tell()
            # Nobody but the deployment has the key, so it is what `_keep` has written.
            return pickle.loads(self._seal.unseal(sealed))  # noqa: S301
        ended = self._running[call_id] = asyncio.Event()
        token = _under_way.set(_Call(self, call_id))
        try:
            return await work()
        finally:
            _under_way.reset(token)
            del self._running[call_id]
            ended.set()

    def _keep(self, txn: Transaction) -> None:
        """Keep the answer of the call that ends a transaction, if it has said one."""
        call = _under_way.get()
        if call is None or call.owner is not self or call.answer is None:
            return
        [answer], call.answer = call.answer, None
        # As Ray sends it: by the time another version runs nobody asks for it any more.
        sealed = self._seal.seal(pickle.dumps(answer))
        ANSWERS.write(txn, call.call_id, sealed, self._clock.now_ms())
