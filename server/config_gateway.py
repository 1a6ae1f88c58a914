"""The configuration of a workspace, and the queues of its connections, as an edge reaches them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from actors.outputs.environment import OutputState
from actors.store.access import AccountUser, Manifest
from actors.store.audit_log import AuditEntry, Author
from config.audit import AuditPage, AuditQuery
from config.merging import Data
from config.roles import Tasks
from config.shards import ConfiguredShard
from config.sheets import Applied, Entry, Sheet

MODULE_S = 20.0  # a module has ten seconds to answer
PURGE_SLICE = 1000


class ConfigDeskHandle(Protocol):
    """What is asked of `config.desk.ConfigDesk`; see there, also for what is raised."""

    async def sheet(self, workspace: int) -> Sheet:
        """Return a workspace to be looked at or edited."""
        ...

    async def plan_file(
        self,
        workspace: int,
        given: Data,
        power: Tasks,
        prune: bool,
        versions: frozenset[int] | None,
    ) -> Applied:
        """Tell what a document would change."""
        ...

    async def apply_file(
        self,
        workspace: int,
        given: Data,
        author: Author,
        power: Tasks,
        prune: bool,
        allow_dangerous: bool,
        versions: frozenset[int] | None,
    ) -> Applied:
        """Lay a document over what holds."""
        ...

    async def edit(
        self, workspace: int, base: int, data: Data, author: Author, allow_dangerous: bool
    ) -> Applied:
        """Make an edited document the next revision."""
        ...

    async def revisions(self, workspace: int) -> list[Entry]:
        """Return the kept revisions, newest first."""
        ...

    async def revision(self, workspace: int, number: int) -> Entry | None:
        """Return one revision with its document."""
        ...

    async def roll_back(
        self,
        workspace: int,
        number: int,
        author: Author,
        power: Tasks,
        allow_dangerous: bool,
        versions: frozenset[int] | None,
    ) -> Applied | None:
        """Make the document of an earlier revision the next one."""
        ...

    async def access(self, method: str, *arguments: Any) -> Any:
        """Call a method of `config.access_desk.AccessDesk`."""
        ...

    async def record(self, account: int, entry: AuditEntry) -> None:
        """Keep an entry of the audit log."""
        ...

    async def audited(self, account: int, query: AuditQuery) -> AuditPage:
        """Return entries of the audit log."""
        ...


class QueueShard(ConfiguredShard, Protocol):
    """What a shard does for a queue; see `ShardOutbox`."""

    async def purge(self, connection: int, limit: int) -> int:
        """Delete some of what waits for a connection; return how much."""
        ...


class ForwarderHandle(Protocol):
    """What is asked of an output's forwarder; see `actors.hosted_forwarder.Forwarder`."""

    async def status(self) -> dict[str, Any]:
        """Describe it."""
        ...

    async def resume(self, connection: int) -> bool:
        """Let a faulted connection send again; tell whether it was faulted."""
        ...

    async def reread(self) -> None:
        """Let go of what was read, and read it again."""
        ...

    async def ask_outputs(self, method: str, *arguments: str) -> list[Any]:
        """Ask outputs whose receivers register what they want."""
        ...

    def within(self, timeout_s: float) -> "ForwarderHandle":
        """Return a handle that waits as long for an answer."""
        ...


class Queue(NamedTuple):
    """What waits for a connection.

    `oldest_ms`: receipt time of the first of it; `next_attempt_ms`: before that the first ones are
    not attempted, 0 if they never were. `None` where nothing waits.
    """

    depth: int
    bytes: int
    oldest_ms: int | None
    next_attempt_ms: int | None


class ConfigGateway:
    """Asks for one workspace."""

    def __init__(
        self,
        workspace: int,
        desk: ConfigDeskHandle,
        shards: Sequence[QueueShard],
        forwarder_of: Callable[[str], ForwarderHandle],
        output_states: OutputState,
    ) -> None:
        """Set up.

        Args:
            forwarder_of: returns a handle to the forwarder of an output.
            output_states: what the workspace's outputs keep.
        """
        self._workspace = workspace
        self._desk = desk
        self._shards = shards
        self._forwarder_of = forwarder_of
        self.output_states = output_states

    async def sheet(self) -> Sheet:
        """Return the workspace as it holds now."""
        return await self._desk.sheet(self._workspace)

    async def plan(
        self, given: Data, power: Tasks, versions: frozenset[int] | None, *, prune: bool
    ) -> Applied:
        """Tell what a document would change."""
        return await self._desk.plan_file(self._workspace, given, power, prune, versions)

    async def apply(
        self,
        given: Data,
        author: Author,
        power: Tasks,
        versions: frozenset[int] | None,
        *,
        prune: bool,
        allow_dangerous: bool,
    ) -> Applied:
        """Lay a document over what holds."""
        return await self._desk.apply_file(
            self._workspace, given, author, power, prune, allow_dangerous, versions
        )

    async def edit(
        self, base: int, data: Data, author: Author, *, allow_dangerous: bool = False
    ) -> Applied:
        """Make an edited document the next revision."""
        return await self._desk.edit(self._workspace, base, data, author, allow_dangerous)

    async def revisions(self) -> list[Entry]:
        """Return the kept revisions, newest first."""
        return await self._desk.revisions(self._workspace)

    async def revision(self, number: int) -> Entry | None:
        """Return one revision with its document."""
        return await self._desk.revision(self._workspace, number)

    async def roll_back(
        self,
        number: int,
        author: Author,
        power: Tasks,
        versions: frozenset[int] | None,
        *,
        allow_dangerous: bool,
    ) -> Applied | None:
        """Make the document of an earlier revision the next one."""
        return await self._desk.roll_back(
            self._workspace, number, author, power, allow_dangerous, versions
        )

    async def roles(self) -> Manifest:
        """Return the custom roles. Raises ShardUnavailable."""
        manifest: Manifest = await self._desk.access("roles")
        return manifest

    async def put_roles(
        self, sent: object, author: Author, versions: frozenset[int] | None
    ) -> Manifest:
        """Replace all custom roles; see `AccessDesk.put_roles`."""
        manifest: Manifest = await self._desk.access(
            "put_roles", self._workspace, sent, author, versions
        )
        return manifest

    async def users(self) -> list[AccountUser]:
        """Return the users of the workspace's account, by e-mail. Raises ShardUnavailable."""
        users: list[AccountUser] = await self._desk.access("users", self._workspace)
        return users

    async def create_user(self, fields: Mapping[str, str], author: Author) -> AccountUser:
        """Make a user; see `AccessDesk.create_user`."""
        user: AccountUser = await self._desk.access("create_user", self._workspace, fields, author)
        return user

    async def change_user(
        self, fields: Mapping[str, str], author: Author, versions: frozenset[int] | None
    ) -> AccountUser | None:
        """Change a user; see `AccessDesk.change_user`."""
        user: AccountUser | None = await self._desk.access(
            "change_user", self._workspace, fields, author, versions
        )
        return user

    async def delete_user(
        self, email: str, author: Author, versions: frozenset[int] | None
    ) -> bool:
        """Delete a user; tell whether there was one."""
        was_there: bool = await self._desk.access(
            "delete_user", self._workspace, email, author, versions
        )
        return was_there

    async def record(self, account: int, entry: AuditEntry) -> None:
        """Keep an entry of the audit log. Raises ShardUnavailable, StoreFull."""
        await self._desk.record(account, entry)

    async def audited(self, account: int, query: AuditQuery) -> AuditPage:
        """Return entries of the audit log. Raises CursorInvalid, ShardUnavailable."""
        return await self._desk.audited(account, query)

    async def queue(self, connection: int) -> Queue:
        """Return what waits for a connection on all shards. Raises ShardUnavailable."""
        found = await asyncio.gather(*(each.queue(connection) for each in self._shards))
        filled = [each for each in found if "oldest_ms" in each]
        return Queue(
            depth=sum(each["depth"] for each in found),
            bytes=sum(each["bytes"] for each in found),
            oldest_ms=min((each["oldest_ms"] for each in filled), default=None),
            next_attempt_ms=min((each["next_attempt_ms"] for each in filled), default=None),
        )

    async def purge(self, connection: int, output: str | None) -> None:
        """Delete what waits for a connection, and have the forwarder of its output let go of it.

        What is under way ends as it may. After an error some of it may be sent yet; a repeated
        call goes on.

        Args:
            connection: its number.
            output: id of its output, `None` if nobody forwards to that.

        Raises:
            ShardUnavailable: a shard or the forwarder did not answer.
            StoreFull: a shard has no room.
        """
        for shard in self._shards:
            while await shard.purge(connection, PURGE_SLICE) == PURGE_SLICE:
                pass
        if output is not None:
            await self._forwarder_of(output).reread()

    async def forwarder_status(self, output: str) -> dict[str, Any]:
        """Return what the forwarder of an output says of itself. Raises ShardUnavailable."""
        return await self._forwarder_of(output).status()

    async def resume(self, connection: int, output: str) -> bool:
        """Let a faulted connection send again; tell whether it was faulted."""
        return await self._forwarder_of(output).resume(connection)

    async def ask_outputs(self, output: str, method: str, *arguments: str) -> list[Any]:
        """Ask an output that registers (`actors.outputs.contract.RegisteredOutput`).

        Returns what it says in each environment that differs; nothing if its module registers
        nothing. Raises ShardUnavailable.
        """
        handle = self._forwarder_of(output).within(MODULE_S)
        return await handle.ask_outputs(method, *arguments)
