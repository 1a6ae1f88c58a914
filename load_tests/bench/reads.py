"""Reads of the Profile API while a deployment is loaded."""

import asyncio
from types import TracebackType

import numpy as np

from actors.clock import Clock
from load_tests.client import Target
from load_tests.people import Person
from load_tests.reader import ReadBackFailed, Reader, fetch_token
from load_tests.server_process import own_access

_PEOPLE = 100  # drawn from all who send, busy or not
_PAUSE_S = 0.02
_FIELDS = "user_identities,user_attributes,audience_memberships"


class Reads:
    """One client that reads one profile after the other, with a pause, while it is open.

    Whose they are is drawn at random among the people who send, each as likely as the others; those
    whom the deployment does not know yet are left out.
    """

    def __init__(self, url: str, users: int, seed: int, clock: Clock) -> None:
        """Args: `users`: how many people send; `seed`: of them."""
        self._target = Target.of(url)
        self._users = users
        self._seed = seed
        self._clock = clock
        self._reads: list[tuple[int, float]] = []  # when it began, Unix ms, and seconds taken

    async def __aenter__(self) -> "Reads":
        """Find the profiles and begin to read. Raises ReadBackFailed: there are none."""
        access = own_access()
        self._reader = Reader(self._target, access, await fetch_token(self._target, access))
        try:
            mpids = await self._find()
            if not mpids:
                raise ReadBackFailed("no profile of those who send was found, so none can be read")
        except BaseException:
            self._reader.close()
            raise
        self._reading = asyncio.create_task(self._read(mpids))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._reading.cancel()
        try:
            await asyncio.wait((self._reading,))
            if not self._reading.cancelled():
                self._reading.result()  # it has failed, else it would go on
        finally:
            self._reader.close()

    def taken_s(self, since_ms: int, until_ms: int) -> list[float]:
        """Return how long each read took that began within a span of time, end excluded.

        Raises:
            ReadBackFailed: there was none.
        """
        found = [taken_s for begun_ms, taken_s in self._reads if since_ms <= begun_ms < until_ms]
        if not found:
            raise ReadBackFailed("no profile was read while load was sent")
        return found

    async def _find(self) -> list[int]:
        """Return the profiles of the people drawn, also of those who have never logged in."""
        drawn = np.random.default_rng(self._seed).permutation(self._users)[:_PEOPLE]
        found: dict[int, None] = {}
        for number in drawn.tolist():
            person = Person(self._seed, number)
            for identity in (person.customer_id, *(each.stamp for each in person.devices)):
                found |= dict.fromkeys(await self._reader.find(identity))
        return list(found)

    async def _read(self, mpids: list[int]) -> None:
        while True:
            for mpid in mpids:
                begun_ms, begun_s = self._clock.now_ms(), self._clock.monotonic()
                await self._reader.profile(mpid, _FIELDS)
                self._reads.append((begun_ms, self._clock.monotonic() - begun_s))
                await asyncio.sleep(_PAUSE_S)
