"""What audiences may refer to, and which of them the workspace document has."""

from typing import Any

from msgspec import Struct

from actors.audiences.objects import AudienceType, DateRange
from actors.model.workspaces import ENVIRONMENTS, Environment

# Audiences made through the API are numbered from here on, those of documents from 1.
FIRST_API_NUMBER = 1_000_001


class AudienceOutput(Struct, frozen=True):
    """An output of kind `audience`.

    `environments`: those that are enabled; `identities`: the types it takes, `None` for all;
    `listed_in`: environments in which it is given all members from time to time, not changes.
    """

    number: int
    id: str
    name: str
    module: str
    environments: frozenset[Environment] = frozenset(ENVIRONMENTS)
    identities: frozenset[str] | None = None
    listed_in: frozenset[Environment] = frozenset()


class DocumentSubscription(Struct, frozen=True, kw_only=True):
    """A subscription of the workspace document; `output`: number."""

    output: int
    is_active: bool
    settings: dict[str, Any]
    shared_user_attributes: tuple[str, ...]

    def __repr__(self) -> str:
        return f"DocumentSubscription(output={self.output})"


class DocumentAudience(Struct, frozen=True, kw_only=True):
    """An audience of the workspace document; `definition` as written, but ids made numbers."""

    number: int
    id: str
    name: str
    external_name: str
    type: AudienceType
    environment: Environment
    workspaces: tuple[int, ...]
    inputs: tuple[int, ...]
    tags: tuple[str, ...]
    definition: Any
    range: DateRange | None
    is_active: bool
    subscriptions: tuple[DocumentSubscription, ...]


class Catalog(Struct, frozen=True, kw_only=True):
    """The workspace as far as audiences depend on it.

    Attributes:
        workspace, account, scope: numbers; the scope is of identities.
        workspace_name: shown beside the number.
        inputs: number to id.
        calculated: name to number, of the active calculated attributes; `drafts`: of the others.
        outputs: those of kind `audience`, by number.
        default_tier, tiers: of events (spec/rules.md, 8).
        lookback_days: of real-time audiences; `events_days`: that events are kept at all.
        max_active: real-time audiences that may be active at once.
        credits: calculations of standard audiences in a year, `None` for any number.
        audiences: of the workspace document.
        deleted: numbers of those that were deleted from it.
        left: ids of those that a file before the last one had, until the API changes them.
        allow_api_edits: whether the API may change them.
    """

    workspace: int
    workspace_name: str
    account: int
    inputs: dict[int, str]
    calculated: dict[str, int] = {}
    drafts: dict[str, int] = {}
    outputs: dict[int, AudienceOutput] = {}
    default_tier: str = "personalize"
    tiers: dict[str, str] = {}
    lookback_days: int = 30
    events_days: int = 730
    max_active: int = 100
    credits: int | None = None
    audiences: tuple[DocumentAudience, ...] = ()
    deleted: frozenset[int] = frozenset()
    left: frozenset[str] = frozenset()
    allow_api_edits: bool = False
    scope: int = 0
