"""Outputs that browsers load an image of: what the web SDK is told (spec/connections.md, 8)."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.outputs.pixel import PixelSettings
from config.errors import Found, Location
from config.forwarding import ConsentRule
from config.inputs import Input
from config.numbers import Numbers
from config.outputs import Connection, Output
from config.workspace import WorkspaceDocument

COOKIE_SYNC = "cookie_sync"
_PREFIXES = {"gdpr": "1", "ccpa": "2"}


class Pixel(Struct, frozen=True):
    """One image of one environment; `module` is the output's number, `connection` its own.

    `includes` and `purposes` are the consent rule, hashed as the SDK does: purpose to whether it
    has to be consented to. Without purposes there is no rule.
    """

    name: str
    module: int
    connection: int
    environments: frozenset[Environment]
    pixel_url: str
    redirect_url: str
    frequency_cap_days: int
    includes: bool = True
    purposes: tuple[tuple[str, bool], ...] = ()


def pixels(
    document: WorkspaceDocument, numbers: Numbers
) -> Mapping[tuple[int, Environment], tuple[Pixel, ...]]:
    """Return the images that pages of each input load, by environment."""
    outputs = document.outputs_by_id
    found: dict[tuple[int, Environment], tuple[Pixel, ...]] = {}
    for connection in document.connections:
        output = outputs[connection.output]
        if output.kind != COOKIE_SYNC or not connection.active:
            continue
        source = numbers.inputs[connection.input]
        for environment in ENVIRONMENTS:
            if output.is_enabled_in(environment):
                pixel = _pixel(connection, output, environment, numbers)
                found[source, environment] = (*found.get((source, environment), ()), pixel)
    return found


def cookie_sync_problems(
    connection: Connection, where: Location, output: Output, source: Input | None
) -> Iterator[Found]:
    """List what a connection to an image cannot have; pages decide, and know consent alone."""
    if output.kind != COOKIE_SYNC:
        return
    if source is not None and source.os != "MobileWeb":
        yield (*where, "input"), "an output of kind cookie_sync takes inputs of os MobileWeb only"
    for index, rule in enumerate(connection.forwarding_rules):
        if index or not isinstance(rule, ConsentRule):
            problem = "an output of kind cookie_sync takes one rule, of kind consent"
            yield (*where, "forwarding_rules", index), problem
    if connection.sampling is not None:
        yield (*where, "sampling"), "an output of kind cookie_sync has no sampling"


def sdk_hash(text: str) -> int:
    """Return the web SDK's hash of a text (spec/connections.md, 2.3)."""
    units = text.lower().encode("utf-16-le")
    value = 0
    for low, high in zip(units[::2], units[1::2], strict=True):
        value = (value * 31 + (low | high << 8)) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value


def _pixel(
    connection: Connection, output: Output, environment: Environment, numbers: Numbers
) -> Pixel:
    settings = PixelSettings.model_validate(output.settings_in(environment))
    [rule] = connection.forwarding_rules or [None]
    consent = rule if isinstance(rule, ConsentRule) else None
    return Pixel(
        name=output.name,
        module=numbers.outputs[output.id],
        connection=numbers.connections[connection.id],
        environments=frozenset(output.enabled_environments),
        pixel_url=settings.pixel_url,
        redirect_url=settings.redirect_url or "",
        frequency_cap_days=settings.frequency_cap_days,
        includes=consent is None or consent.action == "include",
        purposes=()
        if consent is None
        else tuple(
            (str(sdk_hash(_PREFIXES[each.regulation] + each.purpose)), each.has_consented)
            for each in consent.purposes
        ),
    )
