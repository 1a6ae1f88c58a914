"""Step `decode`: raw bytes to typed batches, or to what is wrong with them."""

from collections.abc import Iterable

from actors.batches.decode import decode_batch
from actors.errors import BatchRejected
from actors.model.batches import Batch, BatchContext
from actors.model.micro_batches import Deferred, Rejected, Unregistered, Unresolved, Whose
from actors.model.workspaces import WorkspaceInfo
from actors.steps.work import Work

# Batches that wait to come back, and the greatest that is kept: 16 MB as sent, and some times as
# much decoded. A greater one is decoded anew.
MAX_KEPT = 2_000
MAX_KEPT_BYTES = 8 * 1024
# What comes back as soon as somebody else has done their part.
_COMES_BACK = (Unresolved, Unregistered, Deferred, Whose)


class Decoder:
    """Decodes batches; those that have to be sent again are decoded once."""

    def __init__(self, workspace: WorkspaceInfo) -> None:
        self._workspace = workspace
        self._kept: dict[bytes, tuple[Batch, BatchContext]] = {}

    def decode(self, works: Iterable[Work]) -> None:
        """Decode every batch; one that cannot be becomes `Rejected`, alone."""
        for work in works:
            batch, context = self._kept.pop(work.raw, (None, None))
            if batch is not None and context == work.context:
                work.batch = batch
                continue
            try:
                work.batch = decode_batch(work.raw, work.context, self._workspace)
            except BatchRejected as error:
                work.result = Rejected(error.problems)

    def keep(self, works: Iterable[Work]) -> None:
        """Keep what was decoded and not applied; what is applied changes its batch."""
        for work in works:
            if isinstance(work.result, _COMES_BACK) and len(work.raw) <= MAX_KEPT_BYTES:
                if len(self._kept) >= MAX_KEPT:
                    self._kept.clear()
                self._kept[work.raw] = (work.entered, work.context)
