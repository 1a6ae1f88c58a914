"""Process settings: their sources, their order, and what is refused."""

import os
import pickle
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigError
from config.settings import PREFIX, Settings, load_settings, unknown_variables


def lines(flags: dict[str, Any], environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load_settings(flags, environ or {})
    return refused.value.lines()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text("host: 0.0.0.0\nport: 1001\nedges: 2\nshards: 5\n", "utf-8")
    return path


def test_each_source_goes_over_the_one_before(file: Path) -> None:
    """Defaults < file < environment < flags."""
    environ = {"HEADWATER_PORT": "1002", "HEADWATER_EDGES": "3", "PATH": "/bin"}
    settings = load_settings({"settings": file, "edges": 4, "shards": None}, environ)
    assert settings.admin_port == 9090
    assert settings.host == "0.0.0.0"
    assert settings.port == 1002
    assert settings.edges == 4
    assert settings.shards == 5  # a flag that was not given says nothing


def test_the_file_can_be_named_by_the_environment_and_the_flag_wins(
    file: Path, tmp_path: Path
) -> None:
    environ = {"HEADWATER_SETTINGS": str(file)}
    assert load_settings({}, environ).port == 1001
    other = tmp_path / "other.yaml"
    other.write_text("port: 7\n", "utf-8")
    assert load_settings({"settings": str(other)}, environ).port == 7


def test_a_file_of_comments_sets_nothing(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("# port: 1\n", "utf-8")
    assert load_settings({"settings": file}, {}) == Settings()


def test_every_problem_is_named_by_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("potr: 1\nshards: 0\ntrusted_proxies: [10.0.0.0/8, here]\n", "utf-8")
    found = lines(
        {"settings": file, "admin_port": 70_000},
        {"HEADWATER_EDGES": "many", "HEADWATER_LOG_LEVEL": "loud"},
    )
    assert sorted(found) == [
        "--admin-port: must be between 0 and 65535",
        "HEADWATER_EDGES: must be a whole number",
        "HEADWATER_LOG_LEVEL: must be 'debug', 'info', 'warning' or 'error'",
        "settings.yaml:potr: unknown key",
        "settings.yaml:shards: must be between 1 and 1024",
        "settings.yaml:trusted_proxies[1]: must be a network such as 10.0.0.0/8",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("- port\n", "settings.yaml: must be a mapping of setting names to values"),
        ("1: 2\n", "settings.yaml: must be a mapping of setting names to values"),
        ("port: [\n", "settings.yaml: line 2, column 1: expected the node content"),
    ],
)
def test_a_file_that_is_no_settings_is_refused(content: str, expected: str, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(content, "utf-8")
    (line,) = lines({"settings": file})
    assert line.startswith(expected)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert lines({"settings": tmp_path / "none.yaml"}) == [
        "none.yaml: cannot be read: No such file or directory"
    ]


def test_the_environment_writes_lists_with_commas() -> None:
    settings = load_settings(
        {"auth_audiences": "a"},
        {
            "HEADWATER_EGRESS_ALLOW": "10.0.0.0/8, hooks.internal:8443,[::1]:80,",
            "HEADWATER_TRUSTED_PROXIES": "10.1.2.3,fd00::/8",
        },
    )
    assert settings.egress_allow == ("10.0.0.0/8", "hooks.internal:8443", "[::1]:80")
    assert settings.trusted_proxies == (ip_network("10.1.2.3/32"), ip_network("fd00::/8"))
    assert settings.auth_audiences == ("a",)


def test_several_workspaces_are_served_from_any_source(tmp_path: Path) -> None:
    """Commas are for the environment and for files: a flag's path is taken as it is."""
    file = tmp_path / "settings.yaml"
    environ = {"HEADWATER_SETTINGS": str(file)}
    for written in ("[eu.yaml, us]", "eu.yaml, us"):
        file.write_text(f"workspace: {written}\n", "utf-8")
        assert load_settings({}, environ).workspace == (Path("eu.yaml"), Path("us"))
    environ["HEADWATER_WORKSPACE"] = "a.yaml,b.yaml"
    assert load_settings({}, environ).workspace == (Path("a.yaml"), Path("b.yaml"))
    flags = {"workspace": (Path("a,b.yaml"),)}
    assert load_settings(flags, environ).workspace == (Path("a,b.yaml"),)
    assert load_settings({"workspace": None}, {}).workspace == ()


@pytest.mark.parametrize("target", ["http://hook", "a b", "host:99999", "host:", "[::1", "*"])
def test_what_is_no_target_cannot_be_allowed(target: str) -> None:
    """spec/connections.md, 3.8: a typing error must not open more than was meant."""
    assert lines({}, {"HEADWATER_EGRESS_ALLOW": target}) == [
        "HEADWATER_EGRESS_ALLOW: must be a network (10.0.0.0/8), a host or host:port"
    ]


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("port", 0, -1),
        ("port", 65535, 65536),
        ("calls_in_flight", 1, 0),
        ("calls_in_flight", 8, 9),
        ("dedup_window_days", 30, 29),
        ("shards", 1024, 1025),
        ("map_size_bytes", 16 * 1024**2, 16 * 1024**2 - 1),
        ("shutdown_grace_s", 0, -0.1),
        ("server_key", "k" * 32, "k" * 31),
        ("metrics_token", "t", ""),
    ],
)
def test_a_setting_is_accepted_inside_its_bounds_and_refused_outside(
    name: str, inside: object, outside: object
) -> None:
    assert load_settings({name: inside}, {}) != load_settings({"log_format": "console"}, {})
    (line,) = lines({name: outside})
    assert line.startswith(f"--{name.replace('_', '-')}: must ")


def test_no_secret_is_shown() -> None:
    settings = load_settings({}, {"HEADWATER_SERVER_KEY": "hush" * 8})
    assert settings.server_key is not None
    assert settings.server_key.get_secret_value() == "hush" * 8
    assert "hush" not in repr(settings)
    assert "hush" not in "\n".join(lines({}, {"HEADWATER_SERVER_KEY": "hush"}))


def test_settings_can_be_sent_to_actors() -> None:
    settings = load_settings(
        {"port": 0}, {"HEADWATER_TRUSTED_PROXIES": "::1", "HEADWATER_METRICS_TOKEN": "t"}
    )
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_a_constructed_object_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "HEADWATER_PORT", "9")
    assert Settings().port == 8080


def test_every_setting_says_what_it_is() -> None:
    undocumented = [name for name, field in Settings.model_fields.items() if not field.description]
    assert undocumented == []


def test_a_list_without_a_workspace_is_not_the_example() -> None:
    """The example's keys are public: it is served only where nothing is said."""
    with pytest.raises(ConfigError) as refused:
        load_settings({}, {"HEADWATER_WORKSPACE": " , "})
    [problem] = refused.value.lines()
    assert "names no document" in problem
    assert load_settings({}, {}).workspace == ()


@pytest.mark.parametrize("name", ["CPU", "memory", "node:10.0.0.1", "a b"])
def test_a_node_is_named_by_a_resource_of_its_own(name: str) -> None:
    """Resources that Ray counts by itself are of no use: every node has them."""
    assert load_settings({}, {"HEADWATER_NODES": "alpha, beta-2"}).nodes == ("alpha", "beta-2")
    assert lines({}, {"HEADWATER_NODES": f"alpha,{name}"}) == [
        "HEADWATER_NODES: must be the name of a custom resource of Ray"
    ]


def test_the_folder_of_python_outputs_is_the_same_for_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({}, {"HEADWATER_PYTHON_OUTPUTS": "outputs"})
    assert settings.python_outputs == tmp_path / "outputs"
    assert load_settings({}, {}).python_outputs is None


def test_a_mistyped_variable_is_known_for_one() -> None:
    environ = {
        "HEADWATER_SHARD": "4",
        "headwater_ports": "1",
        "HEADWATER_EDGE": "",  # as good as not set
        "headwater_port": "1",
        "HEADWATER_SHARDS": "4",
        "PATH": "/bin",
    }
    assert unknown_variables(environ) == ["HEADWATER_SHARD", "headwater_ports"]


def test_every_variable_that_the_program_reads_is_known() -> None:
    root = Path(__file__).parents[2]
    files = [
        file
        for package in ("server", "actors", "config")
        for file in (root / package).rglob("*")
        if file.suffix in {".py", ".yaml", ""} and file.is_file()
    ]
    named = {
        name
        for file in files
        for name in re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", file.read_text())
    }
    assert {"HEADWATER_CLIENT_ID", "HEADWATER_NODE_DATA_DIR", "HEADWATER_COMMIT"} <= named
    assert unknown_variables(dict.fromkeys(named, "x")) == []
