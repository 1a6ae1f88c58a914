"""Group identity in a real deployment: the job runs by itself, over actors of their own."""

from pathlib import Path

import pytest

from tests.serving import Served, eventually

pytestmark = pytest.mark.ray

GROUPS = "/platform/workspaces/1/groups/"
DEFINITION = {
    "id": "account",
    "source_user_attribute": "account_id",
    "attributes": [{"id": "seats", "type": "sum"}],
}


def seats(served: Served) -> object:
    return served.profile("u0")["user_attributes"].get("account:seats")


def has(served: Served, user: str, count: int) -> None:
    attributes = {"account_id": "a1", "seats": count}
    body = {"user_identities": {"customer_id": user}, "user_attributes": attributes, "events": []}
    status, answer = served.post("/v2/events", body)
    assert status == 202, answer


def test_groups_are_recomputed_on_demand_and_when_due_and_survive_a_kill(tmp_path: Path) -> None:
    served = Served(tmp_path, "--shards", "3")
    served.start()
    for number in range(10):
        has(served, f"u{number}", 1)
    status, answer = served.manage("POST", GROUPS, DEFINITION)
    assert status == 201, answer
    assert served.manage("POST", GROUPS, DEFINITION)[0] == 409
    chained = {**DEFINITION, "id": "next", "source_user_attribute": "account:seats"}
    assert served.manage("POST", GROUPS, chained)[0] == 400
    assert served.manage("POST", f"{GROUPS}account/run")[0] == 202
    eventually(lambda: seats(served), lambda found: found == "10")
    page = f"{GROUPS}account/members?group_id=account:a1"
    eventually(lambda: served.get(page)[0], lambda status: status == 200)
    assert len(served.get(page)[1]["mpids"]) == 10

    served.process.kill()
    settings = tmp_path / "settings.yaml"
    settings.write_text("group_job_interval_s: 1")
    served = Served(tmp_path, "--shards", "2", "--settings", str(settings))
    served.start()
    has(served, "u1", 5)
    eventually(lambda: seats(served), lambda found: found == "14")
    assert served.manage("DELETE", f"{GROUPS}account")[0] == 204
    assert seats(served) is None
    assert served.process.stop() == 0
