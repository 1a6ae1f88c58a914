"""What the sequencer of aliases asks of shards (spec/identity.md, 10.2)."""

from typing import Protocol

from msgspec import Struct

from actors.identity.calls import AliasRequest
from actors.model.workspaces import Environment
from actors.profiles.aliasing import SourceFacts
from actors.store.copies import EncodedCopy, Places


class AliasOrder(Struct, frozen=True, array_like=True):
    """An alias that is being applied: its number, its time, and what was asked for."""

    number: int
    begun_ms: int
    request: AliasRequest


class CopiesChunk(Struct, frozen=True, array_like=True):
    """Some copies, maybe none, and where the next ones are; `copies.END` if there are no more."""

    copies: list[EncodedCopy]
    next: Places


class Receipt(Struct, frozen=True, array_like=True):
    """How far a destination has got: where to go on (`None`: from the start), or all is done."""

    places: Places | None
    is_finished: bool = False


class AliasShard(Protocol):
    """A shard as aliases see it; see `ShardAliases`. Every call may raise `ShardUnavailable`."""

    async def alias_source(self, environment: Environment, mpid: int) -> SourceFacts | None:
        """See `ShardAliases.alias_source`."""
        ...

    async def read_copies(self, order: AliasOrder, places: Places | None) -> CopiesChunk:
        """See `ShardAliases.read_copies`."""
        ...

    async def note_alias(self, order: AliasOrder) -> None:
        """See `ShardAliases.note_alias`. Raises StoreFull."""
        ...

    async def alias_receipt(self, order: AliasOrder) -> Receipt | None:
        """See `ShardAliases.alias_receipt`."""
        ...

    async def write_copies(
        self, order: AliasOrder, places: Places | None, chunk: CopiesChunk
    ) -> None:
        """See `ShardAliases.write_copies`. Raises StoreFull."""
        ...

    async def finish_alias(self, order: AliasOrder, facts: SourceFacts) -> None:
        """See `ShardAliases.finish_alias`. Raises StoreFull."""
        ...
