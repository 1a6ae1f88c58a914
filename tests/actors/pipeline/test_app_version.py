"""The least version of an app: spec/connections.md, 2.2, case 10."""

import pytest

from actors.pipeline.app_version import parse_version
from actors.pipeline.settings import AppVersions, PipelineSettings
from tests.actors.pipeline.support import batch_of, connection_of, custom, run


def is_sent(least: str, version: str | None, *, takes_unknown: bool = False) -> bool:
    parsed = parse_version(least)
    assert parsed is not None
    info = {} if version is None else {"application_version": version}
    pipeline = PipelineSettings(app_versions=AppVersions(parsed, takes_unknown))
    payloads, drops = run(connection_of(pipeline), batch_of(custom("A"), application_info=info))
    assert [each.reason for each in drops] == ([] if payloads else ["min_app_version"])
    return bool(payloads)


@pytest.mark.parametrize(
    ("least", "version", "expected"),
    [
        ("4.2", "4.10", True),
        ("4.2", "4.2", True),
        ("4.2", "4.1.9", False),
        ("4.2", "4.2.0", True),
        ("4.2.0", "4.2", True),
        ("4.2.1", "4.2", False),
        ("4", "10.0", True),
        ("0", "0.0.0", True),
        ("4.2", "04.02", True),
    ],
)
def test_case_10_versions_compare_by_their_numbers(
    least: str, version: str, expected: bool
) -> None:
    assert is_sent(least, version) is expected


@pytest.mark.parametrize("version", [None, "", "4.2-beta", "v5", "5.", "٥"])
@pytest.mark.parametrize("takes_unknown", [True, False])
def test_versions_that_are_none_are_taken_of_feeds_only(
    version: str | None, takes_unknown: bool
) -> None:
    assert is_sent("4.2", version, takes_unknown=takes_unknown) is takes_unknown


@pytest.mark.parametrize("text", ["4.2-beta", "", ".", "4..2", "4.2.", "x", "4,2", "4.2\n"])
def test_case_10_a_least_version_is_digits_and_dots(text: str) -> None:
    assert parse_version(text) is None
