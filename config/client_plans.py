"""What client SDKs are told of data plans (spec/data-plans.md, 8)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from actors.batches.identities import USER_IDENTITIES
from actors.model.workspaces import Environment
from actors.plans.matching import USER_IDENTITIES as IDENTITIES
from actors.plans.versions import is_active_in
from actors.store.revisions import Stamp
from config.data_plans import ActivatedEnvironment, DataPlan, DataPlanVersion

# What kits call the settings that block.
_FLAGS = {
    "ev": "event",
    "ea": "event_attribute",
    "ua": "user_attribute",
    "id": "user_identity",
}


class ClientPlan(Struct, frozen=True):
    """One active version: where it is active, and what is told of it."""

    version: int
    environment: ActivatedEnvironment
    told: dict[str, Any]


def client_plans(
    plans: Sequence[DataPlan], stamps: Mapping[str, Stamp]
) -> dict[str, tuple[ClientPlan, ...]]:
    """Return the active versions of each plan by its id.

    Args:
        plans: of the document.
        stamps: `data_plans/<id>/<version>` to who changed it last.
    """
    return {
        plan.id: tuple(
            ClientPlan(
                each.version,
                each.activated_environment,
                _told(plan, each, stamps.get(f"data_plans/{plan.id}/{each.version}")),
            )
            for each in plan.versions
            if each.is_active
        )
        for plan in plans
    }


def client_plan(
    plans: Mapping[str, Sequence[ClientPlan]],
    plan_id: str,
    version: int | None,
    environment: Environment,
) -> dict[str, Any] | None:
    """Return what is told of a version, of the highest active one if none is named."""
    active = {
        each.version: each
        for each in plans.get(plan_id, ())
        if is_active_in(each.environment, environment)
    }
    if not active:
        return None
    found = active.get(max(active) if version is None else version)
    return None if found is None else found.told


def _told(plan: DataPlan, version: DataPlanVersion, stamp: Stamp | None) -> dict[str, Any]:
    document = version.document
    actions = (document.get("settings") or {}).get("validation_actions") or {}
    modified = None
    if stamp is not None:
        moment = datetime.fromtimestamp(stamp.modified_ms / 1000, UTC)
        modified = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "dtpn": {
            "vers": {
                "version": version.version,
                "data_plan_id": plan.id,
                "last_modified_on": modified,
                "version_document": _with_aliases(document),
            },
            "blok": {
                flag: (actions.get(setting) or "allow") != "allow"
                for flag, setting in _FLAGS.items()
            },
        }
    }


def _with_aliases(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document whose identities are called as SDKs do (2.4)."""
    points = document.get("data_points") or []
    return {**document, "data_points": [_point(each) for each in points]}


def _point(point: dict[str, Any]) -> dict[str, Any]:
    definition = point["validator"]["definition"]
    if point["match"]["type"] != IDENTITIES or not definition:
        return point
    changed = dict(definition)
    if "properties" in definition:
        changed["properties"] = {
            USER_IDENTITIES.get(name, name): each for name, each in definition["properties"].items()
        }
    if "required" in definition:
        changed["required"] = [USER_IDENTITIES.get(name, name) for name in definition["required"]]
    return {**point, "validator": {**point["validator"], "definition": changed}}
