"""Audiences of the workspace document, brought into the registry whenever it was applied.

What the document does not have any more stays, and is nobody's document's once the API has changed
it (spec/connections.md, 10); what was deleted from it goes.
"""

import logging

from msgspec.structs import replace

from actors.audiences.catalog import DocumentAudience
from actors.audiences.core import Core
from actors.audiences.objects import Audience, Definition, Subscription
from actors.audiences.readings import Frame
from actors.audiences.registry import forget_audience
from actors.audiences.rules import (
    RUNNING,
    check_name,
    check_places,
    check_reach,
    check_unreferenced,
    refused,
)
from actors.audiences.state import AudienceState
from actors.errors import AudienceRefused

logger = logging.getLogger("headwater.audiences")

ACTOR = "config"


def apply_document(core: Core, *, tells_anew: bool) -> None:
    """Make the registry have what the document says; nothing is written if it does.

    The document was checked when it was loaded. What no longer fits what was made through the API
    is logged, and left as it was.

    Args:
        core: has the document.
        tells_anew: shards were told by another document, and what they are told may be different
            though the audiences are the same.

    Raises:
        StoreFull: nothing was changed.
    """
    with core.changing() as changed:
        names = {each.id for each in core.catalog.audiences} | core.catalog.left
        _delete(core, changed)
        for audience in list(changed.audiences.values()):
            if audience.document_id is not None and audience.document_id not in names:
                changed.put(replace(audience, document_id=None))
        for wanted in core.catalog.audiences:
            try:
                _apply(core, changed, wanted)
            except AudienceRefused as error:
                logger.error(
                    "an audience of the workspace document was not taken over",
                    extra={
                        "event": "audience_not_applied",
                        "audience": wanted.number,
                        "problem": error.problems[0].message,
                    },
                )
        if changed != core.state or (tells_anew and changed.audiences):
            changed.tell_shards()


def _delete(core: Core, state: AudienceState) -> None:
    """Delete what was deleted from the document, those first that nothing refers to."""
    problems: dict[int, str] = {}
    while deleted := core.catalog.deleted & state.audiences.keys() - problems.keys():
        problems = {}
        for number in deleted:
            try:
                check_unreferenced(state, core.readings, number)
            except AudienceRefused as error:
                problems[number] = error.problems[0].message
            else:
                forget_audience(state, number, core.clock.now_ms())
        if len(problems) < len(deleted):
            problems = {}
    for number, problem in problems.items():
        logger.error(
            "an audience that was deleted from the workspace document stays",
            extra={"event": "audience_not_deleted", "audience": number, "problem": problem},
        )


def _apply(core: Core, state: AudienceState, wanted: DocumentAudience) -> None:
    former = state.audiences.get(wanted.number)
    check_places(core.catalog, core.neighbours(), wanted.workspaces, wanted.inputs)
    definition = None if former is None else former.definition
    if wanted.definition is None:
        definition = None
    elif (
        definition is None
        or definition.sent != wanted.definition
        or (former is not None and former.workspaces != wanted.workspaces)
    ):
        definition = _read(core, state, wanted, definition)
    now_ms = core.clock.now_ms()
    if former is None:
        former = Audience(
            number=wanted.number,
            name=wanted.name,
            external_name=wanted.external_name,
            type=wanted.type,
            environment=wanted.environment,
            workspaces=wanted.workspaces,
            inputs=wanted.inputs,
            tags=wanted.tags,
            definition=definition,
            status="draft",
            revision=1,
            account=core.catalog.account,
            created_by=ACTOR,
            created_ms=now_ms,
            last_modified_by=ACTOR,
            last_modified_ms=now_ms,
            default_level=state.counters.default_level,
        )
    check_name(core.names(state, with_documents=False), wanted.name, wanted.number)
    if former.type != wanted.type:
        message = f"Audience {wanted.number} is of type {former.type}."
        raise refused("INVALID_STATE", message)
    check_reach(former, wanted.workspaces)
    after = replace(
        former,
        name=wanted.name,
        external_name=wanted.external_name,
        type=wanted.type,
        environment=wanted.environment,
        workspaces=wanted.workspaces,
        inputs=wanted.inputs,
        tags=wanted.tags,
        definition=definition,
        range=wanted.range,
        document_id=wanted.id,
    )
    if _meaning(after) != _meaning(former):
        after = replace(after, revision=former.revision + 1)
    if wanted.is_active and wanted.type != "standard":
        is_changed = after.revision != former.revision or former.status not in RUNNING
        after = replace(after, status="activating" if is_changed else former.status)
    elif after.status in RUNNING:
        after = replace(after, status="inactive")
    if after != former:  # also of a new one: the document has it now
        state.put(replace(after, last_modified_by=ACTOR, last_modified_ms=now_ms))
    _subscribe(core, state, wanted)


def _read(
    core: Core, state: AudienceState, wanted: DocumentAudience, former: Definition | None
) -> Definition:
    frame = Frame(
        number=wanted.number,
        type=wanted.type,
        workspaces=wanted.workspaces,
        inputs=wanted.inputs,
    )
    definition, _ = core.readings.read(wanted.definition, frame, state)
    is_same = former is not None and former.canonical == definition.canonical
    return definition if former is None or not is_same else replace(former, sent=definition.sent)


def _subscribe(core: Core, state: AudienceState, wanted: DocumentAudience) -> None:
    """Keep the subscriptions of an audience as the document has them."""
    former = {
        each.output: each for each in state.subscriptions_of(wanted.number) if each.receiver is None
    }
    for each in wanted.subscriptions:
        kept = former.pop(each.output, None)
        if kept is None:
            kept = Subscription(
                number=state.take("next_subscription"),
                audience=wanted.number,
                variation=None,
                output=each.output,
                is_active=each.is_active,
                settings=each.settings,
                created_by=ACTOR,
                created_ms=core.clock.now_ms(),
            )
        after = replace(
            kept.sharing(each.shared_user_attributes),
            is_active=each.is_active,
            settings=each.settings,
            is_of_document=True,
        )
        if after != kept:  # also of a new one, likewise
            state.put_subscription(after)
    for gone in former.values():
        if gone.is_of_document:
            state.end_subscription(gone.number, core.clock.now_ms())


def _meaning(audience: Audience) -> tuple[object, ...]:
    canonical = audience.definition and audience.definition.canonical
    places = (audience.workspaces, audience.inputs)
    return (canonical, places, audience.range, audience.environment)
