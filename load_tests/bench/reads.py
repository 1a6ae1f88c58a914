"""Reads of the Profile API while a deployment is loaded."""

import asyncio
from types import TracebackType

from actors.clock import Clock
from load_tests.client import Target
from load_tests.measurements import percentiles_ms
from load_tests.people import Person
from load_tests.reader import Reader, fetch_token
from load_tests.server_process import own_access

_USERS = 20  # those who send most, so that they are known by now
_PAUSE_S = 0.02
_FIELDS = "user_identities,user_attributes,audience_memberships"


class Reads:
    """One client that reads one profile after the other, with a pause, while it is open."""

    def __init__(self, url: str, seed: int, clock: Clock) -> None:
        """Args: `seed`: of the people who send."""
        self._target = Target.of(url)
        self._seed = seed
        self._clock = clock
        self._taken_s: list[float] = []

    async def __aenter__(self) -> "Reads":
        access = own_access()
        self._reader = Reader(self._target, access, await fetch_token(self._target, access))
        mpids = [
            mpid
            for number in range(_USERS)
            for mpid in await self._reader.find(Person(self._seed, number).customer_id)
        ]
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

    def latency_ms(self) -> dict[str, float]:
        """Return percentiles of how long a read took."""
        return percentiles_ms(self._taken_s)

    async def _read(self, mpids: list[int]) -> None:
        while True:
            for mpid in mpids:
                begun_s = self._clock.monotonic()
                await self._reader.profile(mpid, _FIELDS)
                self._taken_s.append(self._clock.monotonic() - begun_s)
                await asyncio.sleep(_PAUSE_S)
