"""What the coordinator asks a shard about identities, and what it is told."""

from typing import NamedTuple

from msgspec import Struct

from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRecord
from actors.model.workspaces import Environment
from actors.store.identities import Holder


class Moment(NamedTuple):
    """When a shard was asked.

    Attributes:
        trims: how often what is known had been dropped.
        newest: arrival of the latest decision that had asked for anything.
    """

    trims: int
    newest: int


class Question(Struct, array_like=True):
    """Whose these identities are, and what these records hold. All of the shard's own slots."""

    environment: Environment
    names: list[IdentityName]
    mpids: list[int]


class Known(Struct, array_like=True):
    """The answer to a question.

    Attributes:
        holders: of each identity, oldest link first.
        records: by MPID, `None` where there is none: all that were asked for, and of the holders
            those that the shard has as well.
    """

    holders: list[list[Holder]]
    records: dict[int, IdentityRecord | None]


class Findings(Struct, array_like=True):
    """The answers to all questions of one call; `is_taken` for each candidate for a new MPID."""

    known: list[Known]
    is_taken: list[bool]
