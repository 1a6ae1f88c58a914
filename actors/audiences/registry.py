"""Audiences: made, changed, cloned, deleted (spec/audiences.md, 2 and 8).

Every change is on disk, and known to all shards, when it is answered. Methods raise AudienceRefused
where a rule is broken, ShardUnavailable if a shard was not told (it will be; the change holds), and
StoreFull.
"""

from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from actors.audiences.core import Core
from actors.audiences.fields import AudienceFields, given
from actors.audiences.milestones import settle_milestones
from actors.audiences.names import copy_name
from actors.audiences.objects import Audience, Canonical, Definition, ListChange
from actors.audiences.rules import (
    RUNNING,
    check_name,
    check_places,
    check_reach,
    check_runnable,
    check_unreferenced,
    frame_of,
    reads_input,
    refused,
)
from actors.audiences.state import AudienceState
from actors.audiences.trees import members_document, milestone
from actors.once import answer_with

# What a member of the definition's meaning is: changing one of these changes who is a member.
_MEANING = ("definition", "inputs", "workspaces", "range")


class Registry:
    """The audiences themselves."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def audiences(self) -> list[Audience]:
        """Return all audiences, by number."""
        return sorted(self._core.state.audiences.values(), key=lambda each: each.number)

    async def audience(self, number: int) -> Audience | None:
        """Return one audience."""
        return self._core.state.audiences.get(number)

    async def readers_of_input(self, number: int) -> list[int]:
        """Return the running audiences of the account that are of an input, those of journeys too.

        Not those that are of all inputs: one that is deleted takes nothing from them.
        """
        core = self._core
        return sorted(
            audience.number
            for state in core.of_account(core.state)
            for audience in state.audiences.values()
            if reads_input(state, audience, number)
        )

    async def create_audience(self, fields: AudienceFields, actor: str) -> Audience:
        """Add a draft."""
        core = self._core
        now_ms = core.clock.now_ms()
        with core.changing() as changed:
            name = str(fields.name)
            check_name(core.names(changed), name, None)
            draft = Audience(
                number=core.take_number(changed),
                name=name,
                external_name=name,
                type="real_time",
                environment="production",
                workspaces=(core.catalog.workspace,),
                inputs=(),
                tags=(),
                definition=None,
                status="draft",
                revision=1,
                account=core.catalog.account,
                created_by=actor,
                created_ms=now_ms,
                last_modified_by=actor,
                last_modified_ms=now_ms,
                default_level=changed.counters.default_level,
            )
            made = changed.put(self._with(draft, fields, changed))
            answer_with(made)
        return made

    async def replace_audience(
        self, number: int, fields: AudienceFields, actor: str, revision: int | None = None
    ) -> Audience | None:
        """Change what is given; `None` if there is no such audience.

        Args:
            number: of the audience.
            fields: to be laid over it.
            actor: who does it.
            revision: that it has to have, `None` for any.
        """
        core = self._core
        with core.changing() as changed:
            former = changed.audiences.get(number)
            if former is None:
                return None
            core.check_unmanaged(former)
            if revision is not None and revision != former.revision:
                raise refused("MISMATCH", f"The audience is at revision {former.revision}.")
            if fields.name is not UNSET:
                check_name(core.names(changed), str(fields.name), number)
            if former.status == "calculating" and any(
                getattr(fields, each) is not UNSET for each in _MEANING
            ):
                raise refused("INVALID_STATE", "The audience is being calculated.")
            after = replace(
                self._with(former, fields, changed),
                last_modified_by=actor,
                last_modified_ms=core.clock.now_ms(),
            )
            if _meaning(after) != _meaning(former):
                after = replace(after, revision=former.revision + 1)
                if former.status in RUNNING:
                    after = replace(after, status="activating")
            changed.put(after)
            if after.status in RUNNING:
                check_runnable(changed, core.catalog, core.readings, core.neighbours(), after)
                changed.tell_shards()
            answer_with(after)
        await core.push()
        return after

    async def delete_audience(self, number: int) -> bool:
        """Delete an audience with its memberships and connections; tell whether there was one.

        Outputs get one `remove` for each connection and nothing for its members.
        """
        core = self._core
        with core.changing() as changed:
            audience = changed.audiences.get(number)
            if audience is None:
                return False
            core.check_unmanaged(audience)
            if audience.journey is not None:
                raise refused("INVALID_STATE", "It is the audience of a journey's milestone.")
            check_unreferenced(changed, core.readings, number)
            forget_audience(changed, number, core.clock.now_ms())
            settle_milestones(changed, core.catalog, core.readings, core.neighbours())
            answer_with(True)
        await core.push()
        return True

    async def clone_audience(self, number: int, actor: str) -> Audience | None:
        """Copy definition, inputs and tags into a new draft; `None` if there is no such one."""
        core = self._core
        original = core.state.audiences.get(number)
        if original is None:
            return None
        now_ms = core.clock.now_ms()
        with core.changing() as changed:
            clone = replace(
                original,
                number=core.take_number(changed),
                name=copy_name(original.name, core.names(changed)),
                status="draft",
                revision=1,
                created_by=actor,
                created_ms=now_ms,
                last_modified_by=actor,
                last_modified_ms=now_ms,
                test=None,
                tests=0,
                calculations=0,
                calculated_ms=None,
                document_id=None,
                journey=None,
                milestone=None,
                levels={},
                access_requests={},
                default_level=changed.counters.default_level,
            )
            document = _journeys_document(original, changed)
            if document is not None:
                clone = replace(clone, definition=self._read_definition(clone, document, changed))
            made = changed.put(replace(clone, external_name=clone.name))
            answer_with(made)
        return made

    def _with(self, audience: Audience, fields: AudienceFields, state: AudienceState) -> Audience:
        """Lay fields over an audience; its definition is read anew where it may mean another."""
        changes = given(fields)
        is_new = audience.number not in state.audiences
        for fixed in ("type", "environment"):
            if not is_new and changes.get(fixed, getattr(audience, fixed)) != getattr(
                audience, fixed
            ):
                raise refused("INVALID_STATE", f"The {fixed} cannot be changed.", f"/{fixed}")
        if "workspaces" in changes:
            changes["workspaces"] = tuple(dict.fromkeys(changes["workspaces"]))
            check_reach(audience, changes["workspaces"])
        if audience.journey is not None:
            _check_journeys(audience, changes, state)
        if "name" in changes and audience.external_name == audience.name:
            changes.setdefault("external_name", changes["name"])
        sent = changes.pop("definition", UNSET)
        after: Audience = replace(audience, **changes)
        self._check_places(after)
        if after.range is not None and after.type != "standard":
            raise refused("VALIDATION_ERROR", "Only a standard audience has a range.", "/range")
        if sent is UNSET:
            is_elsewhere = (after.inputs, after.workspaces) != (
                audience.inputs,
                audience.workspaces,
            )
            if audience.definition is None or not is_elsewhere:
                return after
            sent = audience.definition.sent
        return replace(after, definition=self._read_definition(after, sent, state))

    def _read_definition(
        self, audience: Audience, sent: Any, state: AudienceState
    ) -> Definition | None:
        if sent is None:
            if audience.status in RUNNING:
                raise refused("INVALID_STATE", "An active audience needs one.", "/definition")
            return None
        if audience.type == "static":
            message = "A static audience has a list in place of a definition."
            raise refused("VALIDATION_ERROR", message, "/definition")
        return self._core.readings.read(sent, frame_of(audience), state)[0]

    def _check_places(self, audience: Audience) -> None:
        """Check that workspaces and inputs exist."""
        core = self._core
        check_places(core.catalog, core.neighbours(), audience.workspaces, audience.inputs)


def forget_audience(state: AudienceState, number: int, now_ms: int) -> None:
    """Take an audience out, with all that hangs on it."""
    for each in state.subscriptions_of(number):
        state.end_subscription(each.number, now_ms)
    audience = state.audiences.pop(number)
    for key, change in list(state.list_changes.items()):
        if change.audience == number:
            del state.list_changes[key]
    if audience.type == "static":
        change = ListChange(number, is_cleared=True)
        state.list_changes[state.take("next_change")] = change
    state.tell_shards()


def _meaning(audience: Audience) -> tuple[Any, ...]:
    canonical = audience.definition and audience.definition.canonical
    return (canonical, audience.inputs, audience.workspaces, audience.range)


def _journeys_document(audience: Audience, state: AudienceState) -> Canonical | None:
    """Return the definition by which a milestone's audience is evaluated; `None` of any other."""
    journey = None if audience.journey is None else state.journeys[audience.journey]
    found = None if journey is None else milestone(journey, audience.milestone or 0)
    return None if journey is None or found is None else members_document(journey, found)


def _check_journeys(audience: Audience, changes: dict[str, Any], state: AudienceState) -> None:
    """Take out of changes what the journey of a milestone's audience decides.

    Raises:
        AudienceRefused: it is to become another.
    """
    decided = {
        "workspaces": audience.workspaces,
        "inputs": audience.inputs,
        "definition": _journeys_document(audience, state),
    }
    for name, shown in decided.items():
        if changes.pop(name, shown) != shown:
            message = f"The {name} follows from the audience's journey."
            raise refused("INVALID_STATE", message, f"/{name}")
