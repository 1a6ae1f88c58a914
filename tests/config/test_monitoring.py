"""The dashboard and the alert rules (spec/observability.md, 6)."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from config.settings import Settings
from tests.actors.metrics.declared import DECLARED

FOLDER = files("config") / "monitoring"
README = Path(__file__).parents[2] / "README.md"
SUFFIXES = ("", "_bucket", "_sum", "_count")


def known() -> set[str]:
    return {each.name + suffix for each in DECLARED for suffix in SUFFIXES}


def rules() -> list[dict[str, Any]]:
    document = YAML(typ="safe").load((FOLDER / "alerts.yaml").read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def named(expression: str) -> set[str]:
    return set(re.findall(r"headwater_\w+", expression))


def test_alerts_ask_for_metrics_that_exist() -> None:
    for rule in rules():
        assert named(rule["expr"]), rule["alert"]
        assert named(rule["expr"]) <= known(), rule["alert"]


def test_there_is_an_alert_for_each_trouble_of_the_specification() -> None:
    wanted = {
        "headwater_ingest_lag_seconds": "> 60",
        "headwater_connection_status": "== 2",
        "headwater_forwarder_dlq_total": "> 0",
        "headwater_forwarder_queue_oldest_seconds": "> 3600",
        "headwater_storage_commit_duration_seconds_bucket": "> 1",
        "headwater_storage_map_used_ratio": "> 0.8",
        "headwater_actor_restarts_total": "> 3",
    }
    bounds = {name: rule["expr"] for rule in rules() for name in named(rule["expr"])}
    for name, bound in wanted.items():
        assert bounds[name].endswith(bound)


def test_alerts_group_by_labels_that_their_metrics_have() -> None:
    labels = {each.name: {*each.labels, "role", "instance"} for each in DECLARED}
    for rule in rules():
        [name] = {re.sub(r"_bucket$", "", each) for each in named(rule["expr"])}
        asked = re.findall(r"by \(([^)]*)\)", rule["expr"])
        wanted = {label.strip() for group in asked for label in group.split(",")} - {"le"}
        wanted |= set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert wanted <= labels[name], rule["alert"]


def test_prometheus_keeps_the_labels_that_alerts_group_by() -> None:
    """It would put the address that it asks in the place of `instance`."""
    text = README.read_text("utf-8").partition("### Metrics")[2]
    example = YAML(typ="safe").load(text.split("```yaml")[1].split("```")[0])
    [job] = example["scrape_configs"]
    assert job["honor_labels"] is True
    [targets] = job["static_configs"]
    admin = Settings()
    assert targets == {"targets": [f"{admin.admin_host}:{admin.admin_port}"]}


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    board = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    expressions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    assert len(expressions) >= len(board["panels"])
    for expression in expressions:
        assert named(expression), expression
        assert named(expression) <= known(), expression
