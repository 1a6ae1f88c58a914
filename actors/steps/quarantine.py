"""Step `quarantine`: what was blocked of a batch goes to the output that its plan names.

Source: spec/connections.md, 2.6; spec/data-plans.md, 4.1.
"""

from actors.model.deliveries import Delivery
from actors.model.workspaces import WorkspaceInfo
from actors.pipeline.candidate import Drop
from actors.plans.quarantine import quarantine_delivery
from actors.steps.work import Work


def quarantine(work: Work, workspace: WorkspaceInfo) -> tuple[list[Delivery], list[Drop]]:
    """Make the delivery of one batch, if something of it was blocked and that is kept.

    Args:
        work: its ids are assigned, those of the events that entered validation.
        workspace: where it came to.

    Returns:
        At most one delivery, its sequence 0 for the shard to assign; and what was left out.
    """
    checked, batch = work.checked, work.decoded
    if checked is None or checked.blocked is None:
        return [], []
    checked.blocked.take_ids(batch.batch_id)
    connection = checked.quarantine
    if connection is None or checked.version is None:
        return [], []
    if batch.environment not in connection.environments:
        return [], [Drop(connection.number, "environment")]
    stored = work.stored(checked.blocked.entered, workspace)
    plan = checked.plan_id, checked.version
    return [quarantine_delivery(checked.blocked, stored, plan, connection)], []
