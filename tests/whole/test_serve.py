"""`headwater serve` as a process: start, stop, start again, other numbers of shards, refusals."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import psutil  # type: ignore[import-untyped]
import pytest

from actors.store.layout import FORMAT
from tests.serving import WORKSPACE, Served, eventually, serving

pytestmark = pytest.mark.ray

EVENT = {"event_type": "custom_event", "data": {"event_name": "Opened"}}
USERS = 10_000
LOOKED_AT = range(0, USERS, 997)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serving(tmp_path_factory.mktemp("serve"))


def batch(customer_id: str, **more: object) -> dict[str, object]:
    return {"user_identities": {"customer_id": customer_id}, "events": [EVENT], **more}


def serve_again(data_dir: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    """Run a `serve` that is expected to end by itself."""
    command = [sys.executable, "-m", "server", "serve", "--data-dir", str(data_dir)]
    command += ["--port", "0", "--admin-port", "0", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def stored_profiles(served: Served) -> int:
    """Return how many profiles the shards say they have."""
    _, status = served.get_from(served.process.admin_url, "/admin/status")
    return sum(each["profiles"]["stored"] for each in status["actors"] if each["role"] == "shard")


def test_a_deployment_goes_on_with_another_number_of_shards(tmp_path: Path) -> None:
    """10,000 profiles on 2 shards, then 3, then 1: all readable, all counts right."""
    served = Served(tmp_path, "--shards", "2")
    served.start()
    for start in range(0, USERS, 100):
        batches = [
            batch(f"u{number}", user_attributes={"n": number}, source_request_id=f"r{number}")
            for number in range(start, start + 100)
        ]
        status, body = served.post("/v2/bulkevents", batches)
        assert status == 202, body
    mpids = {number: served.find(f"u{number}") for number in LOOKED_AT}
    assert served.process.stop() == 0

    for shards in ("3", "1"):
        served = Served(tmp_path, "--shards", shards)
        served.start()
        assert stored_profiles(served) == USERS
        for number in LOOKED_AT:
            assert served.find(f"u{number}") == mpids[number]
            assert served.profile(f"u{number}")["user_attributes"] == {"n": str(number)}
            # What is sent again now is known, wherever it lies.
            status, _ = served.post(
                "/v2/events", batch(f"u{number}", source_request_id=f"r{number}")
            )
            assert status == 202
            assert len(served.events(f"u{number}")) == 1
        assert served.process.stop() == 0
    delivered = [each["source_request_id"] for each in served.delivered()]
    assert len(delivered) == len(set(delivered)) == USERS


def test_ray_runs_nothing_that_a_deployment_has_no_use_for(served: Served) -> None:
    commands = [" ".join(each.cmdline()) for each in served.process.processes()]
    assert any("gcs_server" in each for each in commands)
    for idle in ("monitor.py", "log_monitor.py", "dashboard/dashboard.py"):
        assert not any(idle in each for each in commands)


STAMP = "6f9619ff-8b86-4d01-b42d-00cf4fc964f1"


def test_known_users_follow_changed_login_ids(tmp_path: Path) -> None:
    """spec/identity.md, 7.2: who is anonymous by now is found as the newest of a device.

    Under profile link a login makes a new user beside the device's; then an e-mail is no login ID
    any more.
    """
    served = Served(tmp_path, workspace=WORKSPACE + "identity: {strategy: profile_link}\n")
    served.start()
    ann = {"user_identities": {"email": "ann@example.com"}, "mp_deviceid": STAMP}
    for body in ({"mp_deviceid": STAMP}, ann):
        assert served.post("/v2/events", body | {"events": [EVENT]})[0] == 202
    [known] = served.find("ann@example.com")
    assert len(served.find(STAMP)) == 2
    assert served.process.stop() == 0

    conversion = "identity: {strategy: profile_conversion}\n"
    served = Served(tmp_path, workspace=WORKSPACE + conversion)
    served.start()
    assert len(served.events("ann@example.com")) == 1
    assert served.post("/v2/events", {"mp_deviceid": STAMP, "events": [EVENT]})[0] == 202
    assert served.find("ann@example.com") == [known]
    assert len(served.events("ann@example.com")) == 2
    assert served.process.stop() == 0


def test_a_second_serve_on_a_folder_in_use_is_refused(served: Served) -> None:
    """With one line that says so, and without harm to the first."""
    second = serve_again(served.data_dir)
    assert second.returncode == 1
    assert f"{served.data_dir} is in use by another process" in second.stderr
    assert served.post("/v2/events", batch("still-there"))[0] == 202


def test_a_folder_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    """The layout says which format it is; nothing is touched."""
    layout = {"format": 99, "generation": 1, "shards": 2}
    (tmp_path / "layout.json").write_text(json.dumps(layout))
    refused = serve_again(tmp_path)
    assert refused.returncode == 1
    assert "written by a newer version of headwater (format 99" in refused.stderr
    assert json.loads((tmp_path / "layout.json").read_text()) == layout


@pytest.mark.parametrize("folder", ["shards-1/shard-0000", "coordinator/scope-1"])
def test_a_folder_with_a_damaged_store_is_refused(tmp_path: Path, folder: str) -> None:
    """At once, whoever opens it, and with one line that says which."""
    store = tmp_path / folder
    store.mkdir(parents=True)
    (store / "data.mdb").write_bytes(b"garbage" * 5000)
    (tmp_path / "layout.json").write_text(
        json.dumps({"format": FORMAT, "generation": 1, "shards": 2})
    )
    refused = serve_again(tmp_path)
    assert refused.returncode == 1
    assert f"{store} is damaged: " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_start_ends_when_an_actor_cannot_be_started(tmp_path: Path) -> None:
    """It says which, and does not wait for what will not come."""
    (tmp_path / "limits").mkdir()
    refused = serve_again(tmp_path)
    assert refused.returncode == 1
    assert "edge-0: IsADirectoryError" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_port_that_another_deployment_has_is_refused(served: Served, tmp_path: Path) -> None:
    """Both would get a part of the requests, because edges share their port."""
    port = served.process.url.rpartition(":")[2]
    refused = serve_again(tmp_path, "--port", port)
    assert refused.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in refused.stderr


def test_another_deployment_can_run_beside(served: Served, tmp_path: Path) -> None:
    """Neither sees anything of the other; nothing of them listens to the network."""
    other = Served(tmp_path)
    other.start()
    assert other.post("/v2/events", batch("beside"))[0] == 202
    assert other.find("beside")
    assert not served.find("beside")
    top = psutil.Process(other.process.pid)
    listening = {
        connection.laddr.ip
        for process in (top, *top.children(recursive=True))
        for connection in process.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert other.process.stop() == 0
    assert served.post("/v2/events", batch("still-there"))[0] == 202


def test_an_invalid_workspace_is_refused_with_all_its_problems(tmp_path: Path) -> None:
    """Before anything is started; one line per problem."""
    document = tmp_path / "workspace.yaml"
    document.write_text(WORKSPACE.replace("kind: feed", "kind: fed").replace("ndjson", "xml"))
    refused = serve_again(tmp_path / "data", "--workspace", str(document))
    assert refused.returncode == 1
    lines = refused.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "inputs[0].kind",
        "outputs[0].settings.format",
    ]


def test_ctrl_c_finishes_what_is_in_flight_and_ends_in_order(tmp_path: Path) -> None:
    """Exit code 0; nothing of it runs any more; the next start has the data."""
    served = Served(tmp_path)
    served.start()
    assert served.post("/v2/events", batch("ann"))[0] == 202
    processes = psutil.Process(served.process.pid).children(recursive=True)
    assert served.process.stop(signal.SIGINT) == 0
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
    served.start()
    assert len(served.events("ann")) == 1
    assert served.process.stop() == 0


def test_health_and_metrics_are_served(served: Served) -> None:
    """spec/observability.md, worked cases 19 and 21: every metric is ours, none names a person."""
    served.post("/v2/events", batch("metrics-person", user_attributes={"email": "ann@example.com"}))
    for url in (served.process.url, served.process.admin_url):
        with urlopen(f"{url}/readyz", timeout=10) as answer:
            body = json.load(answer)
        assert body["status"] == "ready"
        assert body["checks"]["shards"] == "2/2"
    page = eventually(
        lambda: _text(f"{served.process.admin_url}/metrics"),
        lambda page: 'headwater_ingest_batches_total{environment="production"' in page,
    )
    names = {line.split("{")[0].split(" ")[0] for line in page.splitlines() if line[0] != "#"}
    assert all(name.startswith("headwater_") for name in names)
    assert "ann@example.com" not in page
    assert "metrics-person" not in page
    for role in ("edge", "shard", "forwarder", "admin"):
        assert f'role="{role}"' in page


def test_no_log_line_holds_what_was_sent(served: Served) -> None:
    """spec/observability.md, 8: neither identities nor attributes nor credentials."""
    secret = "Kassandra.Quarz@example.com"
    served.post("/v2/events", batch(secret, user_attributes={"name": secret}))
    served.post("/v2/events", {"user_identities": {"passport": secret}})
    served.post("/v2/events", {"events": [{"event_type": secret, "data": {}}]})
    served.find(secret)
    text = eventually(served.process.text, lambda text: '"event":"request"' in text)
    assert secret not in text
    assert "test-secret" not in text
    assert "ops-secret" not in text


def _text(url: str) -> str:
    with urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text
