"""The group job on one shard, slice by slice (spec/identity.md, 13; `actors.groups.runs`).

Each slice is one short call and one transaction that also holds how far it came, so ingestion goes
on between slices, and after a crash the next call goes on where the last commit was. A call too
many, or one that comes late, does nothing that is not wanted.
"""

from collections.abc import Sequence

from actors.errors import StaleGroupRun
from actors.groups.live import KnownGroups, LiveGroups, write_live
from actors.groups.phases import GroupPhases, Slice
from actors.groups.runs import GroupRun, Phase, Progress
from actors.shard import Shard
from actors.store import groups

SLICE = 250  # profiles or keys per call: less than 10 ms, which ingestion has to wait
# What one call hands over to be merged.
PAGE_BYTES = 1024 * 1024


class GroupWorker:
    """Does the shard's part of runs. Methods raise StoreFull, having changed nothing."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._workspace = shard.options.workspace
        self._phases = GroupPhases(shard)

    def set_groups(self, live: LiveGroups) -> tuple[int, int]:
        """Take over which definitions exist, unless a newer version is known.

        Returns:
            The version that is known now, and the number of the last run.
        """
        if live.version > self._shard.groups.version:
            with self._shard.store.write() as txn:
                write_live(txn, live)
            self._shard.groups = KnownGroups(live)
            self._shard.audiences.engine.groups = self._shard.groups.ids
        with self._shard.store.read() as txn:
            return self._shard.groups.version, groups.read_progress(txn).run

    def group_slice(self, run: GroupRun, phase: Phase, limit: int = SLICE) -> bool:
        """Do the next slice of a phase; return whether the phase is done here.

        Args:
            run: the same in every call of a run.
            phase: `merge` is none of a shard's.
            limit: the most profiles or keys to look at.

        Raises:
            StaleGroupRun: this shard knows nothing of the run's beginning, or has seen a later run;
                nothing was changed.
        """
        profiles = self._shard.profiles
        progress = Progress(run.number, phase, is_done=False)
        try:
            with self._shard.store.write() as txn:
                known = groups.read_progress(txn)
                is_lost = known.run < run.number and phase != run.first_phase
                if is_lost or known.run > run.number:
                    raise StaleGroupRun(known.run)
                if known.order() > progress.order():
                    return True
                if known.order() == progress.order():
                    progress = known
                if progress.is_done:
                    return True
                slice_ = Slice(limit)
                self._phases.do(phase, run, progress.cursor, slice_, txn)
                progress.cursor, progress.is_done = slice_.next, not slice_.next
                groups.write_progress(txn, progress)
                profiles.flush(txn, self._workspace.number)
        except BaseException:
            profiles.abandon()
            raise
        profiles.published()
        return progress.is_done

    def group_partials(
        self, run: int, definition: int, after: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Return (key, encoded `Partial`) of the next groups after a key, none after the last."""
        page: list[tuple[bytes, bytes]] = []
        size = 0
        prefix = groups.run_prefix(definition, run)
        with self._shard.store.read() as txn:
            for key, encoded in txn.scan("group_partials", start=after, prefix=prefix):
                if key == after:
                    continue
                if len(page) == limit or size >= PAGE_BYTES:
                    break
                page.append((key, encoded))
                size += len(encoded)
        return page

    def write_group_values(self, run: int, values: Sequence[tuple[bytes, bytes]]) -> None:
        """Write what was merged, by the keys of the partials. Repeatable.

        Raises:
            StaleGroupRun: the run has gone on without this; nothing was written.
        """
        with self._shard.store.write() as txn:
            known = groups.read_progress(txn)
            if known.order() != Progress(run, "collect").order():
                raise StaleGroupRun(known.run)
            for key, encoded in values:
                txn.put("group_values", key, encoded)
