"""What forwarders get of a document."""

import pickle
from pathlib import Path

from actors.forwarding.pace import BreakerLimits, RateLimit
from actors.outputs.retry import PROFILES
from config.compiled_outputs import output_plans
from tests.config.documents import compiled, setting


def test_they_can_be_sent_to_another_process(tmp_path: Path) -> None:
    document, numbers = compiled(tmp_path)
    plans = output_plans(document, numbers)
    assert [plan.info for plan in pickle.loads(pickle.dumps(plans))] == [
        plan.info for plan in plans
    ]


def test_an_environment_that_is_off_has_no_settings(tmp_path: Path) -> None:
    off = setting("outputs.0.environments", {"development": {"enabled": False}})
    document, numbers = compiled(tmp_path, off)
    plans = {plan.info.id: plan for plan in output_plans(document, numbers)}
    assert set(plans["hook"].settings) == {"production"}
    assert set(plans["lake"].settings) == {"production", "development"}


def test_an_output_has_its_connections_and_its_retries(tmp_path: Path) -> None:
    document, numbers = compiled(
        tmp_path,
        setting("outputs.0.retry", {"profile": "audience", "max_age": "2h", "min_attempts": 9}),
        setting("outputs.0.ordering", "none"),
    )
    hook, lake = output_plans(document, numbers)
    assert (hook.info.id, hook.module, lake.module) == ("hook", "webhook", "file")
    assert [[each.id for each in plan.connections] for plan in (hook, lake)] == [
        ["web-hook"],
        ["web-lake", "crm-lake"],
    ]
    retry, base = hook.info.schedule, PROFILES["audience"]
    assert (retry.max_age_s, retry.min_attempts) == (7200, 9)
    assert (retry.base_s, retry.cap_s, retry.jitter) == (base.base_s, base.cap_s, base.jitter)
    assert hook.info.ordering == "none"
    assert lake.info.schedule == PROFILES["file"]


def test_limits_of_an_output_reach_its_forwarder(tmp_path: Path) -> None:
    """spec/connections.md, 3.5."""
    document, numbers = compiled(
        tmp_path,
        setting("outputs.0.rate_limit", {"requests_per_second": 50, "burst": 100}),
        setting("outputs.0.breaker", {"failures": 3, "open_for": "500ms"}),
    )
    plans = {plan.info.id: plan.info for plan in output_plans(document, numbers)}
    assert plans["hook"].rate_limit == RateLimit(50, 100, None, adaptive=True)
    assert plans["hook"].breaker == BreakerLimits(failures=3, open_ms=500)
    assert plans["lake"].rate_limit == RateLimit()
    assert plans["lake"].breaker == BreakerLimits(failures=5, open_ms=5000)
