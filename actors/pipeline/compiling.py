"""Makes the steps of a connection, once, from its settings: of those that it uses alone."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

from actors.model.workspaces import ENVIRONMENTS
from actors.pipeline.admission import check_history, in_environments, refusing
from actors.pipeline.app_version import from_version
from actors.pipeline.candidate import Step
from actors.pipeline.connection import ConnectionInfo
from actors.pipeline.data_filter import Filter, filtering
from actors.pipeline.event_types import (
    refuse_eventless,
    supporting,
    without_types,
    younger_than,
)
from actors.pipeline.identities import requiring
from actors.pipeline.points import DataPoint
from actors.pipeline.rules import rule_step
from actors.pipeline.sampling import of_group, sampled
from actors.pipeline.settings import NO_FILTER, AttributionRule, EventAttributeRule
from actors.steps.payload import PayloadSettings, Shape


class Pipeline(NamedTuple):
    """A connection with its steps.

    `shape` is the same object in all pipelines whose payloads look the same: they share the bytes.
    """

    connection: ConnectionInfo
    steps: tuple[Step, ...]
    shape: Shape


Knows = Callable[[int, DataPoint], bool]


def _knows_nothing(_: int, __: DataPoint) -> bool:
    return False


def compile_pipelines(
    connections: Iterable[ConnectionInfo], knows: Knows = _knows_nothing
) -> tuple[Pipeline, ...]:
    """Return the pipelines of some connections, in their order.

    `knows`: tells whether a data point is known to a connection, by its number; asked for those
    that do not get new points.
    """
    shapes: dict[tuple[PayloadSettings, int | None], Shape] = {}
    pipelines = []
    for each in connections:
        of_it = partial(knows, each.number)
        # What connections know is each one's own.
        key = (each.settings, None if each.settings.hidden.sends_new else each.number)
        shape = shapes.get(key)
        if shape is None:
            shape = shapes[key] = Shape(each.settings, of_it)
        pipelines.append(Pipeline(each, tuple(_steps(each, of_it)), shape))
    return tuple(pipelines)


def alias_steps(connection: ConnectionInfo) -> Iterator[Step]:
    """Yield the steps that say whether a connection gets aliases of a user: those about users."""
    yield from _first_steps(connection)
    pipeline = connection.pipeline
    for rule in pipeline.rules:
        if not isinstance(rule, AttributionRule | EventAttributeRule):
            yield rule_step(rule)


def _steps(connection: ConnectionInfo, knows: Callable[[DataPoint], bool]) -> Iterator[Step]:
    """Yield the steps that a connection uses, in the order of spec/connections.md, 2."""
    yield from _first_steps(connection)
    pipeline, settings = connection.pipeline, connection.settings
    if not connection.is_active or not pipeline.is_supported:
        return
    if pipeline.app_versions is not None:
        yield from_version(pipeline.app_versions)
    # Rules on events come after those on the batch.
    for rule in sorted(pipeline.rules, key=lambda each: isinstance(each, EventAttributeRule)):
        yield rule_step(rule)
    if pipeline.filter != NO_FILTER:
        yield filtering(pipeline.filter, knows)
    takes = pipeline.takes
    if takes.event_types is not None:
        yield supporting(takes.event_types)
    if settings.excluded_types:
        yield without_types(settings.excluded_types)
    if not settings.send_batches_without_events:
        yield refuse_eventless
    if takes.max_data_age_hours is not None:
        yield younger_than(takes.max_data_age_hours)
    if takes.required_identities:
        yield requiring(takes.required_identities, Filter(pipeline.filter, knows).shows_identity)


def _first_steps(connection: ConnectionInfo) -> Iterator[Step]:
    """Yield the first four steps; what they refuse always goes no further."""
    if not connection.is_active:
        yield refusing("inactive")
        return
    if not connection.environments.issuperset(ENVIRONMENTS):
        yield in_environments(connection.environments)
    yield check_history
    pipeline = connection.pipeline
    if not pipeline.is_supported:
        yield refusing("unsupported_platform")
        return
    if pipeline.split_group is not None:
        yield of_group(pipeline.split_group)
    if pipeline.sampling is not None:
        yield sampled(pipeline.sampling)
