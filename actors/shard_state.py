"""What the workspaces of one shard have in common: its store, the profiles in it, its ids."""

from typing import Any

from actors.clock import Clock, Randomness, SystemRandomness
from actors.joints import Joints
from actors.metric_groups import ShardMetrics
from actors.model.workspaces import WorkspaceInfo
from actors.overdue_records import OverdueRecords
from actors.shard_identities import ShardIdentities
from actors.shard_options import StoreOptions
from actors.store.environment import Store
from actors.store.ids import Ids, read_last
from actors.store.moving import read_slots
from actors.store.profiles import Profiles
from actors.store.slots import Slots, even

# Of its start a shard gives so much to the columns of audiences. Small stores are whole then; of
# large ones the rest comes while it serves.
LOAD_S = 0.25
PROBE_PAUSE_S = 1.0  # anybody may ask for the health, and each probe is a commit


class ShardState:
    """Holds what is shared; at any time one workspace at most changes it.

    Attributes:
        number, of: this is shard `number` (from 0) of so many.
        slots: who owns which.
        store: of everybody; a workspace works on its own view of it.
        profiles: of all identity scopes.
        ids: drawn by all.
        joints: the audiences over several of the workspaces.
        overdue: users whose identity record is to go, as far as a sweep has met them.
        committed: how many micro-batches were, in this process.
        load_until_s: instant of the monotonic clock until when the start may load columns.
    """

    def __init__(
        self, options: StoreOptions, clock: Clock, randomness: Randomness | None = None
    ) -> None:
        """Open the store.

        `randomness`: of MPIDs; the operating system's by default.

        Raises:
            DataFolderError: it cannot be opened.
        """
        self.number = options.number
        self.of = options.of
        self.store = Store(options.folder, options.map_size_bytes, options.workspaces)
        self.profiles = Profiles(options.profile_cache_bytes)
        self.committed = 0
        self.load_until_s = clock.monotonic() + LOAD_S
        self._clock = clock
        self._randomness = randomness or SystemRandomness()
        self._scopes = options.scopes
        self._probed_s: float | None = None  # when it last succeeded
        self._identities: dict[int, ShardIdentities] = {}
        with self.store.read() as txn:
            self.profiles.recover(txn)
            self.ids = Ids(options.number, read_last(txn), clock)
            self.slots = Slots(options.slots or even(options.of))
            if (kept := read_slots(txn)) is not None:  # of after this process was first started
                self.slots.take_over(kept)
        self.joints = Joints(clock, self.ids)
        self.overdue = OverdueRecords()

    def identities(self, workspace: WorkspaceInfo) -> ShardIdentities:
        """Return the index of a workspace's identity scope: one for all workspaces of the scope."""
        if workspace.scope not in self._identities:
            self._identities[workspace.scope] = ShardIdentities(
                self.store,
                self.profiles,
                workspace.scope,
                self.other_scopes(workspace),
                workspace.priority,
                self.number,
                self.slots,
                self._clock,
                self._randomness,
            )
        return self._identities[workspace.scope]

    def other_scopes(self, workspace: WorkspaceInfo) -> tuple[int, ...]:
        """Return the identity scopes that a workspace is not of."""
        return tuple(sorted(self._scopes - {workspace.scope}))

    def retention(self, scope: int) -> dict[int, int]:
        """Return number to `events_days` of the workspaces of an identity scope, as served now."""
        workspaces = (each.options.workspace for each in self.joints.shards.values())
        return {each.number: each.events_days for each in workspaces if each.scope == scope}

    def probe(self) -> None:
        """Write something, once a second at most. Raises StoreFull if nothing can be stored."""
        now_s = self._clock.monotonic()
        if self._probed_s is not None and now_s - self._probed_s < PROBE_PAUSE_S:
            return
        with self.store.write() as txn:
            txn.put("shard", b"probe", self._clock.now_ms().to_bytes(8, "big"))
        self._probed_s = now_s

    def show(self, metrics: ShardMetrics) -> None:
        """Write the sizes of the store and the cache."""
        shard = str(self.number)
        used, most = self.store.used_bytes(), self.store.map_size_bytes()
        metrics.storage_bytes.labels(shard, "all").set(used)
        metrics.storage_map_used.labels(shard, "all").set(used / most)
        with self.store.read() as txn:
            metrics.profiles.labels(shard, "stored").set(txn.entries("profiles"))
        metrics.profiles.labels(shard, "memory").set(self.profiles.in_memory)

    def status(self) -> dict[str, Any]:
        """Describe the store for a status page."""
        with self.store.read() as txn:
            stored = txn.entries("profiles")
        return {
            "profiles": {"stored": stored, "in_memory": self.profiles.in_memory},
            "storage_bytes": self.store.used_bytes(),
        }

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()
