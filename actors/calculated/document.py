"""Calculated attributes of the workspace document, brought into the registry when it was applied.

What the document does not have any more stays, and is nobody's document's once the API has changed
it (spec/connections.md, 10); what was deleted from it goes.
"""

import logging

from msgspec.structs import replace

from actors.calculated.keeper import Registry, RegistryKeeper
from actors.calculated.objects import CalculatedAttribute, CalculatedCatalog, DocumentAttribute
from actors.calculated.reading import canonical

logger = logging.getLogger("headwater.calculated")

ACTOR = "config"


def apply_document(keeper: RegistryKeeper, catalog: CalculatedCatalog, now_ms: int) -> None:
    """Make the registry have what the document says. Raises StoreFull.

    The document was checked when it was loaded. A name that was given to another attribute through
    the API since is logged, and the document's attribute left out.
    """
    ids = {each.id for each in catalog.attributes} | catalog.left
    with keeper.changing() as changed:
        for number in catalog.deleted & changed.attributes.keys():
            del changed.attributes[number]
        for attribute in changed.listed():
            if attribute.document_id is not None and attribute.document_id not in ids:
                changed.put(replace(attribute, document_id=None))
        for wanted in catalog.attributes:
            _apply(changed, wanted, now_ms)
        if _told(changed) != _told(keeper.registry):
            changed.tell_shards()


def _apply(registry: Registry, wanted: DocumentAttribute, now_ms: int) -> None:
    others = (each for each in registry.attributes.values() if each.number != wanted.number)
    if any(each.name == wanted.name for each in others):
        logger.error(
            "a calculated attribute of the workspace document was not taken over",
            extra={"event": "calculated_not_applied", "calculated": wanted.number},
        )
        return
    definition = canonical(wanted.definition)
    former = registry.attributes.get(wanted.number)
    if former is None:
        former = CalculatedAttribute(
            number=wanted.number,
            name=wanted.name,
            description=wanted.description,
            draft=None,
            active=None,
            created_by=ACTOR,
            created_ms=now_ms,
            last_modified_by=ACTOR,
            last_modified_ms=now_ms,
        )
    after = replace(
        former,
        name=wanted.name,
        description=wanted.description,
        draft=None if wanted.is_active else definition,
        active=definition if wanted.is_active else None,
        document_id=wanted.id,
    )
    if wanted.is_active and (former.active != definition or former.name != wanted.name):
        after = replace(
            after, revision=former.revision + 1, activated_by=ACTOR, activated_ms=now_ms
        )
    if after != former:  # also of a new one: it has a definition now
        registry.put(replace(after, last_modified_by=ACTOR, last_modified_ms=now_ms))


def _told(registry: Registry) -> dict[int, tuple[int, bool]]:
    """Return what shards have to know of each attribute: its revision, and whether it is active."""
    return {each.number: (each.revision, each.active is not None) for each in registry.listed()}
