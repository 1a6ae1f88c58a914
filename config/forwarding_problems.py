"""What of a connection's forwarding does not fit the objects around it (spec/connections.md, 2)."""

from collections.abc import Iterator

from actors.pipeline.settings import DataFilter
from config.errors import Found, Location
from config.forwarding import ConsentRule, Filters
from config.inputs import Input
from config.outputs import Connection, Output
from config.pipelines import compiled_filter, data_filter, mapping_key
from config.workspace import Regulations

BOTH = "cannot be on and off"


def forwarding_problems(
    connection: Connection,
    where: Location,
    output: Output | None,
    source: Input | None,
    regulations: Regulations | None,
) -> Iterator[Found]:
    """List the problems.

    Args:
        connection: well-formed.
        where: its place in the document.
        output, source: what it joins, `None` where that is unknown, faulty or built-in.
        regulations: of the workspace, `None` if they are faulty.
    """
    yield from filter_problems(connection.filters, (*where, "filters"))
    if regulations is not None:
        yield from _consent_problems(connection, where, regulations)
    if output is None:
        return
    if source is not None:
        yield from _split_problems(connection, where, output, source)
    yield from _mapping_problems(connection, where, output)


def _consent_problems(
    connection: Connection, where: Location, regulations: Regulations
) -> Iterator[Found]:
    for index, rule in enumerate(connection.forwarding_rules):
        if not isinstance(rule, ConsentRule):
            continue
        for place, each in enumerate(rule.purposes):
            at = (*where, "forwarding_rules", index, "purposes", place)
            if not getattr(regulations, each.regulation).enabled:
                yield (*at, "regulation"), f"workspace.regulations.{each.regulation} is not enabled"
            elif each.regulation == "gdpr" and each.purpose not in regulations.gdpr.purposes:
                yield (*at, "purpose"), f"the workspace has no GDPR purpose '{each.purpose}'"


def _split_problems(
    connection: Connection, where: Location, output: Output, source: Input
) -> Iterator[Found]:
    group = connection.settings_with_defaults(output).get("user_split_group")
    if not isinstance(group, str):  # absent, or reported with the other settings
        return
    groups = () if source.user_split is None else source.user_split.groups
    if group not in [each.name for each in groups]:
        problem = f"the user split of input '{source.id}' has no group '{group}'"
        yield (*where, "settings", "user_split_group"), problem


def _mapping_problems(connection: Connection, where: Location, output: Output) -> Iterator[Found]:
    for index in hidden_mappings(connection, output):
        yield (*where, "custom_mappings", index), "the filter switches these events off"


def hidden_mappings(connection: Connection, output: Output) -> Iterator[int]:
    """Yield the places of custom mappings whose events the filter switches off."""
    if not connection.custom_mappings:
        return
    switched_off = data_filter(connection, output)
    for index, mapping in enumerate(connection.custom_mappings):
        event_type, name = key = mapping_key(mapping.source)
        if (
            event_type in switched_off.event_types | switched_off.commerce
            or key in switched_off.events
            or (event_type == "screen_view" and name in switched_off.screens)
        ):
            yield index


def filter_problems(filters: Filters, where: Location) -> Iterator[Found]:
    """List points that are on although they, or what they belong to, are off in the same place.

    Args:
        filters: of an output or a connection.
        where: their place in the document.
    """
    off = compiled_filter(filters)
    for index, event in enumerate(filters.events.enabled):
        if problem := _event_problem(off, event.event_type, event.name):
            yield (*where, "events", "enabled", index), problem
    for index, each in enumerate(filters.event_attributes.enabled):
        at = (*where, "event_attributes", "enabled", index)
        if problem := _event_problem(off, each.event_type, each.name):
            yield at, problem
        elif (each.event_type, each.name, each.attribute) in off.event_attributes:
            yield at, BOTH
    for index, shown in enumerate(filters.screen_attributes.enabled):
        at = (*where, "screen_attributes", "enabled", index)
        if shown.name in off.screens:
            yield at, f"screen '{shown.name}' is off"
        elif (shown.name, shown.attribute) in off.screen_attributes:
            yield at, BOTH
    for index, bought in enumerate(filters.commerce_attributes.enabled):
        at = (*where, "commerce_attributes", "enabled", index)
        if bought.event_type in off.commerce:
            yield at, f"{bought.event_type} is off"
        elif (bought.event_type, bought.attribute) in off.commerce_attributes:
            yield at, BOTH
    for index, name in enumerate(filters.user_attributes.enabled):
        if not off.has_user_attributes:
            yield (*where, "user_attributes", "enabled", index), "all user attributes are off"
        elif name in off.user_attributes:
            yield (*where, "user_attributes", "enabled", index), BOTH
    for section, switched in (
        ("screens", off.screens),
        ("commerce", off.commerce),
        ("user_identities", off.user_identities),
    ):
        for index, name in enumerate(getattr(filters, section).enabled):
            if name in switched:
                yield (*where, section, "enabled", index), BOTH


def _event_problem(off: DataFilter, event_type: str, name: str) -> str | None:
    if event_type in off.event_types:
        return f"event type '{event_type}' is off"
    return f"event '{name}' is off" if (event_type, name) in off.events else None
