"""What is applied to the workspaces of a deployment, and was before (spec/connections.md, 10).

The book is on disk. All documents of a deployment change together, in one transaction, with the
numbers of their objects; what does not fit together changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import msgspec

from actors.clock import Clock
from actors.once import Once
from actors.store import audit_log, revisions
from actors.store.access import CustomRole
from actors.store.audit_log import AuditEntry, Author
from actors.store.environment import Store
from actors.store.revisions import Revision, RevisionHead
from config.access import AccessBook
from config.audit import AuditLog, Version, entries_of
from config.compiled_workspaces import served_documents
from config.data_plans import lost_quarantines
from config.deployment import deployment_problems
from config.differences import fixed_for_life, needing_restart
from config.errors import ConfigError, format_path
from config.merging import Data, Names
from config.numbers import (
    KeptNumbers,
    ObjectNumbers,
    assign_all,
    decode_numbers,
    encode_numbers,
    retire,
)
from config.pages import (
    Draft,
    Page,
    draft_of,
    draft_of_file,
    is_example,
    next_page,
    read_page,
    unsealed,
    workspace_of,
)
from config.roles import STANDARD
from config.sealing import Sealer
from config.secret_values import hidden
from config.served import ServedDocument
from config.settings import Settings
from config.workspace import DESKS, WorkspaceDocument

# What lies about of a deleted object of these under its number is not a new one's of its name.
RETIRING = ("connections", *DESKS)
FILE = Author("config", "config")  # a configuration file


class Book:
    """The revisions; at any time one writes.

    Attributes:
        audit_log, access: what else is in its store.
        once: makes calls that change something.
    """

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
        self.once = Once(store, sealer, clock)
        self._pages: dict[str, Page] = {}
        with store.read() as txn:
            kept = revisions.read_numbers(txn)
            self._numbers = KeptNumbers() if kept is None else decode_numbers(kept)
            for workspace in revisions.read_served(txn):
                last = revisions.read_last_revision(txn, workspace)
                assert last is not None, "what is served was applied"
                self._pages[workspace] = read_page(last, self._sealer)
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

    def revisions(self, workspace: str) -> list[RevisionHead]:
        """Return the kept revisions of a workspace, oldest first, without their documents."""
        with self._store.read() as txn:
            return revisions.read_heads(txn, workspace)

    def former(self, workspace: str, number: int) -> tuple[Revision, Data] | None:
        """Return one revision and its document, `None` if it is not kept."""
        with self._store.read() as txn:
            found = revisions.read_revision(txn, workspace, number)
        return None if found is None else (found, unsealed(found, self._sealer))

    def is_example(self, workspace: str) -> bool:
        """Whether the example holds as it came for a workspace; see `pages.is_example`."""
        page = self._pages.get(workspace)
        return page is not None and is_example(page.revision)

    # -- Changing ---------------------------------------------------------------------------------

    def drafts_of_files(self, documents: Sequence[Data], origin: str = "file") -> list[Draft]:
        """Lay the documents of the operator's files over what holds for their workspaces.

        All of that stays, but for what came with the example: it is nobody's, and goes as a whole
        for the first file.

        Raises:
            ConfigError: with all that is wrong with what would hold then.
        """
        drafts = []
        for each in documents:
            is_first = self.is_example(workspace_of(each))
            drafts.append(self.draft_of_file(each, prune=is_first, origin=origin))
        names = [each.workspace for each in drafts]
        if repeated := {each for each in names if names.count(each) > 1}:
            raise ConfigError(("workspace.id", f"'{each}' is given twice") for each in repeated)
        return drafts

    def draft_of_file(self, given: Data, *, prune: bool, origin: str = "file") -> Draft:
        """Lay one document over what holds for its workspace; see `drafts_of_files`."""
        workspace = workspace_of(given)
        page = self._pages.get(workspace)
        return draft_of_file(page, workspace, given, prune=prune, origin=origin)

    def draft(
        self, workspace: str, data: Data, owned: Names, origin: str, came: Names | None = None
    ) -> Draft:
        """Make a draft of a whole document; see `draft_of`."""
        return draft_of(self._pages.get(workspace), workspace, data, owned, origin, came)

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
        """Go on without a file that has or had an object of a workspace, in the same revision.

        Raises StoreFull.
        """
        page = self._pages[workspace]
        revision = page.revision
        owned, came = (
            each | {section: each.get(section, frozenset()) - {name}}
            for each in (revision.owned, revision.from_files)
        )
        revision = msgspec.structs.replace(revision, owned=owned, from_files=came)
        released = replace(page, revision=revision)
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
        pages: dict[str, Page] = {}
        with self._store.read() as txn:
            for each in workspaces:
                if each in self._pages:
                    pages[each] = self._pages[each]
                elif last := revisions.read_last_revision(txn, each):
                    pages[each] = read_page(last, self._sealer)
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

    def _next(self, draft: Draft, actor: str) -> Page:
        former = self._pages.get(draft.workspace)
        return next_page(former, draft, actor, self._clock.now_ms(), self._sealer)

    def _audited(self, draft: Draft, numbers: KeptNumbers, author: Author) -> list[AuditEntry]:
        page, name = self._pages.get(draft.workspace), draft.workspace
        before = Version(
            {} if page is None else hidden(page.document, page.data),
            self._numbers.objects.get(name, ObjectNumbers()),
        )
        after = Version(hidden(draft.document, draft.data), numbers.objects[name])
        number = numbers.workspaces[name]
        return list(entries_of(draft.differences, before, after, number, author))

    def _compile(self, pages: Mapping[str, Page], known: KeptNumbers) -> list[ServedDocument]:
        documents = [page.document for page in pages.values()]
        _, numbers = assign_all(documents, known)
        revisions_of = [page.revision for page in pages.values()]
        edition = self.access.manifest.version
        return served_documents(
            documents, numbers, revisions_of, self._settings, self.access.roles, edition
        )
