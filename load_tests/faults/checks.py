"""The invariants, checked against the record of what was acknowledged."""

import asyncio
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from load_tests.faults.document import COUNT, SUM, THRESHOLDS, audience_id
from load_tests.faults.receivers import EventLog, MemberLog
from load_tests.faults.record import Record, first_seen, out_of_order
from load_tests.reader import Reader

_LOOK_S = 0.1
KINDS = (
    *("lost", "doubled", "disordered", "unstored", "identities", "left", "orphans"),
    *("damaged", "leaked", "failed"),
)


class Found(Struct, kw_only=True):
    """What is wrong after a run; all of it 0 if nothing is.

    Attributes:
        lost: batches acknowledged and missing, from the log, a counter, an audience or an output.
        doubled: counted or stored twice, somewhere.
        disordered: batches out of their user's order, in the log or in an output.
        unstored: users who were shown with a batch that had been answered as not stored.
        identities: broken promises of V1, V9 or V10 (spec/identity.md).
        left: deliveries that still wait when all has arrived, or have become dead letters.
        orphans: processes that outlived their deployment, or are too many or too few in it.
        damaged: stores that `headwater data check` refuses.
        leaked: secrets and values of users in what the deployment has printed.
        failed: requests that were never answered well, and whether the deployment did not come
            back or could not be read; nothing else is checked then.
        details: each of these, for a person.
    """

    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    unstored: int = 0
    identities: int = 0
    left: int = 0
    orphans: int = 0
    damaged: int = 0
    leaked: int = 0
    failed: int = 0
    details: list[str] = []

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not any(getattr(self, kind) for kind in KINDS)

    def add(self, kind: str, count: int, what: str) -> None:
        """Count something that is wrong."""
        if count:
            setattr(self, kind, getattr(self, kind) + count)
            self.details.append(f"{kind} {count}: {what}")


class Checker:
    """Reads back what one run has left."""

    def __init__(
        self, record: Record, reader: Reader, outputs: dict[str, EventLog], members: MemberLog
    ) -> None:
        self._record = record
        self._reader = reader
        self._outputs = outputs
        self._members = members
        self._mpids: dict[int, int] = {}

    async def run(self, patience_s: float) -> Found:
        """Check all; what outputs have not got yet is waited for, for so long at most.

        Raises ReadBackFailed.
        """
        try:
            async with asyncio.timeout(patience_s):
                while not await self._has_arrived():  # noqa: ASYNC110  # others make it arrive
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            pass  # what is missing is counted below
        found = Found(details=[])
        for user in self._record.users:
            await self._check_user(user, found)
        return found

    async def _has_arrived(self) -> bool:
        wanted = {self._record.message_id(one.number) for one in self._record.sent}
        if not all(wanted <= log.applied.keys() for log in self._outputs.values()):
            return False
        for user in self._record.users:
            if user not in self._mpids:
                mpids = await self._reader.find(self._record.customer_id(user))
                if len(mpids) != 1:
                    continue  # which is wrong already
                [self._mpids[user]] = mpids
            expected = audiences_at(len(self._record.of_user(user)))
            if self._members.audiences_of(self._mpids[user]) != expected:
                return False
        return True

    async def _check_user(self, user: int, found: Found) -> None:
        record, name = self._record, self._record.customer_id(user)
        mpids = await self._reader.find(name)
        found.add("identities", abs(len(mpids) - 1), f"V1: {name} belongs to {mpids}")
        if len(mpids) != 1:
            return
        [mpid] = mpids
        sent = record.of_user(user)
        expected = {one.number for one in sent}
        stored = [record.number_of(each) async for each in self._reader.message_ids(mpid, 0)]
        log = [number for number in reversed(stored) if number is not None]
        _compare("the log", name, log, expected, found)
        by_number = {one.number: one for one in sent}
        order = [by_number[number] for number in first_seen(log) if number in by_number]
        found.add("disordered", out_of_order(order), f"the log of {name}: {log}")
        await self._check_profile(mpid, user, log, found)
        for output, arrived in self._outputs.items():
            ids = arrived.arrivals.get(mpid, [])
            numbers = first_seen(n for n in map(record.number_of, ids) if n is not None)
            _compare(f"output {output}", name, numbers, expected, found)
            twice = sum(len(arrived.otherwise.get(each, ())) for each in set(ids))
            found.add("doubled", twice, f"output {output} has events of {name} under two ids")
            wrong = sum(a != b for a, b in zip(numbers, first_seen(log), strict=False))
            if set(numbers) == set(log):
                found.add("disordered", wrong, f"output {output} of {name}: {numbers}, not {log}")
        await self._check_identities(mpid, user, found)

    async def _check_profile(self, mpid: int, user: int, log: list[int], found: Found) -> None:
        sent = self._record.of_user(user)
        name = self._record.customer_id(user)
        profile = await self._reader.profile(mpid, "user_attributes,audience_memberships")
        attributes: dict[str, Any] = profile["user_attributes"]
        for attribute, right in ((COUNT, len(sent)), (SUM, sum(one.weight for one in sent))):
            shown = float(attributes.get(attribute, 0))
            what = f"{attribute} of {name} is {shown:g}, not {right}"
            found.add("lost" if shown < right else "doubled", int(abs(shown - right)), what)
        last, right_last = attributes.get("last"), self._record.message_id(log[-1]) if log else None
        found.add("disordered", last != right_last, f"last of {name} is {last}, not {right_last}")
        told = self._members.audiences_of(mpid)
        for where, actual in (("profile", audiences_in(profile)), ("audience output", told)):
            right_ids = audiences_at(len(sent))
            missing, extra = right_ids - actual, actual - right_ids
            found.add("lost", len(missing), f"{name} is not in {sorted(missing)} ({where})")
            found.add("doubled", len(extra), f"{name} is in {sorted(extra)} ({where})")

    async def _check_identities(self, mpid: int, user: int, found: Found) -> None:
        record, name = self._record, self._record.customer_id(user)
        answered = record.mpids.get(user, set())
        others = sorted(answered - {mpid})
        found.add("identities", len(others), f"V9: {name} was answered {others}, is {mpid}")
        wanted = {("customerid", name)}
        wanted |= {("device_application_stamp", each) for each in record.devices.get(user, ())}
        wanted |= {("email", each) for each in record.emails.get(user, ())}
        listed = await self._reader.identities(mpid)
        absent = wanted - listed
        found.add("identities", len(absent), f"V9, V10: {mpid} does not list {sorted(absent)}")
        for kind, value in sorted(wanted | listed):
            holders = await self._reader.holders(kind, value)
            if holders != [mpid]:
                found.add("identities", 1, f"V1, V10: {kind} {value} of {mpid} finds {holders}")


def _compare(where: str, name: str, numbers: list[int], expected: set[int], found: Found) -> None:
    missing = expected - set(numbers)
    found.add("lost", len(missing), f"{where} of {name} lacks {sorted(missing)}")
    found.add("doubled", len(numbers) - len(set(numbers)), f"{where} of {name}: {numbers}")


def audiences_at(count: int) -> set[str]:
    """Return the ids of the audiences of users with so many events."""
    return {audience_id(least) for least in THRESHOLDS if count >= least}


def audiences_in(profile: dict[str, Any]) -> set[str]:
    """Return the ids of the audiences that an answer of the Profile API shows."""
    return {each["audience_name"] for each in profile["audience_memberships"]}


def summed(all_found: Iterable[Found]) -> Found:
    """Return what is wrong in several runs together."""
    total = Found(details=[])
    for found in all_found:
        for kind in KINDS:
            setattr(total, kind, getattr(total, kind) + getattr(found, kind))
        total.details += found.details
    return total
