"""A coordinator of one workspace with its identity scope and its store, for tests without Ray."""

from collections.abc import Sequence

from actors.clock import Clock, Randomness
from actors.coordinator import Coordinator
from actors.identity.index import IndexShard
from actors.identity.sequencer import Sequencer
from actors.identity.state import IdentityRules
from actors.identity.waiting import Waiting
from actors.metric_groups import CoordinatorMetrics
from actors.store.environment import Store
from tests.actors.profiles.builders import WORKSPACE


class LoneCoordinator(Coordinator):
    """Coordinator and sequencer on one store."""

    def __init__(
        self,
        store: Store,
        shards: Sequence[IndexShard],
        scope: int,
        rules: IdentityRules,
        max_event_names: int,
        clock: Clock,
        randomness: Randomness,
    ) -> None:
        metrics = CoordinatorMetrics("test")
        self._own_store = store
        self._own_sequencer = Sequencer(store, shards, scope, clock, randomness, metrics, Waiting())
        super().__init__(
            self._own_sequencer, shards, WORKSPACE.number, rules, store, max_event_names, clock
        )

    def start(self) -> None:
        """Begin to write what an earlier one has left."""
        self._own_sequencer.start()

    def close(self) -> None:
        """Let go of the store; whoever waits is told so."""
        self._own_sequencer.close()
        self._own_store.close()
