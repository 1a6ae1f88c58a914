"""What the desk of configurations answers with."""

from collections.abc import Mapping

from msgspec import Struct

from actors.store.revisions import Stamp
from config.differences import Difference
from config.merging import Data
from config.served import ServedDocument
from config.workspace import WorkspaceDocument


class Sheet(Struct, frozen=True, kw_only=True):
    """A workspace as it holds now, to be edited. Holds secrets.

    Attributes:
        data, document: as it is written, and as it is understood.
        owned: section to the names of what a configuration file has there.
        stamps: `<section>/<id>` to who made and changed an object.
    """

    served: ServedDocument
    data: Data
    stamps: Mapping[str, Stamp]

    @property
    def document(self) -> WorkspaceDocument:
        """The document, as it is understood."""
        return self.served.document

    def __repr__(self) -> str:
        return f"Sheet({self.served.info.id}, {self.served.revision})"


class Entry(Struct, frozen=True, kw_only=True):
    """A revision as it is listed; `data` only where one is asked for."""

    number: int
    applied_ms: int
    actor: str
    origin: str
    summary: tuple[str, ...]
    data: Data | None = None

    def __repr__(self) -> str:
        return f"Entry({self.number})"


class Applied(Struct, frozen=True):
    """What applying has changed, or would change; `revision`: the one that holds."""

    differences: tuple[Difference, ...]
    revision: int
