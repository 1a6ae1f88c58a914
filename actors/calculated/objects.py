"""What the coordinator keeps of calculated attributes (spec/calculated-attributes.md, 1 and 5).

All of it is frozen: a change is a new object in the place of the old one.
"""

from typing import Any

from msgspec import Struct

Json = dict[str, Any]  # a definition in canonical form


class CalculatedAttribute(Struct, frozen=True, kw_only=True):
    """One calculated attribute.

    Attributes:
        number: its id, never given to another one.
        draft: a definition that is not in force, or not yet.
        active: the one that is calculated.
        revision: of the active definition; counts activations.
        calculated_revision: the last one of which it was seen that all users have it.
        activated_by, activated_ms: of the last activation; `None` if there never was one.
        document_id: its id in the workspace document, which then manages it.
    """

    number: int
    name: str
    description: str
    draft: Json | None
    active: Json | None
    created_by: str
    created_ms: int
    last_modified_by: str
    last_modified_ms: int
    revision: int = 0
    calculated_revision: int = 0
    activated_by: str | None = None
    activated_ms: int | None = None
    document_id: str | None = None


class DocumentAttribute(Struct, frozen=True, kw_only=True):
    """A calculated attribute of the workspace document; `definition` as it is written there."""

    number: int
    id: str
    name: str
    description: str
    definition: Json
    is_active: bool


class CalculatedCatalog(Struct, frozen=True, kw_only=True):
    """The workspace as far as calculated attributes depend on it.

    Attributes:
        account: number of the account.
        retention_days: how far back a range may reach.
        has_extended_windows: setting `calculated_attributes.extended_windows`.
        max_active: attributes of the account that may be active at once.
        default_tier, tiers: of events (spec/rules.md, 8).
        attributes: of the workspace document.
        deleted: numbers of those that were deleted from it.
        left: ids of those that a file before the last one had, until the API changes them.
        allow_api_edits: whether the API may change them.
    """

    account: int = 1
    retention_days: int = 30
    has_extended_windows: bool = False
    max_active: int = 100
    default_tier: str = "personalize"
    tiers: dict[str, str] = {}
    attributes: tuple[DocumentAttribute, ...] = ()
    deleted: frozenset[int] = frozenset()
    left: frozenset[str] = frozenset()
    allow_api_edits: bool = False


class Counters(Struct, frozen=True, kw_only=True):
    """What is counted. `version` counts what shards have to know of.

    Attributes made through the API are numbered from 1,000,001 on, over all workspaces of the
    deployment, so that those of documents, which are numbered from 1, meet none of them.
    """

    version: int = 0
    next_number: int = 1_000_001


class AttributeFields(Struct, frozen=True, kw_only=True):
    """What a request says of an attribute, as decoded; `None` is not said."""

    name: Any = None
    description: Any = None
    draft_definition: Any = None


class Progress(Struct, frozen=True, kw_only=True):
    """How far the initialization of an attribute is (spec/calculated-attributes.md, 6).

    `percent`: 0 to 100; `estimated_ms`: the instant at which it will be done, `None` if that cannot
    be told or it is done.
    """

    is_done: bool
    percent: int
    estimated_ms: int | None = None
