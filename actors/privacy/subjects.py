"""Whose data a request is about (spec/privacy.md, 4.3)."""

from collections.abc import Sequence
from typing import Any, Protocol

from actors.batches.identities import PROFILE_NAMES
from actors.clock import Clock
from actors.identity.calls import IdentityAnswer, IdentityCall, IdentityProblem
from actors.identity.state import IdentityRecord
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.privacy.requests import Subject, Submission
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of

_SHOWN = ("user_identities", "device_identities")


class IdentityDesk(Protocol):
    """What is asked about identities: `actors.coordinator.Coordinator`."""

    async def call(self, call: IdentityCall) -> IdentityAnswer | IdentityProblem:
        """Answer an identity call."""
        ...

    async def record(self, environment: Environment, mpid: int) -> IdentityRecord | None:
        """Return an identity record."""
        ...


class ProfileShard(Protocol):
    """What is asked about profiles: `actors.shard_views.ShardViews`."""

    async def profile(
        self, mpid: int, environment: Environment | None, fields: Sequence[str]
    ) -> dict[str, Any] | None:
        """Show a profile."""
        ...


class Subjects:
    """Finds the profiles of data subjects. Calls raise as those of identities do."""

    def __init__(
        self, identities: IdentityDesk, shards: Sequence[ProfileShard], clock: Clock
    ) -> None:
        """Args: `shards`: all of them, in order."""
        self._identities = identities
        self._shards = shards
        self._clock = clock

    async def of(self, sent: Submission) -> list[Subject]:
        """Return the profiles that a request is about, in each environment.

        By version 3 all identities of the request find one profile, by the others each finds its
        own.
        """
        sets = [dict(sent.identities)]
        if sent.version != "3.0":
            sets = [{kind: value} for kind, value in dict.fromkeys(sent.identities)]
        found: dict[Subject, None] = {}
        for environment in ENVIRONMENTS:
            for mpid in sent.mpids:
                if await self._identities.record(environment, mpid) is not None:
                    found[environment, mpid] = None
            for identities in sets:
                if identities and (mpid := await self._mpid(environment, identities)):
                    found[environment, mpid] = None
        return list(found)

    async def identities(self, sent: Submission) -> dict[str, str] | None:
        """Return the identities of the profile that a request is about, as profiles call them.

        `None` if there is no such profile. Of two environments production's counts, of several
        identities of one type what the profile shows, else the newest, and of several devices the
        one seen last.
        """
        for environment, mpid in await self.of(sent):
            record = await self._identities.record(environment, mpid)
            if record is None:
                continue
            # The record outlives what is shown: of who has aged out that is nothing.
            found = {
                PROFILE_NAMES[each.type]: each.value
                for each in record.lookups
                if each.type in PROFILE_NAMES
            }
            shard = self._shards[slots_of(self._shards).shard_of(slot_of_mpid(mpid))]
            shown = await shard.profile(mpid, environment, _SHOWN) or {}
            newest: dict[str, str] = {}
            for name in _SHOWN:
                for each in shown.get(name, ()):
                    newest.setdefault(each["type"], each["value"])
            return found | newest
        return None

    async def _mpid(self, environment: Environment, identities: dict[str, str]) -> int:
        """Return whom a search finds; 0 for nobody."""
        answer = await self._identities.call(
            IdentityCall("search", environment, identities, self._clock.now_ms())
        )
        return answer.mpid if isinstance(answer, IdentityAnswer) else 0
