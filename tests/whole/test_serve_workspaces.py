"""Two workspaces of one identity scope in a real deployment: actors, outputs, kills, resharding."""

from pathlib import Path

import pytest

from tests.serving import KEY, SECRET, WORKSPACE, Served, eventually

pytestmark = pytest.mark.ray

OTHER = (
    WORKSPACE.replace("  name: W1", "  name: W2\n  identity_scope: w1")
    .replace("id: w1", "id: w2")
    .replace("us1-test-", "us1-other-")
    .replace("client_id: ops", "client_id: other")
    .replace("files", "other-files")
    .replace("}/events", "}/other")
)
KEYS = (KEY, "us1-other-backend-key")
FOLDERS = ("events", "other")
USERS = [f"u{number}" for number in range(12)]


def accept(served: Served, key: str, user: str, name: str) -> None:
    event = {"event_type": "custom_event", "data": {"event_name": name}}
    body = {"user_identities": {"customer_id": user}, "events": [event]}
    status, answer = served.post("/v2/events", body, key, SECRET)
    assert status == 202, answer


def delivered(served: Served, folder: str) -> set[tuple[int, str]]:
    """Return (MPID, event name) of all that an output has written."""
    return {
        (batch["mpid"], event["data"]["event_name"])
        for batch in served.delivered(folder)
        for event in batch["events"]
    }


def check(view: Served, folder: str, mpids: dict[str, int], names: list[str]) -> None:
    """Check that each user has the same MPID as ever, and these events here and in the output."""
    for user in USERS:
        [mpid] = view.find(user)
        assert mpids.setdefault(user, mpid) == mpid
        assert [each["data"]["event_name"] for each in view.events(user)] == names
    expected = {(mpid, name) for mpid in mpids.values() for name in names}
    eventually(lambda: delivered(view, folder), lambda found: found == expected)


def test_workspaces_keep_to_themselves_through_kills_and_other_numbers_of_shards(
    tmp_path: Path,
) -> None:
    """And know each other's users all the time."""
    second = tmp_path / "other.yaml"
    second.write_text(OTHER)
    mpids: dict[str, int] = {}
    for run, shards in enumerate(("2", "3", "1")):
        served = Served(tmp_path, "--workspace", str(second), "--shards", shards)
        served.start()
        for user in USERS:
            for place, key in enumerate(KEYS):
                accept(served, key, user, f"{place} in run {run}")
        views = served, served.of(2, "other")
        for place, (view, folder) in enumerate(zip(views, FOLDERS, strict=True)):
            check(view, folder, mpids, [f"{place} in run {each}" for each in range(run + 1)])
        served.process.kill()
