"""Rules of the `audiences` section (spec/audiences.md, 2, 8 and 15)."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from actors.audiences.criteria import Node
from actors.audiences.language.definition import DefinitionInvalid, read_definition
from actors.audiences.language.problems import DefinitionProblem
from actors.audiences.language.references import (
    AudienceReference,
    CalculatedAttributeReference,
    References,
)
from actors.audiences.readings import DAY_MS, strictest_tiers
from actors.outputs.subscription_settings import subscription_problems
from config.audience_references import NumbersOfIds, with_numbers
from config.audiences import Audience
from config.calculated import CalculatedAttribute
from config.errors import Found, Location
from config.outputs import Output
from config.workspace import Workspace

MEMBERSHIP = "audience_membership"


class AudiencePlace(NamedTuple):
    """A workspace as far as audiences depend on it; the ids of its inputs include those of inputs
    that are not well-formed."""

    workspace: Workspace
    inputs: Collection[str]
    attributes: Collection[CalculatedAttribute]


class AudienceNames:
    """What definitions of a document may name. Objects get numbers of this check alone.

    `home`: id of the workspace of the document.
    """

    def __init__(
        self,
        home: AudiencePlace,
        audiences: Iterable[Audience],
        audience_ids: Iterable[str],
        others: Sequence[AudiencePlace] = (),
    ) -> None:
        """Set up.

        Args:
            home: the workspace of the document.
            audiences: of the document.
            audience_ids: those of audiences that are not well-formed, too.
            others: the workspaces that audiences over several may be about.
        """
        self.home = home.workspace.id
        self._places = {each.workspace.id: each for each in (home, *others)}
        inputs = [(name, each) for name, place in self._places.items() for each in place.inputs]
        numbers = {f"{name}/{each}": number for number, (name, each) in enumerate(inputs, 1)}
        self._names = NumbersOfIds(
            workspaces={name: number for number, name in enumerate(self._places, 1)},
            inputs=numbers | {each: numbers[f"{self.home}/{each}"] for each in home.inputs},
            audiences={name: number for number, name in enumerate(sorted(audience_ids), 1)},
        )
        self._known = {number: AudienceReference() for number in self._names.audiences.values()}
        self._joint: set[int] = set()
        for each in audiences:
            number = self._names.audiences[each.id]
            self._known[number] = AudienceReference(
                reads_membership=bool(list(_targets(each.definition))),
                is_active=each.active or each.type != "real_time",
            )
            if each.is_joint:
                self._joint.add(number)

    def read(self, audience: Audience) -> tuple[Node | None, list[DefinitionProblem]]:
        """Read an audience's definition: what it means, if it means anything, and what is wrong.

        Pointers begin below the definition.
        """
        definition = with_numbers(audience.definition, self._names)
        try:
            found = read_definition(definition, self._references(audience), "")
        except DefinitionInvalid as error:
            return None, error.problems
        return found.node, found.problems

    def _references(self, audience: Audience) -> References:
        wanted = {self.home, *audience.workspaces}
        places = [place for name, place in self._places.items() if name in wanted]
        is_real_time = audience.type == "real_time"
        kept = {"personalize"} if is_real_time else {"personalize", "preserve"}
        days = self._places[self.home].workspace.retention.audience_event_days
        default_tier, tiers = strictest_tiers([_tiers(each.workspace) for each in places])
        attributes = [each for place in places for each in place.attributes]
        active = {each.name for each in attributes if each.active}
        names, inputs = self._names, self._names.inputs
        return References(
            workspaces=frozenset(names.workspaces[each.workspace.id] for each in places),
            now_ms=0,
            inputs=tuple(inputs[each] for each in audience.inputs if each in inputs),
            known_inputs=frozenset(
                inputs[f"{place.workspace.id}/{each}"] for place in places for each in place.inputs
            ),
            calculated_attributes=tuple(
                CalculatedAttributeReference(number, name, name in active)
                for number, name in enumerate(dict.fromkeys(each.name for each in attributes), 1)
            ),
            audiences={
                number: replace(each, is_elsewhere=number in self._joint and not audience.is_joint)
                for number, each in self._known.items()
            },
            audience=names.audiences[audience.id],
            tiers=tiers,
            default_tier=default_tier,
            visible_tiers=frozenset(kept),
            lookback_ms=days * DAY_MS if is_real_time else None,
            is_activation=audience.active,
        )


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
    if names is not None:
        yield from _workspace_problems(audience, where, names.home)
    for index, each in enumerate(audience.inputs):
        workspace, _, name = each.rpartition("/")
        is_own = not workspace or (names is not None and workspace == names.home)
        if is_own and name not in known:
            yield (*where, "inputs", index), f"no input with id '{name}'"
    for tag, count in Counter(audience.tags).items():
        if count > 1:
            yield (*where, "tags", audience.tags.index(tag)), "listed twice"
    yield from _type_problems(audience, where)
    if names is not None:
        yield from _test_problems(audience, where, names.home, known)
    if names is not None and not audience.is_joint:  # that needs the other documents
        yield from definition_problems(audience, where, names)
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


def definition_problems(
    audience: Audience, where: Location, names: AudienceNames
) -> Iterator[Found]:
    """List what is wrong with an audience's definition."""
    if audience.definition is not None:
        for problem in names.read(audience)[1]:
            place = _location(problem.path, audience.definition)
            yield (*where, "definition", *place), problem.message.removesuffix(".")


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


def _workspace_problems(audience: Audience, where: Location, home: str) -> Iterator[Found]:
    if audience.workspaces and home not in audience.workspaces:
        yield (*where, "workspaces"), f"'{home}', in whose document it is, must be one of them"
    for workspace, count in Counter(audience.workspaces).items():
        if count > 1:
            place = (*where, "workspaces", audience.workspaces.index(workspace))
            yield place, "listed twice"
    for index, each in enumerate(audience.inputs):
        workspace = each.rpartition("/")[0]
        if workspace and workspace not in (home, *audience.workspaces):
            yield (*where, "inputs", index), f"'{workspace}' is no workspace of the audience"


def _tiers(workspace: Workspace) -> tuple[str, dict[str, str]]:
    rules = workspace.event_tiers
    return rules.default, {each.event: each.tier for each in rules.overrides}


def _test_problems(
    audience: Audience, where: Location, home: str, inputs: frozenset[str]
) -> Iterator[Found]:
    others = frozenset(audience.workspaces) - {home}
    for index, test in enumerate(audience.tests):
        place = (*where, "tests", index)
        if not inputs:
            yield place, "a test needs an input of the document"
        for workspace in test.workspaces:
            if workspace not in others:
                problem = f"'{workspace}' is no other workspace of the audience"
                yield (*place, "workspaces", workspace), problem
        for number, event in enumerate(test.events):
            workspace, _, name = (event.input or "").rpartition("/")
            at = (*place, "events", number, "input")
            if workspace in ("", home):
                if event.input is not None and name not in inputs:
                    yield at, f"no input with id '{name}'"
            elif workspace not in others:
                yield at, f"'{workspace}' is no workspace of the audience"


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
