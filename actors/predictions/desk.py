"""Predictions whose scores are posted (spec/predictions.md, 2 and 6): a part of the audience desk.

Scores are on the shards' disks when a post is answered. What they come to is given to users a
little later (`actors.predictions.applying`).
"""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from msgspec.structs import replace

from actors.audiences.core import Core
from actors.audiences.criteria import EventCriterion, Group, Node, Recency
from actors.audiences.fields import given
from actors.audiences.language.dependencies import dependencies_of
from actors.audiences.readings import Frame
from actors.audiences.rules import refused
from actors.audiences.state import AudienceState
from actors.audiences.trees import definitions_of
from actors.model.profiles import Scored
from actors.once import answer_with
from actors.predictions.applying import Applying
from actors.predictions.calls import PredictionShard
from actors.predictions.objects import (
    Operator,
    Output,
    Prediction,
    PredictionFields,
    attributes_of,
    slug_of,
)
from actors.store.keys import slot_of_mpid
from actors.store.slots import slots_of

MAX_ACTIVE = 50
MAX_GOAL_EVENTS = 10


class Predictions:
    """The predictions and their scores."""

    def __init__(self, core: Core, applying: Applying) -> None:
        self._core = core
        self._applying = applying
        self._shards = cast(Sequence[PredictionShard], core.shards)

    # -- Reading ----------------------------------------------------------------------------------

    async def predictions(self) -> list[Prediction]:
        """Return all predictions, by number."""
        found = self._core.state.predictions.values()
        return sorted((each for each in found if not each.is_leaving), key=lambda each: each.number)

    async def prediction(self, number: int) -> Prediction | None:
        """Return one prediction."""
        found = self._core.state.predictions.get(number)
        return None if found is None or found.is_leaving else found

    async def prediction_uses(self) -> dict[int, list[int]]:
        """Return which audiences refer to each prediction, or to an attribute of it."""
        uses: dict[int, list[int]] = {}
        for prediction in await self.predictions():
            uses[prediction.number] = _users(self._core, prediction)
        return uses

    async def pending_audiences(self) -> frozenset[int]:
        """Return the audiences that refer to a prediction which has no scores yet."""
        now_ms = self._core.clock.now_ms()
        waiting = [
            each for each in await self.predictions() if each.status(now_ms) == "calculating"
        ]
        return frozenset(number for each in waiting for number in _users(self._core, each))

    async def user_score(self, number: int, mpid: int) -> Scored | None:
        """Return what a prediction gives a user, `None` for nothing. Raises ShardUnavailable."""
        found = await self.prediction(number)
        if found is None:
            return None
        return await self._owner(mpid).user_score(number, found.environment, mpid)

    async def prediction_bins(self, number: int, output: Output, count: int) -> list[int] | None:
        """Count who has a value in each of so many equal parts of 0 to 1. Raises ShardUnavailable.

        Returns `None` if there is no such prediction, as `prediction_size` does.
        """
        found = await self.prediction(number)
        if found is None:
            return None
        return (await self._applying.census(found)).bins(output, count)

    async def prediction_size(
        self, number: int, output: Output, operator: Operator, value: float
    ) -> int | None:
        """Count who has a value that stands so to another. Raises ShardUnavailable."""
        found = await self.prediction(number)
        if found is None:
            return None
        return (await self._applying.census(found)).size(output, operator, value)

    # -- Changing ---------------------------------------------------------------------------------

    async def create_prediction(self, fields: PredictionFields, actor: str) -> Prediction:
        """Add a prediction; it is `calculating` until there are scores.

        Raises:
            AudienceRefused: the goal is wrong, its name is taken, or there are too many.
        """
        core = self._core
        with core.changing() as changed:
            values = given(fields)
            goal, is_absent = self._goal(values.pop("goal"), changed)
            slug = _free_slug(changed, core, str(fields.name))
            _check_active_limit(changed)
            made = Prediction(
                number=changed.take("next_prediction"),
                slug=slug,
                goal=goal,
                is_absent=is_absent,
                created_by=actor,
                created_ms=core.clock.now_ms(),
                **{**_DEFAULTS, **values},
            )
            changed.predictions[made.number] = made
            changed.tell_shards()
            answer_with(made)
        await core.push()
        return made

    async def change_prediction(self, number: int, fields: PredictionFields) -> Prediction | None:
        """Change the name, but not the slug, or the description."""
        with self._core.changing() as changed:
            former = changed.predictions.get(number)
            if former is None or former.is_leaving:
                return None
            others = {each.name for each in changed.predictions.values() if each is not former}
            if fields.name in others:
                raise refused("NAME_NOT_UNIQUE", "The name is taken.", "/name")
            after = changed.predictions[number] = replace(former, **given(fields))
            answer_with(after)
        return after

    async def switch_prediction(self, number: int, is_on: bool) -> Prediction | None:
        """Activate or deactivate; while it is off, users keep the values that they have.

        Raises:
            AudienceRefused: too many are active.
        """
        with self._core.changing() as changed:
            former = changed.predictions.get(number)
            if former is None or former.is_leaving:
                return None
            if is_on and former.is_off:
                _check_active_limit(changed)
            after = changed.predictions[number] = replace(former, is_off=not is_on)
            answer_with(after)
        self._applying.woken.set()
        return after

    async def delete_prediction(self, number: int, is_forced: bool) -> list[int] | None:
        """Delete a prediction, and soon all that it gave users.

        Returns:
            `None` if there is none; the audiences that use it, where it was not deleted for that.
        """
        core = self._core
        with core.changing() as changed:
            former = changed.predictions.get(number)
            if former is None or former.is_leaving:
                return None
            used = _users(core, former)
            if used and not is_forced:
                return used
            changed.predictions[number] = replace(former, is_leaving=True)
            answer_with([])
        self._applying.woken.set()
        return []

    async def post_scores(self, number: int, rows: Sequence[tuple[int, int]]) -> int | None:
        """Keep scores, (MPID, millionths); the last of a user counts.

        Returns:
            How many are of users whom nobody knows; `None` if there is no such prediction.

        Raises:
            AudienceRefused: the prediction is deactivated.
            ShardUnavailable: some may be kept; all can be sent again.
            StoreFull: likewise.
        """
        found = await self.prediction(number)
        if found is None:
            return None
        if found.is_off:
            raise refused("INVALID_STATE", "The prediction is deactivated.")
        by_shard: dict[int, dict[int, int]] = {}
        for mpid, millionths in rows:
            place = slots_of(self._shards).shard_of(slot_of_mpid(mpid))
            by_shard.setdefault(place, {})[mpid] = millionths
        unknown = await asyncio.gather(
            *(
                self._shards[place].take_scores(number, found.environment, list(scores.items()))
                for place, scores in by_shard.items()
            )
        )
        with self._core.changing() as changed:
            former = changed.predictions.get(number)
            if former is not None:
                now_ms = self._core.clock.now_ms()
                changed.predictions[number] = replace(
                    former, posted=former.posted + 1, posted_ms=now_ms
                )
            answer_with(sum(unknown))
        self._applying.woken.set()
        return sum(unknown)

    # -- Inside -----------------------------------------------------------------------------------

    def _owner(self, mpid: int) -> PredictionShard:
        return self._shards[slots_of(self._shards).shard_of(slot_of_mpid(mpid))]

    def _goal(self, sent: Any, state: AudienceState) -> tuple[dict[str, Any], bool]:
        """Read a goal: one event criterion, or several of which one is enough."""
        if not isinstance(sent, dict):
            raise refused("VALIDATION_ERROR", "must be an object.", "/goal")
        is_absent = sent.get("absent", False)
        if not isinstance(is_absent, bool):
            raise refused("VALIDATION_ERROR", "must be true or false.", "/goal/absent")
        _check_no_recency(sent)
        criterion = {name: value for name, value in sent.items() if name != "absent"}
        frame = Frame(
            number=None, type="real_time", workspaces=(self._core.catalog.workspace,), inputs=()
        )
        definition, node = self._core.readings.read(criterion, frame, state, "/goal")
        parts = node.nodes if isinstance(node, Group) and node.op == "or" else (node,)
        if len(parts) > MAX_GOAL_EVENTS:
            raise refused("LIMIT_EXCEEDED", f"must have at most {MAX_GOAL_EVENTS} events.", "/goal")
        for each in parts:
            _check_goal_event(each)
        return definition.canonical["criteria"], is_absent


_DEFAULTS: dict[str, Any] = {
    "description": "",
    "environment": "production",
    "horizon_days": 14,
    "active_within_days": 90,
}


def _check_no_recency(goal: dict[str, Any]) -> None:
    """Refuse the field itself: one that says nothing would be read as none."""
    found = {"/goal": goal}
    for name in ("or", "nodes"):
        nodes = goal.get(name)
        if isinstance(nodes, list):
            found |= {f"/goal/{name}/{index}": each for index, each in enumerate(nodes)}
    for path, each in found.items():
        if isinstance(each, dict) and "recency" in each:
            raise refused("UNKNOWN_FIELD", "is not for goals.", f"{path}/recency")


def _check_goal_event(node: Node) -> None:
    criterion = None if isinstance(node, Group) else node.criterion
    if not isinstance(criterion, EventCriterion):
        raise refused("VALIDATION_ERROR", "must be event criteria, alone or in an `or`.", "/goal")
    if criterion.recency != Recency():
        raise refused("VALIDATION_ERROR", "is not for goals.", "/goal/recency")


def _check_active_limit(state: AudienceState) -> None:
    """Check that one more may be active."""
    if sum(not each.is_off for each in state.predictions.values()) >= MAX_ACTIVE:
        raise refused("LIMIT_EXCEEDED", f"There are {MAX_ACTIVE} active predictions.")


def _free_slug(state: AudienceState, core: Core, name: str) -> str:
    """Return the slug of a new prediction, whose attributes nothing else has."""
    slug = slug_of(name)
    if not slug:
        raise refused("VALIDATION_ERROR", "must have a letter or a digit.", "/name")
    others = state.predictions.values()
    if any(each.name == name or each.slug == slug for each in others):
        raise refused("NAME_NOT_UNIQUE", "Another prediction is called so.", "/name")
    if not core.catalog.calculated.keys().isdisjoint(attributes_of(slug)):
        raise refused("NAME_NOT_UNIQUE", "A calculated attribute is called so.", "/name")
    return slug


def _users(core: Core, prediction: Prediction) -> list[int]:
    """Return the audiences whose definition reads what a prediction gives."""
    found = []
    for number, audience in core.state.audiences.items():
        definitions = [] if audience.definition is None else [audience.definition]
        if audience.journey is not None:
            definitions = definitions_of(core.state.journeys[audience.journey], number)
        for each in definitions:
            read = dependencies_of(core.readings.node(each))
            if prediction.number in read.predictions or not read.user_attributes.isdisjoint(
                prediction.attributes
            ):
                found.append(number)
                break
    return sorted(found)
