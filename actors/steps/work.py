"""What the steps of a micro-batch hand from one to the next."""

from msgspec import Struct
from msgspec.structs import replace

from actors.model.batches import Batch, BatchContext, StoredBatch
from actors.model.micro_batches import Result
from actors.model.workspaces import WorkspaceInfo
from actors.plans.checked import Checked


def without_user(batch: Batch) -> Batch:
    """Return what is kept of a batch that is nobody's (spec/events-api.md, 8.3)."""
    return replace(batch, user_attributes={}, deleted_user_attributes=[], consent_state={})


class Work(Struct):
    """One batch on its way through the steps; `result` is set as soon as its fate is known.

    Attributes:
        raw: its bytes, as sent.
        unit: see `actors.model.micro_batches.Item`.
        is_question: it is only asked whose it is.
        hint: MPID that the edge sent along; the coordinator's word unless `is_guess`.
        batch: decoded, from step `decode` on.
        mpid: whose it is, from step `identify` on; `None` if nobody's.
        by_identities: it was found by the batch's identities, not named by the batch.
        sent: those identities (`actors.store.keys.sent_digest`), if repeats of the batch are looked
            for here by them.
        checked: what its data plan says of it, `None` if it names none or nobody has looked.
    """

    raw: bytes
    unit: int
    hint: int | None
    is_guess: bool
    context: BatchContext
    batch: Batch | None = None
    mpid: int | None = None
    by_identities: bool = False
    sent: bytes | None = None
    result: Result | None = None
    checked: Checked | None = None
    is_question: bool = False

    @property
    def decoded(self) -> Batch:
        """The batch; only to be asked for after step `decode`, of work without a result."""
        assert self.batch is not None, "step decode comes first"
        return self.batch

    @property
    def entered(self) -> Batch:
        """The batch before anything of it was blocked."""
        checked = self.checked
        if checked is None or checked.blocked is None:
            return self.decoded
        return checked.blocked.entered

    def stored(
        self,
        batch: Batch,
        workspace: WorkspaceInfo,
        log_id: int = 0,
        previous_log_id: int = 0,
        device_key: str | None = None,
    ) -> StoredBatch:
        """Return a form of its batch as the log keeps it; without a `log_id` it is not in the log.

        Args:
            batch: of it, such as `decoded` or `entered`.
            workspace: where it came to.
            log_id, previous_log_id, device_key: see `StoredBatch`.
        """
        context = self.context
        return StoredBatch(
            log_id=log_id,
            previous_log_id=previous_log_id,
            workspace=workspace.number,
            scope=workspace.scope,
            mpid=self.mpid,
            input=context.input,
            received_ms=context.received_ms,
            channel=context.channel,
            is_historical=context.is_historical,
            device_key=device_key,
            batch=batch,
        )

    @property
    def upload_ids(self) -> list[tuple[str, str]]:
        """Kind and value of each id that the sender gave the upload."""
        batch = self.decoded
        ids: list[tuple[str, str]] = []
        if batch.source_request_id is not None:
            ids.append(("request_id", batch.source_request_id))
        if batch.is_batch_id_sent:
            ids.append(("batch_id", str(batch.batch_id)))
        return ids
