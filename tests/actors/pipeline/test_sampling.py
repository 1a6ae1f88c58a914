"""Samples and splits: spec/connections.md, 2.1, cases 8 and 9; spec/rules.md, 9, case 31."""

import pytest
from msgspec.structs import replace

from actors.model.batches import StoredBatch
from actors.model.workspaces import InputInfo, UserSplit
from actors.pipeline.sampling import bucket, group_of, subject_of
from actors.pipeline.settings import PipelineSettings, Sampling
from tests.actors.pipeline.support import batch_of, connection_of, custom, run
from tests.actors.test_outgoing import workspace

CASE_8 = {
    1: 2293,
    42: 5812,
    1003: 824,
    7346244611012968789: 5444,
    -6520741417792989986: 8006,
}


def of(mpid: int | None, **changes: object) -> StoredBatch:
    return replace(batch_of(custom("A"), **changes), mpid=mpid)


def is_sent(sampling: Sampling, batch: StoredBatch) -> bool:
    payloads, drops = run(connection_of(PipelineSettings(sampling=sampling)), batch)
    assert [each.reason for each in drops] == ([] if payloads else ["sampled_out"])
    return bool(payloads)


@pytest.mark.parametrize(("mpid", "expected"), CASE_8.items())
def test_case_8_a_user_is_wholly_in_or_wholly_out(mpid: int, expected: int) -> None:
    assert bucket("hook-analytics", mpid) == expected
    assert is_sent(Sampling("hook-analytics", 5000), of(mpid)) is (expected < 5000)


@pytest.mark.parametrize(("percentage", "users"), [(25, 2442), (50, 4999), (100, 10_000), (0, 0)])
def test_case_8_the_share_of_ten_thousand_users(percentage: int, users: int) -> None:
    end = percentage * 100
    assert sum(bucket("hook-analytics", mpid) < end for mpid in range(1, 10_001)) == users


def test_case_9_another_salt_is_another_sample() -> None:
    assert bucket("lake", 42) == 3640
    assert is_sent(Sampling("lake", 5000), of(42))
    assert not is_sent(Sampling("hook-analytics", 5000), of(42))


def test_the_end_of_a_sample_is_outside_of_it() -> None:
    assert not is_sent(Sampling("lake", 3640), of(42))
    assert is_sent(Sampling("lake", 3641), of(42))


def test_without_a_user_the_device_counts_else_the_batch() -> None:
    assert subject_of(of(None, mp_deviceid="d-1")) == "d-1"
    assert subject_of(of(None, batch_id=77)) == 77
    assert subject_of(of(5, mp_deviceid="d-1")) == 5


SPLIT = UserSplit("s1", (("A", 2000), ("B", 10_000)))


@pytest.mark.parametrize(
    ("mpid", "place", "group"),
    [
        (12544, 1872, "A"),
        (12800, 2698, "B"),
        (6004677780660780000, 9862, "B"),
        (-3402163370598315325, 5253, "B"),
    ],
)
def test_rules_case_31_users_are_divided_by_percentages(mpid: int, place: int, group: str) -> None:
    assert bucket("s1", mpid) == place
    assert group_of(SPLIT, of(mpid)) == group
    web = InputInfo(2, "web", "Web", "platform", "MobileWeb", split=SPLIT)
    at = workspace(inputs={2: web})
    for wanted in ("A", "B"):
        info = connection_of(PipelineSettings(split_group=wanted))
        payloads, drops = run(info, of(mpid), None, at)
        assert bool(payloads) is (wanted == group)
        assert [each.reason for each in drops] == ([] if payloads else ["split"])
    [payload], _ = run(connection_of(PipelineSettings()), of(mpid), None, at)
    assert payload["context"]["user_split"] == {"id": "s1", "group": group}
