"""What a shard counts: how long the stages of a micro-batch take."""

from actors.shard_counts import Stages


def test_each_stage_lasts_from_the_end_of_the_one_before() -> None:
    instants = iter((10.0, 10.5, 10.5, 13.0))
    stages = Stages(lambda: next(instants))
    for stage in ("decode", "plan", "commit"):
        stages.end(stage)
    assert stages.durations == {"decode": 0.5, "plan": 0.0, "commit": 2.5}
