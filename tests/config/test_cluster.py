"""The files that bring Headwater to a cluster: they say what Ray, Kubernetes and we take."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start
from ruamel.yaml import YAML

from actors.store.placement import NODE_DATA_DIR
from config.errors import ConfigError
from config.settings import Settings, load_settings
from tests.ray_cluster import INSTALLED, launcher
from tests.serving import eventually

FOLDER = files("config") / "cluster"
RAYLET, EDGES, ADMIN = 6380, 8080, 9090
RAY_OPTIONS = {option for each in start.params for option in each.opts}


def manifest() -> dict[str, list[dict[str, Any]]]:
    """Return the objects of the manifest, by kind."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in YAML(typ="safe").load_all((FOLDER / "kuberay.yaml").read_text()):
        found.setdefault(each["kind"], []).append(each)
    return found


def cluster() -> dict[str, Any]:
    [found] = manifest()["RayCluster"]
    spec: dict[str, Any] = found["spec"]
    return spec


def groups() -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Yield (group, pod, container) of each node, that of the head first."""
    for group in (cluster()["headGroupSpec"], *cluster()["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        [container] = pod["containers"]
        yield group, pod, container


def generated(group: dict[str, Any], *more: str) -> str:
    """Return the command as the operator makes it of the parameters."""
    given = [f"--{name}={value}" for name, value in group["rayStartParams"].items()]
    return " ".join(["ray", "start", *more, "--block", *given])


def node_of(group: dict[str, Any]) -> str:
    """Return the one resource of a group, as a shell gives it to Ray."""
    [given] = [each for each in shlex.split(generated(group)) if each.startswith("--resources=")]
    [(name, share)] = json.loads(given.partition("=")[2]).items()
    assert share == 1
    return str(name)


def head_settings() -> Settings:
    _, _, container = next(groups())
    return load_settings({}, {each["name"]: each["value"] for each in container["env"]})


def test_neither_an_image_nor_a_machine_gets_data_and_keys_of_who_deploys() -> None:
    lines = (Path(__file__).parents[2] / ".dockerignore").read_text().splitlines()
    left_out = [line for line in lines if not line.startswith("#")]
    assert left_out == launcher()["rsync_exclude"]
    here = (str(Settings().data_dir), ".demo/data", ".git", ".venv", ".mypy_cache", ".hypothesis")
    for path in here:
        assert any(fnmatch(path.partition("/")[0], each) for each in left_out), path


# -- The launcher file ----------------------------------------------------------------------------


def test_ray_takes_the_launcher_file() -> None:
    """And keeps all workers, always: none is idle for it, none is too many."""
    prepared = prepare_config(launcher())
    validate_config(prepared)
    [kind] = prepared["available_node_types"].values()
    workers = len(launcher()["provider"]["worker_ips"])
    assert (kind["min_workers"], kind["max_workers"]) == (workers, workers)
    assert prepared["max_workers"] == workers


def test_the_launcher_starts_ray_with_options_that_it_has() -> None:
    """That the commands work is shown by `tests/crash/test_cluster.py`, which runs them."""
    commands = launcher()["head_start_ray_commands"] + launcher()["worker_start_ray_commands"]
    starts = [each for each in commands if " start " in each]
    assert len(starts) == 2
    for command in starts:
        assert f". {INSTALLED}/config/cluster/environment;" in command
        given = {each.partition("=")[0] for each in command.split() if each.startswith("--")}
        assert given <= RAY_OPTIONS


def found_after(*command: str) -> dict[str, str]:
    """Return the environment that a command leaves, which prints it, of an empty one."""
    done = subprocess.run(command, env={}, capture_output=True, text=True, check=True)
    return dict(each.split("=", 1) for each in done.stdout.split("\0") if each)


def test_nodes_find_what_a_ray_started_inside_finds() -> None:
    show = "import actors.remote, os; print(*map('='.join, os.environ.items()), sep='\\0', end='')"
    inside = found_after(sys.executable, "-c", show)
    node = found_after("sh", "-c", f". {FOLDER / 'environment'} && env -0")
    tuned = re.compile(r"RAY_(?!CLIENT_MODE)|MALLOC_")  # that one is Ray's own
    wanted = {name: value for name, value in inside.items() if tuned.match(name)}
    assert len(wanted) > 5
    assert wanted.items() <= node.items()
    assert node[NODE_DATA_DIR] == "/var/lib/headwater/data"


# -- The manifest ---------------------------------------------------------------------------------


def test_the_manifest_is_of_the_version_of_ray_that_is_installed() -> None:
    assert cluster()["rayVersion"] == ray.__version__


def test_every_node_of_the_manifest_is_one_that_serve_uses() -> None:
    """The head, on which serve runs, is the first."""
    assert tuple(node_of(group) for group, _, _ in groups()) == head_settings().nodes
    assert head_settings().shards > len(head_settings().nodes)
    for group, _, _ in groups():
        assert {f"--{name}" for name in group["rayStartParams"]} <= RAY_OPTIONS


def test_a_node_of_the_manifest_is_one_pod_with_a_volume_of_its_own() -> None:
    claims = [each["metadata"]["name"] for each in manifest()["PersistentVolumeClaim"]]
    used = []
    for group, pod, container in groups():
        assert {group.get(name, 1) for name in ("replicas", "minReplicas", "maxReplicas")} == {1}
        volumes = {each["name"]: each for each in pod["volumes"]}
        mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
        assert mounts.keys() == volumes.keys()
        used.append(volumes["data"]["persistentVolumeClaim"]["claimName"])
        assert head_settings().data_dir.is_relative_to(mounts["data"])
        assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsUser"]
    assert used == claims
    assert len(set(used)) == len(used)


def test_a_pod_is_ready_once_it_has_an_edge() -> None:
    """`/readyz` is 503 while one shard is away, and edges have to go on for all others."""
    for group, _, container in groups():
        assert group["rayStartParams"]["node-manager-port"] == str(RAYLET)
        assert container["livenessProbe"]["tcpSocket"]["port"] == RAYLET
        asked = container["readinessProbe"]["httpGet"]
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        assert (asked["path"], ports[asked["port"]]) == ("/healthz", EDGES)


def test_workers_find_a_head_whose_edge_waits_for_them() -> None:
    """No edge listens before the shards of all nodes have started once."""
    service = cluster()["headGroupSpec"]["headService"]["spec"]
    assert service == {"clusterIP": "None", "publishNotReadyAddresses": True}


def linked(service: dict[str, Any]) -> dict[str, str]:
    """Return what Kubernetes puts into the environment of pods for a service."""
    name = service["metadata"]["name"].upper().replace("-", "_")
    port = service["spec"]["ports"][0]["port"]
    return {
        f"{name}_SERVICE_HOST": "10.96.0.7",
        f"{name}_SERVICE_PORT": str(port),
        f"{name}_PORT": f"tcp://10.96.0.7:{port}",
        f"{name}_PORT_{port}_TCP": f"tcp://10.96.0.7:{port}",
    }


def test_settings_do_not_come_from_the_names_of_services() -> None:
    """A service of our name makes a variable of a setting's name, and of no use for it."""
    found = {k: v for each in manifest()["Service"] for k, v in linked(each).items()}
    with pytest.raises(ConfigError, match="HEADWATER_PORT: must be a whole number"):
        load_settings({}, found)
    assert [pod["enableServiceLinks"] for _, pod, _ in groups()] == [False, False, False]


def test_prometheus_reaches_the_admin_port_and_nobody_else_does() -> None:
    _, metrics = manifest()["Service"]
    [policy] = manifest()["NetworkPolicy"]
    assert metrics["spec"]["selector"] == {"app": "headwater", "ray.io/node-type": "head"}
    assert [each["port"] for each in metrics["spec"]["ports"]] == [ADMIN]
    assert (head_settings().admin_host, head_settings().admin_port) == ("0.0.0.0", ADMIN)
    [rule] = [each for each in policy["spec"]["ingress"] if each.get("ports") == [{"port": ADMIN}]]
    [source] = rule["from"]
    assert source.keys() == {"namespaceSelector", "podSelector"}
    secret = (FOLDER / "kuberay.yaml").read_text().partition("apiVersion")[0]
    assert "--from-literal=HEADWATER_METRICS_TOKEN=" in secret


def test_edges_are_open_and_ray_is_not() -> None:
    service, _ = manifest()["Service"]
    [policy] = manifest()["NetworkPolicy"]
    for group, _, _ in groups():
        labels = group["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert cluster()["authOptions"] == {"mode": "token"}
    assert [each["targetPort"] for each in service["spec"]["ports"]] == [EDGES]
    assert head_settings().port == EDGES
    for rule in policy["spec"]["ingress"]:
        open_ports = [each["port"] for each in rule.get("ports", ())]
        among = [{"podSelector": policy["spec"]["podSelector"]}]
        assert open_ports in ([EDGES], [ADMIN]) or rule["from"] == among


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which `ray` and `headwater` note how they were called."""
    notes = tmp_path / "notes"
    told = "echo told to stop >> $NOTES; exit 0"
    for name, rest in (
        ("ray", '[ "$1" = start ] && exec sleep 600; exit 0'),
        ("headwater", f"echo $$ > $NOTES.pid; trap '{told}' TERM; sleep 600 & wait"),
    ):
        program = tmp_path / name
        program.write_text(f'#!/bin/bash\nprintf "%s\\n" "{name} $*" >> $NOTES\n{rest}\n')
        program.chmod(0o700)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}", "NOTES": str(notes)}


def run(
    group: dict[str, Any], container: dict[str, Any], programs: dict[str, str], *more: str
) -> "subprocess.Popen[bytes]":
    """Run a container's command here."""
    [script] = container["args"]
    script = script.replace(INSTALLED, str(Path(__file__).parents[2]))
    environ = {**programs, "KUBERAY_GEN_RAY_START_CMD": generated(group, *more)}
    return subprocess.Popen([*container["command"], script], env=environ, start_new_session=True)


def notes(programs: dict[str, str]) -> list[str]:
    file = Path(programs["NOTES"])
    return file.read_text().splitlines() if file.exists() else []


def test_a_worker_starts_ray_with_its_resource(programs: dict[str, str]) -> None:
    _, (group, _, container), *_ = groups()
    process = run(group, container, programs)
    try:
        [call] = eventually(lambda: notes(programs), bool)
        assert call == (
            'ray start --block --resources={"beta": 1} --object-store-memory=134217728 '
            "--node-manager-port=6380"
        )
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_the_head_keeps_serve_running_and_stops_it_in_order(programs: dict[str, str]) -> None:
    group, _, container = next(groups())
    process = run(group, container, programs, "--head")
    try:
        eventually(lambda: notes(programs).count("headwater serve"), lambda count: count == 1)
        os.kill(int(Path(programs["NOTES"] + ".pid").read_text()), signal.SIGKILL)
        eventually(lambda: notes(programs).count("headwater serve"), lambda count: count == 2)
        assert any(
            re.match(r'ray start --head .*--resources={"alpha": 1}', each)
            for each in notes(programs)
        )
        process.terminate()
        process.wait(30)
        assert notes(programs)[-1] == "told to stop"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
