"""Definitions of groups, and what their names are (spec/identity.md, 13)."""

from msgspec import Struct

from actors.errors import GroupInvalid

MAX_DEFINITIONS = 20


class GroupAttribute(Struct, frozen=True, array_like=True):
    """An attribute that members inherit; `type` of `aggregates.AGGREGATIONS`."""

    id: str
    type: str


class GroupDefinition(Struct, frozen=True, array_like=True):
    """Users with the same value of `source_user_attribute` form a group."""

    id: str
    description: str
    source_user_attribute: str
    attributes: tuple[GroupAttribute, ...]

    @property
    def names(self) -> frozenset[str]:
        """The user attributes that are the group attributes of this definition."""
        return frozenset(attribute_name(self.id, each.id) for each in self.attributes)


class KeptDefinition(Struct, array_like=True, kw_only=True):
    """A definition as the coordinator keeps it.

    Attributes:
        number: never given to another definition, also not to a later one of the same id.
        run: the last finished run, 0 if there was none; members and values are those of it.
        last_run_ms: when it was finished.
        names_of_run: the group attributes that it wrote; another definition may be in force now.
    """

    number: int
    definition: GroupDefinition
    created_ms: int
    run: int = 0
    last_run_ms: int | None = None
    names_of_run: frozenset[str] = frozenset()


def attribute_name(definition_id: str, attribute_id: str) -> str:
    """Return the user attribute that a group attribute is."""
    return f"{definition_id}:{attribute_id}"


def check_against(definition: GroupDefinition, others: list[GroupDefinition]) -> None:
    """Check that a definition can stand beside the others.

    Raises:
        GroupInvalid: there are too many, or a group attribute would be the source of a group.
    """
    if len(others) >= MAX_DEFINITIONS:
        raise GroupInvalid(f"A workspace has at most {MAX_DEFINITIONS} group definitions.")
    all_of_them = [definition, *others]
    if any(definition.source_user_attribute in each.names for each in all_of_them):
        raise GroupInvalid('Invalid value for field "source_user_attribute": is a group attribute.')
    if any(each.source_user_attribute in definition.names for each in others):
        raise GroupInvalid(
            'Invalid value for field "attributes": one is the source of another definition.'
        )
