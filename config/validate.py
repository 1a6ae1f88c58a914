"""Rules across the objects of a workspace document (spec/connections.md, 1 and 10)."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from actors.calculated.feed import FEED_ID
from actors.outputs.module import OutputModule
from config.audience_rules import (
    AudienceNames,
    AudiencePlace,
    audience_problems,
)
from config.audiences import Audience
from config.calculated import CalculatedAttribute, calculated_problems
from config.cookie_sync import cookie_sync_problems
from config.data_plans import DataPlan, plan_problems
from config.dsr import dsr_problems
from config.errors import Found, Location
from config.forwarding_problems import filter_problems, forwarding_problems
from config.identity import IdentitySettings, identity_problems
from config.inputs import Input, input_problems
from config.module_settings import (
    NOTHING,
    Layer,
    connection_model,
    layer_problems,
    output_problems,
)
from config.outputs import DSR, NO_INPUT, Connection, Output
from config.pipelines import platform_problem
from config.workspace import ApiCredential, Workspace, workspace_problems

AnyModel = TypeVar("AnyModel", bound=BaseModel)
Place = TypeVar("Place")
SECTIONS = (
    *("inputs", "outputs", "connections", "calculated_attributes", "audiences"),
    "data_plans",
)
Numbered = Input | Output | Connection | CalculatedAttribute | Audience | DataPlan
KINDS_WITH_INPUT = ("event", "data_warehouse", "cookie_sync")


class Parts(NamedTuple):
    """The well-formed parts of a document, each under its index.

    A part that is not well-formed is left out here, its id still counts in `ids`: so one mistake
    neither hides the mistakes elsewhere nor makes new ones out of references to that part.
    """

    workspace: Workspace | None
    identity: IdentitySettings | None
    credentials: dict[int, ApiCredential]
    inputs: dict[int, Input]
    outputs: dict[int, Output]
    connections: dict[int, Connection]
    calculated_attributes: dict[int, CalculatedAttribute]
    audiences: dict[int, Audience]
    data_plans: dict[int, DataPlan]
    ids: dict[str, set[str]]


def parts_of(data: Mapping[str, Any]) -> Parts:
    """Take apart what was read from a file."""
    return Parts(
        workspace=_parse(Workspace, data.get("workspace")),
        identity=_parse(IdentitySettings, data.get("identity", {})),
        credentials=_parse_list(ApiCredential, data.get("api_credentials")),
        inputs=_parse_list(Input, data.get("inputs")),
        outputs=_parse_list(Output, data.get("outputs")),
        connections=_parse_list(Connection, data.get("connections")),
        calculated_attributes=_parse_list(CalculatedAttribute, data.get("calculated_attributes")),
        audiences=_parse_list(Audience, data.get("audiences")),
        data_plans=_parse_list(DataPlan, data.get("data_plans")),
        ids={
            section: {
                part["id"]
                for part in _as_list(data.get(section))
                if isinstance(part, dict) and isinstance(part.get("id"), str)
            }
            for section in SECTIONS
        },
    )


def part_problems(
    parts: Parts, modules: Mapping[str, OutputModule], strategies: Collection[str]
) -> Iterator[Found]:
    """List everything that does not fit together; the same problem may come twice.

    Args:
        parts: the well-formed parts of one document.
        modules: output modules by name.
        strategies: names of the identity strategies.
    """
    if parts.workspace is not None:
        yield from workspace_problems(parts.workspace)
    if parts.identity is not None:
        yield from identity_problems(parts.identity, strategies)
    yield from _repeated_names(parts)
    for index, source in parts.inputs.items():
        yield from input_problems(source, ("inputs", index))
    for index, output in parts.outputs.items():
        yield from output_problems(output, ("outputs", index), modules)
        yield from filter_problems(output.filters, ("outputs", index, "filters"))
    yield from _connection_problems(parts, modules)
    yield from _audience_problems(parts)
    for index, plan in parts.data_plans.items():
        yield from plan_problems(plan, ("data_plans", index), _outputs(parts), modules)


def _as_list(section: object) -> list[Any]:
    return section if isinstance(section, list) else []


def _parse(model: type[AnyModel], data: object) -> AnyModel | None:
    try:
        return model.model_validate(data)
    except ValidationError:  # reported by the validation of the whole document
        return None


def _parse_list(model: type[AnyModel], section: object) -> dict[int, AnyModel]:
    parsed = ((index, _parse(model, part)) for index, part in enumerate(_as_list(section)))
    return {index: part for index, part in parsed if part is not None}


def repeated(
    entries: Iterable[tuple[Place, object, str]], problem: str = "already used by"
) -> Iterator[tuple[Place, str]]:
    """List the places that share a value, each naming another place's owner.

    Args:
        entries: place, value, and what a message calls the value's owner.
        problem: what is said before the owner.
    """
    places: defaultdict[object, list[tuple[Place, str]]] = defaultdict(list)
    for where, value, owner in entries:
        places[value].append((where, owner))
    for holders in places.values():
        for where, _ in holders:
            for other, owner in holders:
                if other != where:
                    yield where, f"{problem} {owner}"
                    break


def _repeated_names(parts: Parts) -> Iterator[Found]:
    sections: dict[str, Mapping[int, Numbered]] = {
        "inputs": parts.inputs,
        "outputs": parts.outputs,
        "connections": parts.connections,
        "calculated_attributes": parts.calculated_attributes,
        "audiences": parts.audiences,
        "data_plans": parts.data_plans,
    }
    for section, objects in sections.items():
        kind = section.removesuffix("s").replace("_", " ")
        yield from repeated(
            ((section, index, "id"), each.id, f"another {kind}") for index, each in objects.items()
        )
        yield from repeated(
            ((section, index, "number"), each.number, f"{kind} '{each.id}'")
            for index, each in objects.items()
            if each.number is not None
        )
        yield from repeated(
            ((section, index, "name"), each.name.casefold(), f"{kind} '{each.id}'")
            for index, each in objects.items()
            if not isinstance(each, Connection)
        )
    yield from repeated(
        (("api_credentials", index, "client_id"), each.client_id, "another credential")
        for index, each in parts.credentials.items()
    )
    yield from repeated(keys_of(parts.inputs, parts.workspace))


def keys_of(
    inputs: Mapping[int, Input], workspace: Workspace | None
) -> Iterator[tuple[Location, str, str]]:
    """List the keys of a document as `repeated` takes them; inputs are under their index."""
    for index, source in inputs.items():
        for place, key in enumerate(source.keys):
            yield ("inputs", index, "keys", place, "key"), key.key, f"input '{source.id}'"
    if workspace is not None and workspace.dsr_credentials is not None:
        credentials = workspace.dsr_credentials
        yield ("workspace", "dsr_credentials", "key"), credentials.key, "dsr_credentials"


def _outputs(parts: Parts) -> dict[str, Output | None]:
    """Return the outputs by id, `None` for one that is not well-formed."""
    outputs: dict[str, Output | None] = dict.fromkeys(parts.ids["outputs"])
    return outputs | {each.id: each for each in parts.outputs.values()}


def _audience_problems(parts: Parts) -> Iterator[Found]:
    # What a faulty workspace section would allow is not known.
    is_extended = parts.workspace is None or parts.workspace.calculated_attributes.extended_windows
    for index, attribute in parts.calculated_attributes.items():
        yield from calculated_problems(
            attribute, ("calculated_attributes", index), has_extended_windows=is_extended
        )
    names = None
    if parts.workspace is not None:
        names = AudienceNames(
            AudiencePlace(
                parts.workspace, parts.ids["inputs"], parts.calculated_attributes.values()
            ),
            parts.audiences.values(),
            parts.ids["audiences"],
        )
    outputs = _outputs(parts)
    for index, audience in parts.audiences.items():
        yield from audience_problems(
            audience, ("audiences", index), names, parts.ids["inputs"], outputs
        )


def _connection_problems(parts: Parts, modules: Mapping[str, OutputModule]) -> Iterator[Found]:
    inputs = {source.id: source for source in parts.inputs.values()}
    outputs = {output.id: (index, output) for index, output in parts.outputs.items()}
    yield from repeated(
        (
            (("connections", index), (each.input, each.output), f"connection '{each.id}'")
            for index, each in parts.connections.items()
        ),
        "input and output are already joined by",
    )
    for index, connection in parts.connections.items():
        where: Location = ("connections", index)
        is_feed = connection.input == FEED_ID
        if connection.input not in (FEED_ID, NO_INPUT, *parts.ids["inputs"]):
            yield (*where, "input"), f"no input with id '{connection.input}'"
        if connection.output not in parts.ids["outputs"]:
            yield (*where, "output"), f"no output with id '{connection.output}'"
        defaults, module = NOTHING, None
        if connection.output in outputs:
            place, output = outputs[connection.output]
            defaults = Layer(("outputs", place, "connection_defaults"), output.connection_defaults)
            if output.kind == DSR:
                yield from dsr_problems(connection, where)
            elif output.kind not in KINDS_WITH_INPUT:
                yield (*where, "output"), f"an output of kind {output.kind} takes no input"
            elif connection.input == NO_INPUT:
                yield (*where, "input"), "required"
            module, source = modules.get(output.module), inputs.get(connection.input)
            if module and source and (problem := platform_problem(source, output, module)):
                yield where, f"module '{output.module}' {problem}"
            if is_feed and module and not module.accepts_attribute_feed:
                problem = "does not accept the Calculated Attributes feed"
                yield where, f"module '{output.module}' {problem}"
        if connection.output in outputs:
            yield from cookie_sync_problems(
                connection, where, outputs[connection.output][1], inputs.get(connection.input)
            )
        yield from forwarding_problems(
            connection,
            where,
            outputs[connection.output][1] if connection.output in outputs else None,
            inputs.get(connection.input),
            None if parts.workspace is None else parts.workspace.regulations,
        )
        settings = Layer((*where, "settings"), connection.settings)
        yield from layer_problems(connection_model(module), defaults, settings, settings.where)
