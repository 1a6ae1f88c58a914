"""Steps 1 to 3: whether the connection, the batch's age and its platform allow it at all."""

from collections.abc import Set as AbstractSet

from actors.model.workspaces import Environment
from actors.pipeline.candidate import Candidate, Step


def refusing(reason: str) -> Step:
    """Make a step that nothing passes."""

    def refuse(_: Candidate) -> str:
        return reason

    return refuse


def in_environments(environments: AbstractSet[Environment]) -> Step:
    """Make step 1 of an active connection: its output takes the batch's environment."""

    def check_environment(candidate: Candidate) -> str | None:
        is_taken = candidate.stored.batch.environment in environments
        return None if is_taken else "environment"

    return check_environment


def check_history(candidate: Candidate) -> str | None:
    """Step 2: historical batches go nowhere. Duplicates do not come this far."""
    return "historical" if candidate.stored.is_historical else None
