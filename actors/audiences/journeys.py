"""Journeys: trees of milestones, each with an audience (spec/audiences.md, 13).

Methods raise as those of `actors.audiences.registry` do.
"""

from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from actors.audiences.core import Core
from actors.audiences.fields import JourneyFields, MilestoneFields, given
from actors.audiences.milestones import renew_audiences, settle_milestones
from actors.audiences.names import milestone_name
from actors.audiences.objects import Audience, Definition, Journey, Milestone
from actors.audiences.readings import Frame
from actors.audiences.registry import forget_audience
from actors.audiences.rules import (
    check_name,
    check_places,
    check_reach,
    check_unreferenced,
    refused,
)
from actors.audiences.splits import check_split, placed, renumbered
from actors.audiences.state import AudienceState
from actors.audiences.trees import milestone as found_milestone
from actors.audiences.trees import siblings
from actors.once import answer_with


class Journeys:
    """Makes and changes journeys; the audiences of their milestones follow."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def journeys(self) -> list[Journey]:
        """Return all journeys, by number."""
        return sorted(self._core.state.journeys.values(), key=lambda each: each.number)

    async def journey(self, number: int) -> Journey | None:
        """Return one journey."""
        return self._core.state.journeys.get(number)

    async def create_journey(self, fields: JourneyFields, actor: str) -> Journey:
        """Add a journey without milestones."""
        core = self._core
        now_ms = core.clock.now_ms()
        with core.changing() as changed:
            journey = Journey(
                number=changed.take("next_journey"),
                name="",
                inputs=(),
                milestones=(),
                next_milestone=1,
                created_by=actor,
                created_ms=now_ms,
                last_modified_by=actor,
                last_modified_ms=now_ms,
            )
            journey = replace(journey, **given(fields))
            self._check_journey(journey, changed)
            changed.journeys[journey.number] = journey
            answer_with(journey)
        return journey

    async def replace_journey(
        self, number: int, fields: JourneyFields, actor: str
    ) -> Journey | None:
        """Change name or inputs; `None` if there is no such journey."""
        core = self._core
        with core.changing() as changed:
            former = changed.journeys.get(number)
            if former is None:
                return None
            after = replace(former, **given(fields))
            self._check_journey(after, changed)
            if after.inputs != former.inputs:
                for each in after.milestones:
                    check_reach(changed.audiences[each.audience], self._workspaces(after))
                after = self._read_again(after, changed)
            after = self._put(former, after, changed, actor)
            if after.name != former.name:
                for each in after.milestones:
                    self._rename(after, each, changed)
            answer_with(after)
        await core.push()
        return after

    async def delete_journey(self, number: int) -> bool:
        """Delete a journey that has no milestones; tell whether there was one."""
        with self._core.changing() as changed:
            journey = changed.journeys.get(number)
            if journey is None:
                return False
            if journey.milestones:
                raise refused("INVALID_STATE", "The journey has milestones; delete them first.")
            del changed.journeys[number]
            answer_with(True)
        return True

    async def create_milestone(
        self, journey: int, fields: MilestoneFields, actor: str
    ) -> Milestone | None:
        """Add a milestone, at the right of its split if no position is given.

        A milestone of kind `remaining_users` always stays at the right. `None` if there is no such
        journey. `name` has to be given.
        """
        core = self._core
        with core.changing() as changed:
            former = changed.journeys.get(journey)
            if former is None:
                return None
            values = given(fields)
            parent = values.get("parent")
            if parent is not None:
                _check_parent(former, parent, changed)
            made = Milestone(
                number=former.next_milestone,
                name=values["name"],
                parent=parent,
                position=0,
                kind=values.get("kind", "criteria"),
                definition=None,
                audience=0,
            )
            sent = values.get("definition")
            made = replace(made, definition=self._milestone_definition(former, made, sent, changed))
            audience = self._new_audience(former, made, changed, actor)
            made = replace(made, audience=audience.number)
            place = values.get("position", len(former.milestones))
            after = replace(
                former,
                milestones=placed(former, made, place),
                next_milestone=former.next_milestone + 1,
            )
            check_split(after, parent)
            kept = found_milestone(self._put(former, after, changed, actor), made.number)
            answer_with(kept)
        await core.push()
        return kept

    async def replace_milestone(
        self, journey: int, number: int, fields: MilestoneFields, actor: str
    ) -> Milestone | None:
        """Change name, definition or position; `None` if there is no such milestone."""
        core = self._core
        with core.changing() as changed:
            before = changed.journeys.get(journey)
            former = None if before is None else found_milestone(before, number)
            if before is None or former is None:
                return None
            values = given(fields)
            for fixed in ("kind", "parent"):
                if values.get(fixed, getattr(former, fixed)) != getattr(former, fixed):
                    path = {"kind": "/kind", "parent": "/parent_id"}[fixed]
                    raise refused("INVALID_STATE", "It cannot be changed.", path)
            made = replace(former, name=values.get("name", former.name))
            if "definition" in values:
                made = replace(
                    made,
                    definition=self._milestone_definition(
                        before, made, values["definition"], changed
                    ),
                )
            place = values.get("position", former.position)
            after = replace(before, milestones=placed(before, made, place))
            check_split(after, made.parent)
            if made.name != former.name:
                self._rename(after, made, changed)
            kept = found_milestone(self._put(before, after, changed, actor), number)
            answer_with(kept)
        await core.push()
        return kept

    async def delete_milestone(self, journey: int, number: int, actor: str) -> bool:
        """Delete a leaf with its audience and connections; tell whether there was one."""
        core = self._core
        with core.changing() as changed:
            before = changed.journeys.get(journey)
            former = None if before is None else found_milestone(before, number)
            if before is None or former is None:
                return False
            if siblings(before, number):
                raise refused("INVALID_STATE", "The milestone has others below it.")
            check_unreferenced(changed, core.readings, former.audience)
            others = [each for each in before.milestones if each.number != number]
            after = renumbered(replace(before, milestones=tuple(others)), former.parent)
            check_split(after, former.parent)
            forget_audience(changed, former.audience, core.clock.now_ms())
            self._put(before, after, changed, actor)
            answer_with(True)
        await core.push()
        return True

    def _put(self, before: Journey, after: Journey, state: AudienceState, actor: str) -> Journey:
        """Keep a journey, and have those audiences evaluated anew that are different by it."""
        core = self._core
        after = replace(after, last_modified_by=actor, last_modified_ms=core.clock.now_ms())
        state.journeys[after.number] = after
        renew_audiences(before, after, state, core.readings, self._workspaces(after))
        settle_milestones(state, core.catalog, core.readings, core.neighbours())
        state.tell_shards()
        return after

    def _read_again(self, journey: Journey, state: AudienceState) -> Journey:
        """Read all definitions for the journey's present inputs."""
        milestones = [
            each
            if each.definition is None
            else replace(
                each,
                definition=self._milestone_definition(journey, each, each.definition.sent, state),
            )
            for each in journey.milestones
        ]
        return replace(journey, milestones=tuple(milestones))

    def _check_journey(self, journey: Journey, state: AudienceState) -> None:
        folded = journey.name.casefold()
        if any(
            each.name.casefold() == folded and each.number != journey.number
            for each in state.journeys.values()
        ):
            raise refused("NAME_NOT_UNIQUE", "Another journey has this name.", "/name")
        core = self._core
        check_places(core.catalog, core.neighbours(), self._workspaces(journey), journey.inputs)

    def _workspaces(self, journey: Journey) -> tuple[int, ...]:
        """Return the workspaces that a journey is about: its own, and those of its inputs."""
        core = self._core
        foreign = frozenset(journey.inputs) - core.catalog.inputs.keys()
        others = [
            number
            for number, each in core.neighbours().items()
            if each.account == core.catalog.account and not foreign.isdisjoint(each.inputs)
        ]
        return (core.catalog.workspace, *sorted(others))

    def _milestone_definition(
        self, journey: Journey, made: Milestone, sent: Any, state: AudienceState
    ) -> Definition | None:
        if made.kind == "remaining_users":
            if sent is not None:
                message = "The criteria of remaining users cannot be edited."
                raise refused("INVALID_STATE", message, "/definition")
            return None
        if sent is None or sent is UNSET:
            raise refused("VALIDATION_ERROR", "A milestone of criteria needs one.", "/definition")
        core = self._core
        frame = Frame(
            number=made.audience or None,
            type="real_time",
            workspaces=self._workspaces(journey),
            inputs=journey.inputs,
        )
        return core.readings.read(sent, frame, state)[0]

    def _new_audience(
        self, journey: Journey, made: Milestone, state: AudienceState, actor: str
    ) -> Audience:
        core = self._core
        now_ms = core.clock.now_ms()
        taken = core.names(state)
        name = milestone_name(journey.name, made.name, taken)
        check_name(taken, name, None)
        return state.put(
            Audience(
                number=core.take_number(state),
                name=name,
                external_name=name,
                type="real_time",
                environment="production",
                workspaces=self._workspaces(journey),
                inputs=journey.inputs,
                tags=(),
                definition=None,
                status="draft",
                revision=1,
                account=core.catalog.account,
                created_by=actor,
                created_ms=now_ms,
                last_modified_by=actor,
                last_modified_ms=now_ms,
                journey=journey.number,
                milestone=made.number,
                default_level=state.counters.default_level,
            )
        )

    def _rename(self, journey: Journey, milestone: Milestone, state: AudienceState) -> None:
        audience = state.audiences[milestone.audience]
        others = {
            name: number
            for name, number in self._core.names(state).items()
            if number != audience.number
        }
        name = milestone_name(journey.name, milestone.name, others)
        check_name(others, name, None)
        is_default = audience.external_name == audience.name
        external_name = name if is_default else audience.external_name
        state.put(replace(audience, name=name, external_name=external_name))


def _check_parent(journey: Journey, parent: int, state: AudienceState) -> None:
    """Check that a milestone can have others below it."""
    found = found_milestone(journey, parent)
    if found is None:
        raise refused("REFERENCE_NOT_FOUND", f"There is no milestone {parent}.", "/parent_id")
    if state.audiences[found.audience].test is not None:
        # Which of its variations the new one is of cannot be said (spec/predictions.md, 9).
        message = "The audience of the milestone has an A/B test; delete it first."
        raise refused("INVALID_STATE", message, "/parent_id")
