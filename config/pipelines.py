"""What connections let through, made of the workspace document."""

import itertools
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace
from pydantic import ValidationError

from actors.calculated.feed import FEED_ID
from actors.model.workspaces import UserSplit
from actors.outputs.module import OutputModule
from actors.pipeline import settings
from actors.pipeline.app_version import parse_version
from actors.pipeline.points import DataPoint
from actors.pipeline.settings import DataFilter, EventKey, PipelineSettings, Takes
from config import forwarding
from config.forwarding import Filters
from config.inputs import Input
from config.outputs import Connection, Output


def takes_of(output: Output, module: OutputModule) -> Takes:
    """Return what an output takes: by its settings for production, if that is enabled.

    Raises:
        ValidationError: the settings do not fit the module.
    """
    enabled = output.enabled_environments
    if not enabled:
        return Takes()
    return module.takes(module.settings_model.model_validate(output.settings_in(enabled[0])))


def platform_problem(source: Input, output: Output, module: OutputModule) -> str | None:
    """Return why an output cannot take what an input brings, `None` if it can."""
    if source.is_unbound and not module.accepts_unbound:
        return "does not accept unbound feeds"
    try:
        takes = takes_of(output, module)
    except ValidationError:  # reported where the output is checked
        return None
    if _is_supported(source, takes):
        return None
    if source.is_unbound:
        return "does not accept unbound feeds"
    return f"does not support platform '{source.os}'"


def pipeline_settings(
    connection: Connection,
    output: Output,
    module: OutputModule,
    source: Input | None,
    split_group: str | None,
    login_ids: frozenset[str],
) -> PipelineSettings:
    """Compile what a connection lets through.

    Args:
        connection, output: as the document has them; `module`: the output's.
        source: the input, `None` if it is a built-in feed.
        split_group: the group of the input's user split that is forwarded, `None`: all.
        login_ids: of the identity strategy.
    """
    takes = takes_of(output, module)
    least = connection.min_app_version
    return PipelineSettings(
        takes=takes,
        is_supported=source is None or _is_supported(source, takes),
        split_group=None if source is None else split_group,
        sampling=_sampling(connection),
        app_versions=(
            None
            if least is None
            else settings.AppVersions(
                parse_version(least) or (), takes_unknown=source is None or source.kind == "feed"
            )
        ),
        rules=tuple(_rule(each, login_ids) for each in connection.forwarding_rules),
        filter=data_filter(connection, output),
    )


def data_filter(connection: Connection, output: Output) -> DataFilter:
    """Return what is switched off on a connection or on its output."""
    own, shared = compiled_filter(connection.filters), compiled_filter(output.filters)
    joined: dict[str, Any] = {
        name: getattr(own, name) | getattr(shared, name)
        for name in DataFilter.__struct_fields__
        if name not in ("has_user_attributes", "sends_new")
    }
    sends_new = output.send_new_data_points_by_default or connection.input == FEED_ID
    if sends_new:
        joined["enabled"] = frozenset()  # it would change nothing
    return DataFilter(
        **joined,
        has_user_attributes=own.has_user_attributes and shared.has_user_attributes,
        sends_new=sends_new,
    )


def hidden_parts(filter_: DataFilter) -> DataFilter:
    """Return what a filter removes from payloads, without the events that it leaves out."""
    nothing: frozenset[Any] = frozenset()
    return replace(filter_, event_types=nothing, events=nothing, screens=nothing, commerce=nothing)


def mappings(connection: Connection) -> tuple[settings.CustomMapping, ...]:
    """Compile the custom mappings of a connection."""
    return tuple(_mapping(each) for each in connection.custom_mappings)


def split_of(source: Input) -> UserSplit | None:
    """Compile the user split of an input, if it has one."""
    split = source.user_split
    if split is None:
        return None
    ends = itertools.accumulate(round(each.percentage * 100) for each in split.groups)
    names = (each.name for each in split.groups)
    return UserSplit(split.id, tuple(zip(names, ends, strict=True)))


def mapping_key(source: forwarding.MappingSource) -> EventKey:
    """Return what the events of a mapping are found by (`actors.pipeline.names.event_key`)."""
    action = source.action
    if action is None:
        return source.event_type, source.event_name or ""
    if action == "impression":
        return "product_impression", ""
    return (action if action.startswith("promotion_") else f"product_{action}"), ""


def _is_supported(source: Input, takes: Takes) -> bool:
    return takes.platforms is None or source.os in takes.platforms


def _sampling(connection: Connection) -> settings.Sampling | None:
    sampling = connection.sampling
    if sampling is None:
        return None
    salt = connection.output if sampling.salt is None else sampling.salt
    return settings.Sampling(salt, round(sampling.percentage * 100))


def _rule(rule: forwarding.ForwardingRule, login_ids: frozenset[str]) -> settings.Rule:
    includes = rule.action == "include"
    match rule:
        case forwarding.EventAttributeRule():
            return settings.EventAttributeRule(includes, rule.name, rule.value)
        case forwarding.UserAttributeRule():
            return settings.UserAttributeRule(includes, rule.name, rule.value)
        case forwarding.AttributionRule():
            return settings.AttributionRule(
                includes, rule.publisher, rule.service_provider, rule.campaign
            )
        case forwarding.ConsentRule():
            purposes = tuple(
                (each.regulation, each.purpose, each.has_consented) for each in rule.purposes
            )
            return settings.ConsentRule(includes, purposes)
        case forwarding.IdSyncRule():
            return settings.IdSyncRule(login_ids)


def compiled_filter(filters: Filters) -> DataFilter:
    """Compile what is switched in one place of the document."""
    return DataFilter(
        event_types=frozenset(filters.event_types.disabled),
        events=frozenset((each.event_type, each.name) for each in filters.events.disabled),
        event_attributes=frozenset(
            (each.event_type, each.name, each.attribute)
            for each in filters.event_attributes.disabled
        ),
        screens=frozenset(filters.screens.disabled),
        screen_attributes=frozenset(
            (each.name, each.attribute) for each in filters.screen_attributes.disabled
        ),
        commerce=frozenset(filters.commerce.disabled),
        commerce_attributes=frozenset(
            (each.event_type, each.attribute) for each in filters.commerce_attributes.disabled
        ),
        user_attributes=frozenset(filters.user_attributes.disabled),
        user_identities=frozenset(filters.user_identities.disabled),
        has_user_attributes=filters.user_attributes.all,
        enabled=frozenset(_enabled(filters)),
    )


def _enabled(filters: Filters) -> Iterator[DataPoint]:
    for event in filters.events.enabled:
        yield DataPoint("Event", event.event_type, event.name)
    for each in filters.event_attributes.enabled:
        yield DataPoint("EventAttribute", each.event_type, each.name, each.attribute)
    for screen in filters.screens.enabled:
        yield DataPoint("ScreenView", "", screen)
    for shown in filters.screen_attributes.enabled:
        yield DataPoint("ScreenViewAttribute", "", shown.name, shown.attribute)
    for key in filters.commerce.enabled:
        yield DataPoint("Commerce", key)
    for bought in filters.commerce_attributes.enabled:
        yield DataPoint("CommerceAttribute", bought.event_type, "", bought.attribute)
    for name in filters.user_attributes.enabled:
        yield DataPoint("UserAttribute", "", name)
    for name in filters.user_identities.enabled:
        yield DataPoint("UserIdentity", "", name)


def _mapping(mapping: forwarding.CustomMapping) -> settings.CustomMapping:
    properties = mapping.target.properties
    return settings.CustomMapping(
        mapping_key(mapping.source),
        mapping.target.name,
        None
        if properties is None
        else tuple((name, _property(each)) for name, each in properties.items()),
    )


def _property(source: forwarding.Property) -> str | settings.Fixed:
    return settings.Fixed(source.literal or "") if source.attribute is None else source.attribute
