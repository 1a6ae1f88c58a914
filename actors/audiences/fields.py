"""What a caller gives of an object; what is `UNSET` was not given and stays as it is."""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from actors.audiences.objects import AudienceType, DateRange
from actors.model.workspaces import Environment


class AudienceFields(Struct, frozen=True, kw_only=True):
    """Of an audience; each is well-formed by itself but `definition`, which is as sent."""

    name: str | UnsetType = UNSET
    external_name: str | UnsetType = UNSET
    type: AudienceType | UnsetType = UNSET
    environment: Environment | UnsetType = UNSET
    workspaces: tuple[int, ...] | UnsetType = UNSET
    inputs: tuple[int, ...] | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET
    range: DateRange | UnsetType | None = UNSET
    definition: Any = UNSET


class SubscriptionFields(Struct, frozen=True, kw_only=True):
    """Of a subscription; `settings` are as sent."""

    output: int | UnsetType = UNSET
    variation: str | UnsetType | None = UNSET
    is_active: bool | UnsetType = UNSET
    settings: dict[str, Any] | UnsetType = UNSET
    shared_user_attributes: tuple[str, ...] | UnsetType = UNSET


class JourneyFields(Struct, frozen=True, kw_only=True):
    """Of a journey."""

    name: str | UnsetType = UNSET
    inputs: tuple[int, ...] | UnsetType = UNSET


class MilestoneFields(Struct, frozen=True, kw_only=True):
    """Of a milestone; `position` among its siblings, from 0."""

    name: str | UnsetType = UNSET
    parent: int | UnsetType | None = UNSET
    position: int | UnsetType = UNSET
    kind: Literal["criteria", "remaining_users"] | UnsetType = UNSET
    definition: Any = UNSET


def given(fields: Struct) -> dict[str, Any]:
    """Return what was given, by name."""
    return {
        name: value
        for name in fields.__struct_fields__
        if (value := getattr(fields, name)) is not UNSET
    }
