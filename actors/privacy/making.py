"""Puts the desk of a workspace's data subject requests together."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import cast

from actors.clock import Clock, Randomness
from actors.coordinator import Coordinator
from actors.handles import ShardHandle
from actors.metric_groups import CoordinatorMetrics
from actors.model.workspaces import WorkspaceInfo
from actors.output_states import Seal
from actors.privacy.announcing import Announcer
from actors.privacy.desk import PrivacyDesk
from actors.privacy.erasing import Eraser, ErasingShard
from actors.privacy.exporting import Exporter, ExportingShard
from actors.privacy.fulfilment import Fulfilment
from actors.privacy.gauges import Gauges
from actors.privacy.handles import Surroundings
from actors.privacy.options import PrivacyOptions
from actors.privacy.results import Results
from actors.privacy.subjects import Subjects
from actors.store.environment import Store


def privacy_desk(
    folder: Path,
    store: Store,
    coordinator: Coordinator,
    applying: asyncio.Lock,
    shards: Sequence[ShardHandle],
    workspace: WorkspaceInfo,
    options: PrivacyOptions,
    surroundings: Surroundings,
    receiving: Callable[[], Collection[str]],
    expire_downloads: Callable[[], int],
    seal: Seal,
    clock: Clock,
    randomness: Randomness,
    metrics: CoordinatorMetrics,
) -> PrivacyDesk:
    """Make the desk; arguments as those of `actors.desks.Desks` and of `Eraser`."""
    exporter = Exporter(folder / "results", cast(Sequence[ExportingShard], shards))
    results = Results(store, exporter, seal, randomness)
    subjects = Subjects(coordinator, shards, clock)
    erasing = cast(Sequence[ErasingShard], shards)
    eraser = Eraser(
        store,
        coordinator,
        applying,
        erasing,
        results,
        surroundings.reread,
        receiving,
        expire_downloads,
        clock,
    )
    controller, base = str(workspace.number), f"https://{surroundings.domain}"
    return PrivacyDesk(
        store,
        options,
        subjects,
        Fulfilment(store, subjects, eraser, results, seal, clock),
        results,
        Announcer(store, controller, base, surroundings.post, clock),
        Gauges(metrics, workspace.id),
        seal,
        surroundings.wake,
        clock,
    )
