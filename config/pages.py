"""The pages of the book: a workspace as it holds, the draft over it, and the page that comes of it.

Nothing here is kept; `config.book` does that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from actors.store.revisions import Revision, Stamp
from config.data_plans import version_changes
from config.differences import Difference, differences
from config.errors import ConfigError
from config.load import parse_workspace
from config.merging import Data, Names, merged_document, names_in, still_there, together
from config.sealing import Sealer
from config.stored_forms import in_form_of_now
from config.workspace import DESKS, WorkspaceDocument

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


@dataclass(frozen=True, repr=False)
class Page:
    """A workspace as it holds now."""

    revision: Revision
    data: Data
    document: WorkspaceDocument


class Draft(Struct, frozen=True, kw_only=True):
    """What is to become the next revision of a workspace.

    Attributes:
        workspace: its id.
        base: revision that it was made from, 0 if there was none.
        data, document: the whole document, as it is written and as it is understood.
        owned: what a configuration file owns of it.
        from_files: what one has or had of it; see `Revision`.
        origin: see `Revision.origin`.
    """

    workspace: str
    base: int
    data: Data
    document: WorkspaceDocument
    owned: Names
    from_files: Names
    origin: str
    differences: tuple[Difference, ...]

    @property
    def revision(self) -> int:
        """Number of the revision that holds once this is written."""
        return self.base + 1 if self.differences else self.base

    def __repr__(self) -> str:
        return f"Draft({self.workspace}, {self.base})"


def read_page(revision: Revision, sealer: Sealer) -> Page:
    """Open what was kept. Raises ConfigError: this program refuses it."""
    data = unsealed(revision, sealer)
    return Page(revision, data, parse_workspace(data))


def unsealed(revision: Revision, sealer: Sealer) -> Data:
    """Return the document of a revision; secrets are in the clear."""
    return in_form_of_now(_decode(sealer.unseal(revision.sealed)))


def workspace_of(given: Mapping[str, Any]) -> str:
    """Return the id of the workspace that a document is of. Raises ConfigError."""
    workspace = given.get("workspace")
    name = workspace.get("id") if isinstance(workspace, Mapping) else None
    if not isinstance(name, str):
        raise ConfigError([("workspace.id", "required")])
    return name


def draft_of_file(
    page: Page | None, workspace: str, given: Data, *, prune: bool, origin: str
) -> Draft:
    """Lay the document of a file over what holds; see `draft_of`, and `merged_document`.

    `prune` deletes what a file before it had and this one has not. What was made through the API no
    file has had, and stays (spec/connections.md, 10).
    """
    kept = {} if page is None else page.data
    former = {} if page is None else from_files(page.revision)
    data = merged_document(kept, given, former if prune else {})
    if page is not None:
        data = with_purposes(data, page.document)
    owned = names_in(given)
    came = together(former, owned)
    if origin == "example":  # it is nobody's file; only the desks of these have to know
        owned = {section: owned.get(section, frozenset()) for section in DESKS}
    return draft_of(page, workspace, data, owned, origin, came)


def is_example(revision: Revision) -> bool:
    """Whether the example holds as it came: no file has had a say, nor has the API."""
    # A file that changed nothing made no revision, but owns what it has.
    owned = {section for section, names in revision.owned.items() if names}
    return revision.origin == "example" and owned <= set(DESKS)


def with_purposes(data: Data, former: WorkspaceDocument) -> Data:
    """Return a document with the purposes of GDPR that there were as well.

    They are only ever added to (spec/privacy.md, 1): a file from before one was added is not out of
    date for that, nor is an earlier revision.
    """
    workspace = data.get("workspace")
    regulations = _members(workspace, "regulations")
    gdpr = _members(regulations, "gdpr")
    purposes = gdpr.get("purposes", []) if gdpr is not None else None
    if not isinstance(purposes, list | tuple):
        return data  # it is refused
    given = {each.strip().lower() for each in purposes if isinstance(each, str)}
    missing = [each for each in former.workspace.regulations.gdpr.purposes if each not in given]
    if not missing:
        return data
    gdpr = {**(gdpr or {}), "purposes": [*purposes, *missing]}
    regulations = {**(regulations or {}), "gdpr": gdpr}
    return {**data, "workspace": {**(workspace or {}), "regulations": regulations}}


def _members(section: Any, name: str) -> Data | None:
    """Return a section of a section, `None` if it is none."""
    found = section.get(name, {}) if isinstance(section, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else None


def draft_of(
    page: Page | None,
    workspace: str,
    data: Data,
    owned: Names,
    origin: str,
    came: Names | None = None,
) -> Draft:
    """Make a draft of a whole document.

    Args:
        page: what holds for the workspace, `None` if nothing does.
        workspace: id of the workspace.
        data, owned, origin: see `Draft`.
        came: names of what came with files; `None`: what came with them until now.

    Raises:
        ConfigError: with all that is wrong with the document.
    """
    document = parse_workspace(data)
    if document.workspace.id != workspace:
        raise ConfigError([("workspace.id", f"is not '{workspace}', and cannot be changed")])
    owned = still_there(owned, data)
    if came is None:
        came = {} if page is None else from_files(page.revision)
    found = differences(None if page is None else page.document, document)
    if page is not None:
        found += _taken_back(page, owned, found)
    return Draft(
        workspace=workspace,
        base=0 if page is None else page.revision.number,
        data=data,
        document=document,
        owned=owned,
        from_files=still_there(came, data),
        origin=origin,
        differences=tuple(found),
    )


def next_page(page: Page | None, draft: Draft, actor: str, now_ms: int, sealer: Sealer) -> Page:
    """Make the page of a draft; one that changes nothing stays in the revision of `page`."""
    sealed = sealer.seal(_encode(draft.data))
    if page is not None and not draft.differences:
        same = msgspec.structs.replace(
            page.revision, owned=draft.owned, sealed=sealed, from_files=draft.from_files
        )
        return Page(same, draft.data, draft.document)
    revision = Revision(
        number=draft.revision,
        applied_ms=now_ms,
        actor=actor,
        origin=draft.origin,
        summary=tuple(each.line() for each in draft.differences),
        owned=draft.owned,
        stamps=_stamps(page, draft, actor, now_ms),
        sealed=sealed,
        from_files=draft.from_files,
    )
    return Page(revision, draft.data, draft.document)


def from_files(revision: Revision) -> Names:
    """Return the names of what a file has or had; all others were made through the API."""
    return together(revision.owned, revision.from_files)


def _stamps(page: Page | None, draft: Draft, actor: str, now_ms: int) -> dict[str, Stamp]:
    """Return when and by whom each object was made and changed, once a draft holds."""
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
            stamps[path] = Stamp(*made, now_ms, actor, draft.base + 1, is_draft)
    return stamps


def _is_off(document: WorkspaceDocument, difference: Difference) -> bool:
    """Tell whether an object is a connection that is not active."""
    return difference.section == "connections" and not any(
        each.active for each in document.connections if each.id == difference.name
    )


def _taken_back(page: Page, owned: Names, found: Sequence[Difference]) -> list[Difference]:
    """List what a file has again that the API has taken over meanwhile, unless it is `found`."""
    known = {each.path for each in found}
    names, came = names_in(page.data), from_files(page.revision)
    back = [
        Difference("update", section, name)
        for section in DESKS
        for name in sorted(
            owned.get(section, frozenset())
            & names.get(section, frozenset()) - came.get(section, frozenset())
        )
    ]
    return [each for each in back if each.path not in known]
