"""When audiences are evaluated (spec/audiences.md, 2.1 and 8).

Methods raise as those of `actors.audiences.registry` do.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from actors.audiences.core import Core
from actors.audiences.live import span_of
from actors.audiences.milestones import settle_milestones
from actors.audiences.objects import Audience, Counters, DateRange
from actors.audiences.rules import (
    RUNNING,
    check_runnable,
    check_unreferenced,
    refused,
)
from actors.audiences.state import AudienceState
from actors.audiences.told import Progress
from actors.once import answer_with

DAY_MS = 86_400_000
EXPIRY_DAYS = 30  # after a standard audience was calculated
YEAR_DAYS = 365


class Lifecycle:
    """Activation, deactivation, calculation, and what becomes of them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def activate_audience(self, number: int, actor: str) -> bool:
        """Have an audience evaluated from now on; tell whether there is one."""
        core = self._core
        audience = core.state.audiences.get(number)
        if audience is None:
            return False
        core.check_unmanaged(audience)
        if audience.type == "standard":
            raise refused("INVALID_STATE", "A standard audience is calculated, not activated.")
        if audience.journey is not None:
            message = "The audience of a milestone is active while it is connected."
            raise refused("INVALID_STATE", message)
        if audience.status in RUNNING:
            return True
        check_runnable(core.state, core.catalog, core.readings, core.neighbours(), audience)
        if audience.type == "real_time":
            core.check_active_limit(core.state)
        with core.changing() as changed:
            changed.put(replace(self._touched(audience, actor), status="activating"))
            changed.tell_shards()
            answer_with(True)
        await core.push()
        return True

    async def deactivate_audience(self, number: int, clear_downstream: bool, actor: str) -> bool:
        """Take an audience's memberships from all profiles; tell whether there is one.

        With `clear_downstream`, outputs are told `delete` for all members; else nothing.
        """
        core = self._core
        with core.changing() as changed:
            audience = changed.audiences.get(number)
            if audience is None:
                return False
            core.check_unmanaged(audience)
            if audience.status not in RUNNING:
                return True
            if audience.journey is not None:
                message = "The audience of a milestone is active while it is connected."
                raise refused("INVALID_STATE", message)
            check_unreferenced(changed, core.readings, number)
            changed.put(replace(self._touched(audience, actor), status="inactive"))
            settle_milestones(changed, core.catalog, core.readings, core.neighbours())
            if clear_downstream:
                leaving = (*changed.counters.leaving, number)
                changed.counters = replace(changed.counters, leaving=leaving)
            changed.tell_shards()
            answer_with(True)
        await core.push()
        return True

    async def calculate_audiences(
        self, numbers: Sequence[int], actor: str, elsewhere: Collection[int] = ()
    ) -> int:
        """Calculate standard audiences together; return the credits that it costs.

        The cost is that of the longest range among them (spec/audiences.md, 8.1). Those of the
        workspace document, too: it says what they are, and not when they are calculated.

        Args:
            numbers: as they were asked for.
            actor: who does it.
            elsewhere: those among them that lie in other workspaces, and are left out.
        """
        with self._core.changing() as changed:
            cost = self._calculate(changed, numbers, actor, elsewhere)
            answer_with(cost)
        await self._core.push()
        return cost

    async def check_calculation(
        self, numbers: Sequence[int], actor: str, elsewhere: Collection[int]
    ) -> None:
        """Raise what `calculate_audiences` would; nothing is changed."""
        self._calculate(self._core.state.copy(), numbers, actor, elsewhere)

    async def calculation_percent(self, number: int) -> int | None:
        """Return how much of all users an audience was evaluated for that is being activated or
        calculated, 0 to 100; `None` of any other."""
        core = self._core
        audience = core.state.audiences.get(number)
        if audience is None or not is_waiting(audience):
            return None
        wanted = _revision(audience)
        found = [part.audiences.get(number) for part in await core.progress()]
        known = [each for each in found if each is not None and each.revision == wanted]
        total = sum(each.total for each in known)
        if len(known) < len(found) or not total:
            return 0
        return min(100 * sum(each.walked for each in known) // total, 100)

    async def settle_progress(self) -> bool:
        """See how far the shards are, and keep what is done; tell whether anything is left."""
        core = self._core
        state = core.state
        waiting = [each for each in state.audiences.values() if is_waiting(each)]
        if not waiting and not state.counters.leaving:
            return False
        version = state.counters.version
        parts = await core.progress()
        if any(part.version != version for part in parts) or core.state is not state:
            return True
        done = [each for each in waiting if is_done(each, [part.audiences for part in parts])]
        left = tuple(
            number
            for number in state.counters.leaving
            if any(number in part.leaving for part in parts)
        )
        with core.changing() as changed:
            for audience in done:
                changed.put(self._finished(audience))
            if left != changed.counters.leaving:
                changed.counters = replace(changed.counters, leaving=left)
                changed.tell_shards()
        await core.push()
        return any(is_waiting(each) for each in core.state.audiences.values()) or bool(left)

    def _calculate(
        self, state: AudienceState, numbers: Sequence[int], actor: str, elsewhere: Collection[int]
    ) -> int:
        core = self._core
        now_ms, days = core.clock.now_ms(), core.catalog.events_days
        cost = 1
        for index, number in enumerate(numbers):
            if number in elsewhere:
                continue
            path = f"/audience_ids/{index}"
            audience = state.audiences.get(number)
            if audience is None:
                raise refused("REFERENCE_NOT_FOUND", f"There is no audience {number}.", path)
            if audience.type != "standard":
                raise refused("INVALID_STATE", "Only standard audiences are calculated.", path)
            if shown_status(audience, now_ms) in ("calculating", "expired"):
                message = "The audience is being calculated, or has expired."
                raise refused("INVALID_STATE", message, path)
            check_runnable(state, core.catalog, core.readings, core.neighbours(), audience)
            cost = max(cost, credits_of(audience.range or DateRange(), now_ms, days))
            state.put(
                replace(
                    self._touched(audience, actor),
                    status="calculating",
                    calculations=audience.calculations + 1,
                )
            )
        state.counters = self._spent(state.counters, cost, now_ms)
        state.tell_shards()
        return cost

    def _finished(self, audience: Audience) -> Audience:
        if audience.type == "standard":
            return replace(audience, status="ready", calculated_ms=self._core.clock.now_ms())
        return replace(audience, status="active")

    def _touched(self, audience: Audience, actor: str) -> Audience:
        return replace(audience, last_modified_by=actor, last_modified_ms=self._core.clock.now_ms())

    def _spent(self, counters: Counters, cost: int, now_ms: int) -> Counters:
        """Count credits of the calendar year. Raises AudienceRefused if there are too few."""
        year = datetime.fromtimestamp(now_ms / 1000, UTC).year
        used = cost + (counters.credits_used if counters.credits_year == year else 0)
        most = self._core.catalog.credits
        if most is not None and used > most:
            message = f"It needs {cost} credits; {used - cost} of {most} are used."
            raise refused("LIMIT_EXCEEDED", message)
        return replace(counters, credits_year=year, credits_used=used)


def is_waiting(audience: Audience) -> bool:
    """Tell whether an audience waits for the shards."""
    return audience.status in ("activating", "calculating")


def _revision(audience: Audience) -> int:
    """Return what shards know the present evaluation of an audience by."""
    return audience.calculations if audience.type == "standard" else audience.revision


def is_done(audience: Audience, shards: Sequence[Mapping[int, Progress]]) -> bool:
    """Tell whether all shards are done with the present revision of an audience."""
    wanted = _revision(audience)
    found = [progress.get(audience.number) for progress in shards]
    return all(each is not None and each.is_done and each.revision == wanted for each in found)


def shown_status(audience: Audience, now_ms: int) -> str:
    """Return the status of an audience, a standard one's age included."""
    calculated_ms = audience.calculated_ms
    is_old = calculated_ms is not None and now_ms - calculated_ms > EXPIRY_DAYS * DAY_MS
    return "expired" if audience.status == "ready" and is_old else audience.status


def credits_of(range_: DateRange, now_ms: int, events_days: int) -> int:
    """Return what it costs to calculate a range: a credit for every year that is begun.

    One without a beginning begins where events are not kept any more.
    """
    span = span_of(range_)
    start_ms = now_ms - events_days * DAY_MS if span.start_ms is None else span.start_ms
    end_ms = now_ms if span.end_ms is None else span.end_ms - DAY_MS
    days = (end_ms - start_ms) // DAY_MS
    return max(1, -(-days // YEAR_DAYS))
