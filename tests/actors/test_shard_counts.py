"""What a shard counts: how long the stages of a micro-batch take, and what outputs do not get."""

from contextlib import closing
from pathlib import Path

import pytest

from actors.errors import StoreFull
from actors.identity.alias_calls import AliasOrder
from actors.identity.calls import AliasRequest
from actors.model.micro_batches import Accepted
from actors.profiles.aliasing import SourceFacts
from actors.shard import Shard
from actors.shard_aliases import ShardAliases
from actors.shard_counts import Stages
from actors.shard_options import ShardOptions
from tests.actors.forwarding.support import connection
from tests.actors.profiles.builders import BACKEND, NOW, WORKSPACE
from tests.actors.shards import context, item, micro, open_shard, opened

SOURCE, DESTINATION = 5, 1
# It wants aliases, but none of this environment.
ELSEWHERE = connection(
    3, input=BACKEND, environments=frozenset({"development"}), sends_aliases=True
)
ORDER = AliasOrder(
    1,
    NOW,
    AliasRequest(
        *("r", "production", SOURCE, DESTINATION, NOW - 1000, NOW, "mpid", None, NOW, BACKEND)
    ),
)


def test_each_stage_lasts_from_the_end_of_the_one_before() -> None:
    instants = iter((10.0, 10.5, 10.5, 13.0))
    stages = Stages(lambda: next(instants))
    for stage in ("decode", "plan", "commit"):
        stages.end(stage)
    assert stages.durations == {"decode": 0.5, "plan": 0.0, "commit": 2.5}


def commit(shard: Shard, number: int) -> None:
    sent = micro(number, item(opened(DESTINATION)), where=context(NOW))
    assert shard.commit(sent) == [Accepted(DESTINATION, 1)]


def dropped(shard: Shard) -> float | None:
    labels = {"connection": ELSEWHERE.id, "reason": "environment"}
    return shard.metrics.registry.get_sample_value("headwater_forwarder_drops_total", labels)


def test_what_an_output_does_not_get_of_an_alias_is_counted_once_it_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = open_shard(tmp_path, connections=(ELSEWHERE,), queue_limits={3: 1 << 20})
    with closing(shard.state):
        commit(shard, 1)
        before = dropped(shard) or 0
        aliases, facts = ShardAliases(shard, shard._clock), SourceFacts(NOW, [])

        def full(*_: object) -> None:
            raise StoreFull("no room")

        with monkeypatch.context() as patch:
            patch.setattr("actors.shard.write_last", full)
            for _ in range(3):
                with pytest.raises(StoreFull):
                    aliases.finish_alias(ORDER, facts)
        aliases.finish_alias(ORDER, facts)
        aliases.finish_alias(ORDER, facts)  # once more: it is merged already
        assert dropped(shard) == before + 1
        labels = {"connection": ELSEWHERE.id, "result": "dropped"}
        read = shard.metrics.registry.get_sample_value
        assert read("headwater_forwarder_events_total", labels) == before + 1
        assert read("headwater_profile_merges_total", {"workspace": WORKSPACE.id}) == 1


def test_batches_go_on_when_the_connection_that_did_not_get_an_alias_is_gone(
    tmp_path: Path,
) -> None:
    shard = open_shard(tmp_path, connections=(ELSEWHERE,), queue_limits={3: 1 << 20})
    with closing(shard.state):
        commit(shard, 1)
        ShardAliases(shard, shard._clock).finish_alias(ORDER, SourceFacts(NOW, []))
        shard.take_over(ShardOptions(workspace=WORKSPACE, revision=2, dropped=frozenset({3})))
        commit(shard, 2)
        commit(shard, 3)
