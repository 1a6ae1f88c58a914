"""What validation and blocking have made of one batch."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from actors.pipeline.connection import ConnectionInfo
from actors.plans.blocking import Blocked
from actors.plans.findings import Kind

Outcome = Literal["valid", "violations", "blocked", "plan_not_found", "no_active_version", "failed"]


class Checked(Struct):
    """What became of a batch that names a data plan.

    Attributes:
        plan: id and number of the version, or the id alone; empty if there is no such plan.
        violations: kind, and whether it is blocked, to how many.
        blocked: what was taken out, `None` if nothing was.
        quarantine: where that goes.
    """

    outcome: Outcome
    plan_id: str = ""
    version: int | None = None
    violations: Mapping[tuple[Kind, bool], int] = field(default_factory=dict)
    blocked: Blocked | None = None
    quarantine: ConnectionInfo | None = None

    @property
    def drops_batch(self) -> bool:
        """Whether nothing of the batch goes further."""
        return self.blocked is not None and self.blocked.verdict.drops_batch
