"""Step `decode`: raw bytes to typed batches, or to what is wrong with them."""

from collections.abc import Iterable

from actors.batches.decode import decode_batch
from actors.errors import BatchRejected
from actors.model import Rejected, WorkspaceInfo
from actors.steps.work import Work


def decode(works: Iterable[Work], workspace: WorkspaceInfo) -> None:
    """Decode every batch; one that cannot be becomes `Rejected`, alone."""
    for work in works:
        try:
            work.batch = decode_batch(work.raw, work.context, workspace)
        except BatchRejected as error:
            work.result = Rejected(error.problems)
