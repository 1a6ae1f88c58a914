"""A workspace as it is served. Kept apart: an edge reads it before it is back after its death."""

from collections.abc import Mapping
from typing import NamedTuple

from actors.model.workspaces import WorkspaceInfo
from actors.store.revisions import Stamp
from config.numbers import Numbers
from config.roles import Tasks
from config.workspace import WorkspaceDocument


class ServedDocument(NamedTuple):
    """A workspace as it holds now. Can be sent to other processes; holds secrets.

    Attributes:
        document, numbers: what it says, and the integer ids of its objects.
        info: what shards and edges have to know.
        revision: of the document; `origin`: how it came about (`Revision.origin`).
        owned: section to the names of what a configuration file has there.
        roles: the custom roles; `manifest`: how many manifests of them there have been.
        stamps: `data_plans/<id>/<version>` to who changed that version last.
        from_files: see `Revision`.
    """

    document: WorkspaceDocument
    numbers: Numbers
    info: WorkspaceInfo
    revision: int
    origin: str
    owned: dict[str, frozenset[str]]
    roles: Mapping[str, Tasks] = {}
    manifest: int = 0
    stamps: Mapping[str, Stamp] = {}
    from_files: Mapping[str, frozenset[str]] = {}

    def left(self, section: str) -> frozenset[str]:
        """Return the names of what a file before the last one had in a section."""
        return self.from_files.get(section, frozenset()) - self.owned.get(section, frozenset())

    @property
    def edition(self) -> tuple[int, int]:
        """Changes with all that is served."""
        return self.revision, self.manifest
