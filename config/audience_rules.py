"""Rules of the `audiences` section (spec/audiences.md, 2, 8 and 15)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from actors.audiences.criteria import Node
from actors.audiences.language.definition import DefinitionInvalid, read_definition
from actors.audiences.language.problems import DefinitionProblem
from actors.audiences.language.references import (
    AudienceReference,
    CalculatedAttributeReference,
    References,
)
from actors.audiences.readings import DAY_MS
from actors.outputs.subscription_settings import subscription_problems
from config.audience_references import with_numbers
from config.audiences import Audience
from config.calculated import CalculatedAttribute
from config.errors import Found, Location
from config.outputs import Output
from config.workspace import Workspace

MEMBERSHIP = "audience_membership"
_WORKSPACE = 1


class AudienceNames:
    """What definitions of a document may name. Objects get numbers of this check alone."""

    def __init__(
        self,
        workspace: Workspace,
        inputs: Iterable[str],
        attributes: Iterable[CalculatedAttribute],
        audiences: Iterable[Audience],
        audience_ids: Iterable[str],
    ) -> None:
        """Args: ids of inputs and audiences include those of parts that are not well-formed."""
        self._workspace = workspace
        self._inputs = {name: number for number, name in enumerate(sorted(inputs), 1)}
        self._audiences = {name: number for number, name in enumerate(sorted(audience_ids), 1)}
        known = {number: AudienceReference() for number in self._audiences.values()}
        for each in audiences:
            definition = with_numbers(each.definition, self._inputs, self._audiences)
            targets = set(_targets(definition))
            known[self._audiences[each.id]] = AudienceReference(
                reads_membership=bool(targets), is_active=each.active or each.type != "real_time"
            )
        tiers = workspace.event_tiers
        self._references = References(
            workspaces=frozenset({_WORKSPACE}),
            now_ms=0,
            known_inputs=frozenset(self._inputs.values()),
            calculated_attributes=tuple(
                CalculatedAttributeReference(number, each.name, each.active)
                for number, each in enumerate(attributes, 1)
            ),
            audiences=known,
            tiers={each.event: each.tier for each in tiers.overrides},
            default_tier=tiers.default,
        )

    def read(self, audience: Audience) -> tuple[Node | None, list[DefinitionProblem]]:
        """Read an audience's definition: what it means, if it means anything, and what is wrong.

        Pointers begin below the definition.
        """
        number = self._audiences[audience.id]
        is_real_time = audience.type == "real_time"
        kept = {"personalize"} if is_real_time else {"personalize", "preserve"}
        days = self._workspace.retention.audience_event_days
        references = replace(
            self._references,
            inputs=tuple(self._inputs[each] for each in audience.inputs if each in self._inputs),
            audience=number,
            visible_tiers=frozenset(kept),
            lookback_ms=days * DAY_MS if is_real_time else None,
            is_activation=audience.active,
        )
        definition = with_numbers(audience.definition, self._inputs, self._audiences)
        try:
            found = read_definition(definition, references, "")
        except DefinitionInvalid as error:
            return None, error.problems
        return found.node, found.problems


def audience_problems(
    audience: Audience,
    where: Location,
    names: AudienceNames | None,
    inputs: Iterable[str],
    outputs: Mapping[str, Output | None],
) -> Iterator[Found]:
    """List what is wrong with one audience.

    Args:
        audience: well-formed by itself.
        where: its place in the document.
        names: what its definition may name; `None` if too little of the document is well-formed.
        inputs: ids of the document's inputs.
        outputs: by id; `None` for one that is not well-formed.
    """
    known = frozenset(inputs)
    for index, each in enumerate(audience.inputs):
        if each not in known:
            yield (*where, "inputs", index), f"no input with id '{each}'"
    for tag, count in Counter(audience.tags).items():
        if count > 1:
            yield (*where, "tags", audience.tags.index(tag)), "listed twice"
    yield from _type_problems(audience, where)
    yield from _test_problems(audience, where, known)
    if audience.definition is not None and names is not None:
        for problem in names.read(audience)[1]:
            place = _location(problem.path, audience.definition)
            yield (*where, "definition", *place), problem.message.removesuffix(".")
    joined: set[str] = set()
    for index, subscription in enumerate(audience.subscriptions):
        place = (*where, "subscriptions", index)
        if subscription.output not in outputs:
            yield (*place, "output"), f"no output with id '{subscription.output}'"
            continue
        if subscription.output in joined:
            yield (*place, "output"), "is connected already"
        joined.add(subscription.output)
        output = outputs[subscription.output]
        if output is None:
            continue
        if output.kind != "audience":
            yield (*place, "output"), f"an output of kind {output.kind} takes no audience"
        for wrong in subscription_problems(output.module, subscription.settings):
            steps = (wrong.path or "").split("/")[1:]
            yield (*place, *steps), wrong.message.removesuffix(".")
        if subscription.shared_user_attributes and audience.type != "real_time":
            rule = "only a real_time audience can share attributes"
            yield (*place, "shared_user_attributes"), rule


def active_limit_problems(audiences: Mapping[int, Audience], most: int) -> Iterator[Found]:
    """List the audiences that are active beyond what the workspace allows."""
    active = [i for i, each in audiences.items() if each.active and each.type == "real_time"]
    for index in active[most:]:
        yield ("audiences", index, "active"), f"at most {most} audiences can be active"


def _type_problems(audience: Audience, where: Location) -> Iterator[Found]:
    if audience.type == "static" and audience.definition is not None:
        yield (*where, "definition"), "a static audience has a list in place of a definition"
    if audience.type != "static" and audience.definition is None:
        yield (*where, "definition"), "required"
    if audience.type != "standard" and audience.range is not None:
        yield (*where, "range"), "only a standard audience has a range"
    span = audience.range
    if span is not None and span.end != "latest" and span.start > span.end:
        yield (*where, "range", "end"), "must not be before start"
    if audience.tests and audience.type != "real_time":
        yield (*where, "tests"), "only a real_time audience can have tests"


def _test_problems(audience: Audience, where: Location, inputs: frozenset[str]) -> Iterator[Found]:
    for index, test in enumerate(audience.tests):
        place = (*where, "tests", index)
        if not inputs:
            yield place, "a test needs an input of the document"
        for number, event in enumerate(test.events):
            if event.input is not None and event.input not in inputs:
                yield (*place, "events", number, "input"), f"no input with id '{event.input}'"


def _targets(definition: Any) -> Iterator[Any]:
    """Yield the audiences that a definition names, read or not."""
    if isinstance(definition, dict):
        if definition.get("type") == MEMBERSHIP:
            yield definition.get("audience_id")
        for inner in definition.values():
            yield from _targets(inner)
    elif isinstance(definition, list):
        for inner in definition:
            yield from _targets(inner)


def _location(pointer: str, definition: Any) -> Location:
    """Return the place in the document that a JSON pointer into a definition names."""
    location: list[str | int] = []
    value = definition
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isdecimal():
            location.append(int(name))
            value = value[int(name)] if int(name) < len(value) else None
        else:
            location.append(name)
            value = value.get(name) if isinstance(value, dict) else None
    return tuple(location)
