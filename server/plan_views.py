"""Data plans as the Data Planning API shows them (spec/data-plans.md, 1)."""

from typing import Any

from actors.store.revisions import Stamp
from config.data_plans import DataPlan, DataPlanVersion
from config.sheets import Sheet
from server.config_edits import moment

_FILE = "config"  # the actor where a file was applied


def shown_plan(plan: DataPlan, sheet: Sheet, *, has_documents: bool) -> dict[str, Any]:
    """Return a plan with its versions."""
    return {
        "data_plan_id": plan.id,
        "data_plan_name": plan.name,
        "data_plan_description": plan.description,
        "data_plan_versions": [
            shown_version(plan, each, sheet, has_document=has_documents) for each in plan.versions
        ],
        **_stamped(sheet.stamps.get(f"data_plans/{plan.id}")),
    }


def shown_version(
    plan: DataPlan, version: DataPlanVersion, sheet: Sheet, *, has_document: bool = True
) -> dict[str, Any]:
    """Return one version."""
    shown: dict[str, Any] = {
        "version": version.version,
        "data_plan_id": plan.id,
        "version_description": version.description,
        "activated_environment": version.activated_environment,
        "quarantine_feed_id": sheet.served.numbers.outputs.get(version.quarantine_output or ""),
        **_stamped(stamp_of(plan, version, sheet)),
    }
    if has_document:
        shown["version_document"] = version.document
    return shown


def stamp_of(plan: DataPlan, version: DataPlanVersion | None, sheet: Sheet) -> Stamp | None:
    """Return who made and changed a plan, or one of its versions."""
    path = f"data_plans/{plan.id}"
    return sheet.stamps.get(path if version is None else f"{path}/{version.version}")


def etag(stamp: Stamp | None) -> str:
    """Return what changes with every change."""
    return f'"{0 if stamp is None else stamp.revision}"'


def _stamped(stamp: Stamp | None) -> dict[str, Any]:
    if stamp is None:
        return {}
    is_changed = stamp.modified_ms > stamp.created_ms
    return {
        "created_on": moment(stamp.created_ms),
        "created_by": _actor(stamp.created_by),
        "last_modified_on": moment(stamp.modified_ms) if is_changed else None,
        "last_modified_by": _actor(stamp.modified_by) if is_changed else None,
    }


def _actor(name: str) -> str:
    """Return a person's address, or the client that has done it."""
    return name if "@" in name or name == _FILE else f"client_id:{name}"
