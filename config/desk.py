"""Where configurations are applied: a part of the coordinator's process (spec/connections.md, 10).

A revision is on disk before anybody hears of it; `config.publishing` tells them.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from actors.desk_options import DeskOptions
from actors.errors import ConfigurationRefused, Problem
from actors.forwarding.plan import OutputPlan
from actors.once import answer_with
from actors.shard_options import ShardOptions
from actors.store.audit_log import AuditEntry, Author
from config.access_desk import AccessDesk
from config.audit import AuditPage, AuditQuery
from config.book import FILE, Book
from config.compiled_outputs import output_plans
from config.compiled_workspaces import shard_options
from config.differences import with_returns
from config.draft_checks import (
    CalculatedInUse,
    DraftChecks,
    MadeAudiences,
    ReadersOfEvents,
    check_danger,
    check_masks,
    refused,
)
from config.errors import ConfigError
from config.exporting import unexpanded
from config.merging import Data
from config.pages import Draft, from_files, with_purposes
from config.powers import check_power
from config.publishing import Publisher
from config.roles import Tasks
from config.secret_values import with_kept_secrets
from config.served import ServedDocument
from config.settings import Settings
from config.shards import ConfiguredShard
from config.sheets import Applied, Entry, Sheet

LOOK_S = 1.0  # how often shards are asked for their revisions


class ConfigDesk:
    """Applies configurations, one after the other, and has them take effect."""

    def __init__(self, book: Book, settings: Settings) -> None:
        self._book = book
        self._settings = settings
        self._publisher = Publisher(book, settings)
        self._checks = DraftChecks(book, self._publisher, settings)
        self._changing = asyncio.Lock()
        self._access = AccessDesk(book, self._changing, self._publisher.announce)

    def desk_options(self) -> list[DeskOptions]:
        """Return how the workspaces' parts of the coordinator are set up, in order."""
        return self._publisher.desk_options()

    def bind(
        self,
        shards: Mapping[int, Sequence[ConfiguredShard]],
        take_over: Callable[[DeskOptions], None],
        readers_of_events: ReadersOfEvents,
        made_audiences: MadeAudiences,
        calculated_in_use: CalculatedInUse,
    ) -> None:
        """Say whom to tell: the shards of each workspace, and its part of the coordinator.

        Args:
            shards, take_over: see `Publisher.bind`.
            readers_of_events: returns by whom events of a workspace, by its number, are read.
            made_audiences: returns what its account's audiences are called that no document
                manages.
            calculated_in_use: returns which calculated attributes such audiences refer to.
        """
        self._publisher.bind(shards, take_over)
        self._checks.bind(readers_of_events, made_audiences, calculated_in_use)

    async def run(self) -> None:
        """Tell shards that were away, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Tell the shards that have an older revision, as far as they answer."""
        async with self._changing:
            await self._publisher.tell_all()

    # -- Asked by those who follow ----------------------------------------------------------------

    async def published(self) -> dict[int, int]:
        """Return number of a workspace to the revision that forwarders are to have."""
        return self._publisher.published

    async def editions(self) -> dict[int, tuple[int, int]]:
        """Return number of a workspace to the edition that edges are to have."""
        return self._publisher.editions

    async def served(self, workspace: int) -> ServedDocument:
        """Return a workspace as it holds now."""
        return self._book.of(workspace)

    async def shard_options(self) -> list[ShardOptions]:
        """Return how the workspaces' parts of a shard are set up, in order."""
        return [shard_options(each, self._settings.shards) for each in self._book.served]

    async def output_plan(self, workspace: int, output: str) -> OutputPlan | None:
        """Return an output as its forwarder opens it; `None` if it is not there any more."""
        served = self._book.of(workspace)
        plans = output_plans(served.document, served.numbers)
        return next((each for each in plans if each.info.id == output), None)

    # -- Asked by those who manage ----------------------------------------------------------------

    async def once(self, call_id: bytes, method: str, *arguments: Any) -> Any:
        """Call a method that changes something, or tell what a call of this id was answered."""
        work = partial(getattr(self, method), *arguments)
        return await self._book.once.call(call_id, work, self._publish)

    async def sheet(self, workspace: int) -> Sheet:
        """Return a workspace to be looked at or edited."""
        served = self._book.of(workspace)
        revision, data, _ = self._book.page(served.info.id)
        return Sheet(served=served, data=data, stamps=revision.stamps)

    async def revisions(self, workspace: int) -> list[Entry]:
        """Return the kept revisions, newest first."""
        found = self._book.revisions(self._book.of(workspace).info.id)
        return [
            Entry(
                number=each.number,
                applied_ms=each.applied_ms,
                actor=each.actor,
                origin=each.origin,
                summary=each.summary,
            )
            for each in reversed(found)
        ]

    async def revision(self, workspace: int, number: int) -> Entry | None:
        """Return one revision with its document, `None` if it is not kept."""
        found = self._book.former(self._book.of(workspace).info.id, number)
        if found is None:
            return None
        revision, data = found
        return Entry(
            number=revision.number,
            applied_ms=revision.applied_ms,
            actor=revision.actor,
            origin=revision.origin,
            summary=revision.summary,
            data=data,
        )

    async def plan_file(
        self,
        workspace: int,
        given: Data,
        power: Tasks,
        prune: bool,
        versions: frozenset[int] | None = None,
    ) -> Applied:
        """Tell what a document would change; see `apply_file`.

        Raises ConfigurationRefused, ShardUnavailable.
        """
        async with self._changing:
            self._check_version(workspace, versions)
            draft = self._of_file(workspace, given, prune=prune)
            check_power(draft, power, self._book.access.roles)
            self._checks.check([draft])
            found = await self._checks.differences(draft)
            return Applied(found, draft.base)

    async def apply_file(
        self,
        workspace: int,
        given: Data,
        author: Author,
        power: Tasks,
        prune: bool,
        allow_dangerous: bool,
        versions: frozenset[int] | None = None,
    ) -> Applied:
        """Lay a document over what holds; it is on disk when this returns.

        Args:
            workspace: number.
            given: the document.
            author: who does it; `power`: the tasks of their role, beyond which it changes nothing.
            prune: see `Book.draft_of_file`.
            allow_dangerous: whether what is dangerous may be done.
            versions: revisions of the workspace, one of which has to hold; `None` takes any.

        Raises:
            ConfigurationRefused: another revision holds (`MISMATCH`), what would hold then is not
                right, it is beyond the author's power (`FORBIDDEN`), or it is dangerous, and that
                is not allowed; nothing was changed.
            ShardUnavailable: whether it is dangerous cannot be told now; nothing was changed.
            StoreFull: nothing was changed.
        """
        async with self._changing:
            self._check_version(workspace, versions)
            draft = self._of_file(workspace, given, prune=prune)
            check_power(draft, power, self._book.access.roles)
            return await self._apply(draft, author, allow_dangerous)

    async def apply_files(self, documents: Sequence[Data]) -> None:
        """Lay the documents of the operator's files over what holds, together.

        Raises as `apply_file`, but that they may change anything.
        """
        async with self._changing:
            try:
                drafts = self._book.drafts_of_files(documents)
            except ConfigError as error:
                raise refused(error) from None
            self._checks.check(drafts)
            for each in drafts:
                check_danger(await self._checks.differences(each))
            self._write(drafts, FILE)
            await self._publisher.publish()

    async def edit(
        self, workspace: int, base: int, data: Data, author: Author, allow_dangerous: bool
    ) -> Applied:
        """Make an edited document the next revision of its workspace.

        Args:
            workspace: number.
            base: revision that was edited.
            data: what it has become.
            author: who has done it.
            allow_dangerous: whether what waits for deleted connections may be deleted.

        Raises:
            ConfigurationRefused: as `apply_file`; with code `STALE` if there is a newer revision.
        """
        async with self._changing:
            served = self._book.of(workspace)
            if base != served.revision:
                raise ConfigurationRefused("STALE", [Problem("The configuration has changed.")])
            try:
                draft = self._book.draft(served.info.id, data, served.owned, "api")
                check_masks(draft, self._book.page(served.info.id)[1])
            except ConfigError as error:
                raise refused(error) from None
            return await self._apply(draft, author, allow_dangerous)

    async def roll_back(
        self,
        workspace: int,
        number: int,
        author: Author,
        power: Tasks,
        allow_dangerous: bool,
        versions: frozenset[int] | None = None,
    ) -> Applied | None:
        """Make the document of an earlier revision the next one; `None` if it is not kept.

        Takes and raises what `apply_file` does.
        """
        async with self._changing:
            self._check_version(workspace, versions)
            slug = self._book.of(workspace).info.id
            found = self._book.former(slug, number)
            if found is None:
                return None
            revision, former = found
            now = self._book.page(slug)[2]
            try:
                draft = self._book.draft(
                    slug,
                    with_purposes(former, now),
                    revision.owned,
                    "rollback",
                    from_files(revision),
                )
            except ConfigError as error:
                raise refused(error) from None
            check_power(draft, power, self._book.access.roles)
            returning = with_returns(draft.differences, now, draft.document)
            draft = replace(draft, differences=tuple(returning))
            return await self._apply(draft, author, allow_dangerous)

    async def release(self, workspace: int, section: str, name: str) -> None:
        """Let the API have an audience or a calculated attribute until a file has it again.

        It stays what it is. Its desk, which is told, keeps it from then on. Raises StoreFull.
        """
        async with self._changing:
            self._book.release(self._book.of(workspace).info.id, section, name)
            await self._publisher.publish()

    # -- Roles and users --------------------------------------------------------------------------

    async def access(self, method: str, *arguments: Any) -> Any:
        """Call a method of `AccessDesk`."""
        return await getattr(self._access, method)(*arguments)

    # -- The audit log ----------------------------------------------------------------------------

    async def record(self, account: int, entry: AuditEntry) -> None:
        """Keep what was done to something that is not of the configuration. Raises StoreFull."""
        self._book.audit_log.record(account, entry)

    async def audited(self, account: int, query: AuditQuery) -> AuditPage:
        """Return entries of an account. Raises CursorInvalid."""
        return self._book.audit_log.page(account, query)

    # -- Inside -----------------------------------------------------------------------------------

    async def _publish(self) -> None:
        """Have take effect what a call that was cut off has left."""
        async with self._changing:
            await self._publisher.publish()

    def _check_version(self, workspace: int, versions: frozenset[int] | None) -> None:
        """Refuse to change what has changed since it was read."""
        if versions is not None and self._book.of(workspace).revision not in versions:
            message = "The configuration has changed since it was read."
            raise ConfigurationRefused("MISMATCH", [Problem(message)])

    def _of_file(self, workspace: int, given: Data, *, prune: bool) -> Draft:
        slug = self._book.of(workspace).info.id
        _, data, document = self._book.page(slug)
        try:
            given = with_kept_secrets(given, data, document)
            if problems := list(unexpanded(given)):
                raise ConfigError(problems)
            draft = self._book.draft_of_file(given, prune=prune)
            if draft.workspace != slug:
                raise ConfigError([("workspace.id", f"this is workspace '{slug}'")])
            check_masks(draft, data)
        except ConfigError as error:
            raise refused(error) from None
        return draft

    async def _apply(self, draft: Draft, author: Author, allow_dangerous: bool) -> Applied:
        self._checks.check([draft])
        if allow_dangerous:
            found = draft.differences
        else:
            found = await self._checks.differences(draft)
            check_danger(found)
        applied = Applied(found, draft.revision)
        answer_with(applied)
        self._write([draft], author)
        await self._publisher.publish()
        return applied

    def _write(self, drafts: Sequence[Draft], author: Author) -> None:
        try:
            self._book.write(drafts, author)
        except ConfigError as error:
            raise refused(error) from None
