"""What can be done to an attribute, and the messages of what cannot (6.2, 10).

Source: spec/calculated-attributes.md.
"""

from typing import Any

from actors.calculated.definition import Definition
from actors.calculated.messages import in_order
from actors.calculated.objects import AttributeFields, CalculatedAttribute, CalculatedCatalog
from actors.calculated.validation import Bounds, check_definition, is_name
from actors.errors import CalculatedRefused, HeldByFile

MAX_NAME_LENGTH = 256
MAX_DESCRIPTION_LENGTH = 1000

NAME_FIXED = (
    "Calculated attribute name cannot be changed once the calculated attribute has been activated."
)
LIMIT_REACHED = "You have reached the account limit on active calculated attributes."
NAME_TAKEN = "Field 'name' must be unique."
NO_DRAFT = "No draft definition was found to activate."
IN_USE = "Calculated attribute is in use."
MANAGED = "Managed by configuration file."
WRONG_TIER = "The event of a calculated attribute must be of tier personalize."


def check_fields(
    fields: AttributeFields,
    former: CalculatedAttribute | None,
    taken: frozenset[str],
    catalog: CalculatedCatalog,
    now_ms: int,
) -> None:
    """Check what a request says of an attribute.

    Args:
        fields: of the request.
        former: the attribute as it is, `None` for a new one.
        taken: names of all others.
        catalog: of the workspace.
        now_ms: instant of the request.

    Raises:
        CalculatedRefused: with all that is wrong.
    """
    messages = []
    if former is None or fields.name is not None:
        messages += _name_messages(fields.name, former, taken)
    if fields.description is not None and not _is_text(fields.description, MAX_DESCRIPTION_LENGTH):
        messages.append(
            f"Field 'description' must be a text of at most {MAX_DESCRIPTION_LENGTH} characters."
        )
    definition = fields.draft_definition
    if isinstance(definition, dict):
        bounds = Bounds(catalog.retention_days, catalog.has_extended_windows)
        messages += check_definition(definition, bounds, now_ms)
    elif former is None or definition is not None:
        messages.append("Field 'draft_definition' is required.")
    if messages:
        raise CalculatedRefused("VALIDATION_ERROR", in_order(messages))


def check_unmanaged(attribute: CalculatedAttribute, catalog: CalculatedCatalog) -> None:
    """Check that the API may change an attribute.

    Raises:
        CalculatedRefused: a configuration file has it (spec/connections.md, 10).
        HeldByFile: likewise, but the workspace lets the API change what files have, or the last
            file does not have it any more.
    """
    if attribute.document_id is None:
        return
    if catalog.allow_api_edits or attribute.document_id in catalog.left:
        raise HeldByFile("calculated_attributes", attribute.document_id)
    raise CalculatedRefused("CONFLICT", [MANAGED])


def check_tier(definition: Definition, catalog: CalculatedCatalog) -> None:
    """Check that the event of a definition is one that is looked at. Raises CalculatedRefused.

    A definition over events of any name is of the default tier.
    """
    name = event_of(definition)
    tier = catalog.default_tier if name is None else catalog.tiers.get(name, catalog.default_tier)
    if tier != "personalize":
        raise CalculatedRefused("TIER_NOT_PERSONALIZE", [WRONG_TIER])


def event_of(definition: Definition) -> str | None:
    """Return the name of the event's data point; `None` if events of any name count."""
    datapoint = definition.datapoint
    if datapoint.event_type == "commerce_event":
        return datapoint.action
    if datapoint.event_type not in ("custom_event", "screen_view"):
        return datapoint.event_type
    return datapoint.event_name


def _name_messages(
    name: Any, former: CalculatedAttribute | None, taken: frozenset[str]
) -> list[str]:
    if not is_name(name):
        return ["Field 'name' is required."]
    if len(name) > MAX_NAME_LENGTH:
        return [f"Field 'name' must be a text of at most {MAX_NAME_LENGTH} characters."]
    if name in taken:
        return [NAME_TAKEN]
    if former is not None and former.activated_ms is not None and name != former.name:
        return [NAME_FIXED]
    return []


def _is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most
