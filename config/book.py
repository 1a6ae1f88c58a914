"""What is applied to the workspaces of a deployment, and was before (spec/connections.md, 10).

The book is on disk. All documents of a deployment change together, in one transaction, with the
numbers of their objects; what does not fit together changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import Struct

from actors.clock import Clock
from actors.store import audit_log, revisions
from actors.store.access import CustomRole
from actors.store.audit_log import AuditEntry, Author
from actors.store.environment import Store
from actors.store.revisions import Revision, Stamp
from config.access import AccessBook
from config.audit import AuditLog, Version, entries_of
from config.compiled_workspaces import served_documents
from config.data_plans import lost_quarantines, version_changes
from config.deployment import deployment_problems
from config.differences import Difference, differences, fixed_for_life, needing_restart
from config.errors import ConfigError, format_path
from config.load import parse_workspace
from config.merging import Data, merged_document, names_in
from config.numbers import (
    KeptNumbers,
    ObjectNumbers,
    assign_all,
    decode_numbers,
    encode_numbers,
    retire,
)
from config.roles import STANDARD
from config.sealing import Sealer
from config.secret_values import hidden
from config.served import ServedDocument
from config.settings import Settings
from config.workspace import DESKS, WorkspaceDocument

Owned = dict[str, frozenset[str]]
# What lies about of a deleted object of these under its number is not a new one's of its name.
RETIRING = ("connections", *DESKS)
FILE = Author("config", "config")  # a configuration file

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Draft(Struct, frozen=True, kw_only=True):
    """What is to become the next revision of a workspace.

    Attributes:
        workspace: its id.
        base: revision that it was made from, 0 if there was none.
        data, document: the whole document, as it is written and as it is understood.
        owned: what a configuration file owns of it.
        origin: see `Revision.origin`.
    """

    workspace: str
    base: int
    data: Data
    document: WorkspaceDocument
    owned: Owned
    origin: str
    differences: tuple[Difference, ...]

    def __repr__(self) -> str:
        return f"Draft({self.workspace}, {self.base})"


@dataclass(frozen=True, repr=False)
class _Page:
    """A workspace as it holds now."""

    revision: Revision
    data: Data
    document: WorkspaceDocument


class Book:
    """The revisions; at any time one writes."""

    def __init__(self, store: Store, sealer: Sealer, settings: Settings, clock: Clock) -> None:
        """Open the book at its last page.

        Args:
            store: of the configuration alone.
            sealer: with the master key.
            settings: of the process.
            clock: of the revisions' times.

        Raises:
            ConfigError: the master key is another one, or this program refuses what was applied.
        """
        self._store = store
        self._sealer = sealer
        self._settings = settings
        self._clock = clock
        self.audit_log = AuditLog(store, clock)
        self.access = AccessBook(store, clock)
        self._pages: dict[str, _Page] = {}
        with store.read() as txn:
            kept = revisions.read_numbers(txn)
            self._numbers = KeptNumbers() if kept is None else decode_numbers(kept)
            for workspace in revisions.read_served(txn):
                *_, last = revisions.read_revisions(txn, workspace)
                self._pages[workspace] = self._page(last)
        self._served = self._compile(self._pages, self._numbers)

    @property
    def served(self) -> Sequence[ServedDocument]:
        """The workspaces that are served, in order."""
        return self._served

    @property
    def has_revisions(self) -> bool:
        """Whether anything was ever applied."""
        with self._store.read() as txn:
            return bool(revisions.read_served(txn))

    def of(self, number: int) -> ServedDocument:
        """Return the workspace of a number. Raises KeyError."""
        for each in self._served:
            if each.info.number == number:
                return each
        raise KeyError(number)

    def page(self, workspace: str) -> tuple[Revision, Data, WorkspaceDocument]:
        """Return what holds for a workspace: secrets are in the clear. Raises KeyError."""
        page = self._pages[workspace]
        return page.revision, page.data, page.document

    def revisions(self, workspace: str) -> list[Revision]:
        """Return the kept revisions of a workspace, oldest first."""
        with self._store.read() as txn:
            return revisions.read_revisions(txn, workspace)

    def former(self, workspace: str, number: int) -> tuple[Revision, Data] | None:
        """Return one revision and its document, `None` if it is not kept."""
        with self._store.read() as txn:
            found = revisions.read_revision(txn, workspace, number)
        return None if found is None else (found, self._unsealed(found))

    # -- Changing ---------------------------------------------------------------------------------

    def drafts_of_files(self, documents: Sequence[Data], origin: str = "file") -> list[Draft]:
        """Lay the documents of files over what holds for their workspaces.

        Raises:
            ConfigError: with all that is wrong with what would hold then.
        """
        drafts = [self.draft_of_file(each, prune=False, origin=origin) for each in documents]
        names = [each.workspace for each in drafts]
        if repeated := {each for each in names if names.count(each) > 1}:
            raise ConfigError(("workspace.id", f"'{each}' is given twice") for each in repeated)
        return drafts

    def draft_of_file(self, given: Data, *, prune: bool, origin: str = "file") -> Draft:
        """Lay one document over what holds for its workspace; see `drafts_of_files`."""
        workspace = _workspace_of(given)
        page = self._pages.get(workspace)
        kept = {} if page is None else page.data
        data = merged_document(kept, given, prune=prune)
        owned = names_in(given)
        if origin == "example":  # it is nobody's file; only the desks of these have to know
            owned = {section: owned.get(section, frozenset()) for section in DESKS}
        return self.draft(workspace, data, owned, origin)

    def draft(self, workspace: str, data: Data, owned: Owned, origin: str) -> Draft:
        """Make a draft of a whole document. Raises ConfigError with all that is wrong with it."""
        document = parse_workspace(data)
        if document.workspace.id != workspace:
            raise ConfigError([("workspace.id", f"is not '{workspace}', and cannot be changed")])
        page = self._pages.get(workspace)
        owned = {
            section: names & names_in(data).get(section, frozenset())
            for section, names in owned.items()
        }
        found = differences(None if page is None else page.document, document)
        if page is not None:
            found += _taken_back(page, owned, found)
        return Draft(
            workspace=workspace,
            base=0 if page is None else page.revision.number,
            data=data,
            document=document,
            owned=owned,
            origin=origin,
            differences=tuple(found),
        )

    def check(self, drafts: Sequence[Draft], *, is_running: bool) -> None:
        """Check that drafts can become revisions together.

        Args:
            drafts: of different workspaces.
            is_running: what a start alone can change is refused.

        Raises:
            ConfigError: with all that does not fit together.
        """
        self._numbered(drafts)
        problems: list[tuple[str, str]] = []
        for each in drafts:
            problems += self._unknown_roles(each.document)
            page = self._pages.get(each.workspace)
            if page is not None:
                problems += fixed_for_life(page.document, each.document)
                if is_running:
                    problems += needing_restart(page.document, each.document)
            elif is_running:
                problem = f"no workspace '{each.workspace}' is served; a new one needs a start"
                problems.append(("workspace.id", problem))
        if problems:
            raise ConfigError(problems)

    def preview(self, drafts: Sequence[Draft]) -> list[ServedDocument]:
        """Return what would be served if drafts were written. Raises ConfigError."""
        pages = self._pages | {each.workspace: self._next(each, "") for each in drafts}
        return self._compile(pages, self._numbered(drafts))

    def write(self, drafts: Sequence[Draft], author: Author) -> None:
        """Make drafts the next revisions, all or none; one that changes nothing makes none.

        What they change is in the audit log with them.

        Raises:
            ConfigError: they do not fit together.
            StoreFull: nothing was changed.
        """
        numbers = self._numbered(drafts)
        pages = dict(self._pages)
        for draft in drafts:
            pages[draft.workspace] = self._next(draft, author.id)
        with self._store.write() as txn:
            revisions.write_numbers(txn, encode_numbers(numbers))
            revisions.write_served(txn, tuple(pages))
            for draft in drafts:
                revisions.write_revision(txn, draft.workspace, pages[draft.workspace].revision)
                audit_log.append(
                    txn,
                    numbers.accounts[draft.document.account.id],
                    self._audited(draft, numbers, author),
                    self._clock.now_ms(),
                )
        self._pages, self._numbers = pages, numbers
        self._served = self._compile(pages, numbers)

    def release(self, workspace: str, section: str, name: str) -> None:
        """Go on without a file that owns an object of a workspace, in the same revision.

        Raises StoreFull.
        """
        page = self._pages[workspace]
        names = page.revision.owned.get(section, frozenset()) - {name}
        owned = page.revision.owned | {section: names}
        released = replace(page, revision=msgspec.structs.replace(page.revision, owned=owned))
        with self._store.write() as txn:
            revisions.write_revision(txn, workspace, released.revision)
        self._pages[workspace] = released
        self._served = self._compile(self._pages, self._numbers)

    def write_roles(
        self, account: int, workspace: int, roles: Sequence[CustomRole], author: Author
    ) -> None:
        """Replace all custom roles; see `AccessBook.write_roles`."""
        self.access.write_roles(account, workspace, roles, author)
        self._served = self._compile(self._pages, self._numbers)

    def serve(self, workspaces: Sequence[str]) -> None:
        """Serve these workspaces and no others, as they held last; new ones are still to come.

        What holds for the others is kept. `write` makes it last.
        """
        pages: dict[str, _Page] = {}
        with self._store.read() as txn:
            for each in workspaces:
                if each in self._pages:
                    pages[each] = self._pages[each]
                elif found := revisions.read_revisions(txn, each):
                    pages[each] = self._page(found[-1])
        self._pages = pages

    def take_over_numbers(self, numbers: KeptNumbers) -> None:
        """Go on with numbers that were given before there was a book."""
        if self._numbers == KeptNumbers():
            self._numbers = numbers

    # -- Inside -----------------------------------------------------------------------------------

    def _numbered(self, drafts: Sequence[Draft]) -> KeptNumbers:
        """Return the numbers of all objects once drafts hold. Raises ConfigError."""
        former = {name: page.document.data_plans for name, page in self._pages.items()}
        documents = {name: page.document for name, page in self._pages.items()}
        documents |= {each.workspace: each.document for each in drafts}
        named = list(documents.items())
        if problems := [
            (f"{named[place][0]}:{format_path(where)}", message)
            for (place, where), message in deployment_problems(named)
        ]:
            raise ConfigError(problems)
        numbers = self._numbers
        for draft in drafts:
            for each in draft.differences:
                if each.action == "delete" and each.section in RETIRING and each.name:
                    numbers = retire(numbers, draft.workspace, each.section, each.name)
            for name in lost_quarantines(former.get(draft.workspace), draft.document.data_plans):
                numbers = retire(numbers, draft.workspace, "connections", name)
        return assign_all(list(documents.values()), numbers)[0]

    def _unknown_roles(self, document: WorkspaceDocument) -> list[tuple[str, str]]:
        known = STANDARD.keys() | self.access.roles.keys()
        return [
            (f"api_credentials[{place}].role", f"no role with id '{each.role}'")
            for place, each in enumerate(document.api_credentials)
            if each.role not in known
        ]

    def _next(self, draft: Draft, actor: str) -> _Page:
        page = self._pages.get(draft.workspace)
        now_ms = self._clock.now_ms()
        if page is not None and not draft.differences:
            sealed = self._sealer.seal(_encode(draft.data))
            same = msgspec.structs.replace(page.revision, owned=draft.owned, sealed=sealed)
            return _Page(same, draft.data, draft.document)
        number = draft.base + 1
        stamps = {} if page is None else dict(page.revision.stamps)
        changed = [
            (each.path, each.action != "delete", _is_off(draft.document, each))
            for each in draft.differences
        ]
        plans = None if page is None else page.document.data_plans
        changed += [
            (path, is_there, False)
            for path, is_there in version_changes(plans, draft.document.data_plans)
        ]
        for path, is_there, is_off in changed:
            former = stamps.pop(path, None)
            if is_there:
                is_draft = (former is None or former.is_draft) and is_off
                made = (now_ms, actor) if former is None else (former.created_ms, former.created_by)
                stamps[path] = Stamp(*made, now_ms, actor, number, is_draft)
        revision = Revision(
            number=number,
            applied_ms=now_ms,
            actor=actor,
            origin=draft.origin,
            summary=tuple(each.line() for each in draft.differences),
            owned=draft.owned,
            stamps=stamps,
            sealed=self._sealer.seal(_encode(draft.data)),
        )
        return _Page(revision, draft.data, draft.document)

    def _audited(self, draft: Draft, numbers: KeptNumbers, author: Author) -> list[AuditEntry]:
        page, name = self._pages.get(draft.workspace), draft.workspace
        before = Version(
            {} if page is None else hidden(page.document, page.data),
            self._numbers.objects.get(name, ObjectNumbers()),
        )
        after = Version(hidden(draft.document, draft.data), numbers.objects[name])
        number = numbers.workspaces[name]
        return list(entries_of(draft.differences, before, after, number, author))

    def _page(self, revision: Revision) -> _Page:
        data = self._unsealed(revision)
        return _Page(revision, data, parse_workspace(data))

    def _unsealed(self, revision: Revision) -> Data:
        data: Data = _decode(self._sealer.unseal(revision.sealed))
        return data

    def _compile(self, pages: Mapping[str, _Page], known: KeptNumbers) -> list[ServedDocument]:
        documents = [page.document for page in pages.values()]
        _, numbers = assign_all(documents, known)
        revisions_of = [page.revision for page in pages.values()]
        edition = self.access.manifest.version
        return served_documents(
            documents, numbers, revisions_of, self._settings, self.access.roles, edition
        )


def _is_off(document: WorkspaceDocument, difference: Difference) -> bool:
    """Tell whether an object is a connection that is not active."""
    return difference.section == "connections" and not any(
        each.active for each in document.connections if each.id == difference.name
    )


def _taken_back(page: _Page, owned: Owned, found: Sequence[Difference]) -> list[Difference]:
    """List what a file has again that the API could change meanwhile, unless it is `found`."""
    known = {each.path for each in found}
    names = names_in(page.data)
    back = [
        Difference("update", section, name)
        for section in DESKS
        for name in sorted(
            owned.get(section, frozenset())
            & names.get(section, frozenset()) - page.revision.owned.get(section, frozenset())
        )
    ]
    return [each for each in back if each.path not in known]


def _workspace_of(given: Mapping[str, Any]) -> str:
    workspace = given.get("workspace")
    name = workspace.get("id") if isinstance(workspace, Mapping) else None
    if not isinstance(name, str):
        raise ConfigError([("workspace.id", "required")])
    return name
