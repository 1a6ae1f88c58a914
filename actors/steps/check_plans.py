"""Step `check_plans`: holds batches against the data plans that they name, and blocks.

Comes before anybody is looked up, as what is blocked finds nobody (spec/data-plans.md, 3.1).
"""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from actors.model.batches import Batch
from actors.plans.blocking import block
from actors.plans.checked import Checked
from actors.plans.findings import Kind
from actors.plans.validation import Entry, validate_batch
from actors.plans.verdict import action_on, judge
from actors.plans.versions import Plans, PlanVersion
from actors.steps.work import Work

logger = logging.getLogger("headwater.plans")


def check_plans(works: Iterable[Work], plans: Plans) -> None:
    """Validate the batches that name a plan, and take out what is blocked."""
    for work in works:
        if work.result is None and (named := work.decoded.context.get("data_plan")) is not None:
            work.checked = _check(work, named, plans)


def _check(work: Work, named: Mapping[str, Any], plans: Plans) -> Checked:
    batch = work.decoded
    version = plans.version_for(named, batch.environment)
    if version is None:
        plan_id = named["plan_id"]
        if plans.has(plan_id):
            return Checked("no_active_version", plan_id)
        return Checked("plan_not_found")
    try:
        return _validated(work, batch, version)
    except Exception:  # a batch is taken whatever becomes of its validation (spec 3.3)
        logger.exception(
            "A batch could not be validated",
            extra={
                "event": "plan_validation_failed",
                "plan": version.plan_id,
                "version": version.info.version,
            },
        )
        work.batch = batch
        return Checked("failed", version.plan_id, version.info.version)


def _validated(work: Work, batch: Batch, version: PlanVersion) -> Checked:
    plan = version.document
    checked = Checked("valid", version.plan_id, version.info.version)
    entries = validate_batch(plan, batch)
    if not entries:
        return checked
    checked.violations = _counted(entries, version)
    verdict = judge(entries, plan.actions)
    if not verdict.blocks:
        checked.outcome = "violations"
        return checked
    work.batch, checked.blocked = block(batch, verdict)
    checked.outcome = "blocked"
    checked.quarantine = version.info.quarantine
    return checked


def _counted(entries: Iterable[Entry], version: PlanVersion) -> Mapping[tuple[Kind, bool], int]:
    actions = version.document.actions
    return Counter(
        (finding.kind, action_on(finding, entry.match, actions) != "allow")
        for entry in entries
        for finding in entry.findings
    )
