"""The data plans of a workspace, and which version a batch is held against.

Source: spec/data-plans.md, 1 and 3.2.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import orjson
from msgspec import Struct

from actors.model.workspaces import Environment
from actors.pipeline.connection import ConnectionInfo
from actors.plans.document import PlanDocument, compile_document

ActivatedEnvironment = Literal["none", "development", "production"]


class PlanVersionInfo(Struct, frozen=True):
    """An active version, as the configuration has it.

    Attributes:
        document: as JSON.
        quarantine: where batches go of which something was blocked, `None`: nowhere.
    """

    version: int
    environment: ActivatedEnvironment
    document: bytes
    quarantine: ConnectionInfo | None = None


class PlanInfo(Struct, frozen=True):
    """A data plan with its active versions."""

    id: str
    versions: tuple[PlanVersionInfo, ...] = ()


class PlanVersion(Struct, frozen=True):
    """A version that is ready to validate."""

    plan_id: str
    info: PlanVersionInfo
    document: PlanDocument


def is_active_in(activated: ActivatedEnvironment, environment: Environment) -> bool:
    """Tell whether a version is used for batches of an environment."""
    return activated == "production" or activated == environment


class Plans:
    """All plans of a workspace, compiled."""

    def __init__(self, infos: Iterable[PlanInfo], former: "Plans | None" = None) -> None:
        """Compile.

        Args:
            infos: the plans.
            former: those before; what they have compiled is not compiled again.

        Raises:
            DocumentRefused: a document is none.
        """
        known = {} if former is None else former._compiled
        self._compiled: dict[bytes, PlanDocument] = {}
        self._versions: dict[tuple[str, Environment], dict[int, PlanVersion]] = {}
        self._ids: set[str] = set()
        for plan in infos:
            self._ids.add(plan.id)
            for each in plan.versions:
                document = known.get(each.document) or compile_document(orjson.loads(each.document))
                self._compiled[each.document] = document
                version = PlanVersion(plan.id, each, document)
                for environment in ("production", "development"):
                    if is_active_in(each.environment, environment):
                        self._versions.setdefault((plan.id, environment), {})[each.version] = (
                            version
                        )

    def has(self, plan_id: str) -> bool:
        """Tell whether there is such a plan."""
        return plan_id in self._ids

    def version_for(self, named: Mapping[str, Any], environment: Environment) -> PlanVersion | None:
        """Return the version that a batch is held against, `None` if there is none.

        Args:
            named: `context.data_plan` of the batch, which has a `plan_id`.
            environment: of the batch.
        """
        versions = self._versions.get((named["plan_id"], environment))
        if not versions:
            return None
        wanted = named.get("plan_version")
        return versions.get(max(versions) if wanted is None else wanted)
