"""What an edge needs of the configuration for identity calls alone."""

from collections.abc import Mapping

from msgspec import Struct

from config.identity import IdentitySettings
from config.numbers import Numbers
from config.settings import Settings
from config.workspace import WorkspaceDocument
from server.limits import DAY_MS, Limit


class IdentityCalls(Struct, frozen=True, kw_only=True):
    """What an edge has to know to answer identity calls (spec/identity.md, 3 and 4).

    Attributes:
        is_enabled: `idsync_enabled`.
        has_aliasing: whether the strategy can alias and is allowed to.
        alias_window_ms: longest time that an alias may span.
        max_skew_ms: by which the Date of a signed request may differ; 0 for no check.
        limits: of all identity calls together.
        shares: what each input has of them in any case, by its number.
        settings: those of the scope, as they are in force.
    """

    is_enabled: bool = True
    has_aliasing: bool = True
    alias_window_ms: int = 90 * DAY_MS
    max_skew_ms: int = DAY_MS
    limits: tuple[Limit, ...] = ()
    shares: Mapping[int, Limit] = {}
    settings: IdentitySettings = IdentitySettings()


def identity_calls(
    document: WorkspaceDocument, numbers: Numbers, settings: Settings
) -> IdentityCalls:
    """Return what follows from a workspace document, its numbers and the process settings."""
    identity = document.identity
    rate = document.workspace.limits.identity_requests_per_second
    number = numbers.workspaces[document.workspace.id]
    return IdentityCalls(
        is_enabled=identity.idsync_enabled,
        has_aliasing=identity.aliasing_enabled,
        alias_window_ms=identity.alias_max_window_days * DAY_MS,
        max_skew_ms=settings.auth_max_skew_s * 1000,
        limits=(Limit("workspace", f"identity:{number}", rate, rate),) if rate else (),
        shares=_identity_shares(document, numbers, rate),
        settings=identity,
    )


def _identity_shares(document: WorkspaceDocument, numbers: Numbers, rate: int) -> dict[int, Limit]:
    """Divide the rate of identity calls among the inputs, where there is one for each at least."""
    active = [numbers.inputs[each.id] for each in document.inputs if each.status == "active"]
    part = rate // len(active) if active else 0
    if not part:
        return {}
    number = numbers.workspaces[document.workspace.id]
    return {each: Limit("workspace", f"identity:{number}:{each}", part, part) for each in active}
