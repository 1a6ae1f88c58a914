"""How the coordinator is set up. Kept apart, as edges have to read it and nothing of the desks."""

from msgspec import Struct

from actors.audiences.catalog import Catalog
from actors.calculated.objects import CalculatedCatalog
from actors.model.workspaces import WorkspaceInfo
from actors.privacy.options import PrivacyOptions


class DeskOptions(Struct, frozen=True, kw_only=True):
    """How a workspace is set up in the coordinator.

    Attributes:
        slice_pause_s: between two slices of the group job on a shard: most of its time is
            ingestion's.
    """

    workspace: WorkspaceInfo
    catalog: Catalog
    calculated: CalculatedCatalog
    group_job_interval_s: float
    slice_pause_s: float = 0.02
    privacy: PrivacyOptions = PrivacyOptions()
