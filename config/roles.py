"""What roles allow: tasks, the standard roles, and custom ones (spec/privacy.md, 10.2 and 10.3)."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

from actors.errors import ConfigurationRefused, Problem
from actors.store.access import CustomRole

Task = Literal[
    "user:core",
    "user_activity:view",
    "catalog:*",
    "data_plans:view",
    "data_plans:*",
    "live_stream:view",
    "calculated_attributes:view",
    "calculated_attributes:*",
    "rules:view",
    "rules:*",
    "audiences:view",
    "audiences:*",
    "connections:connect_integration",
    "connections:configure_inputs",
    "connections:configure_outputs",
    "connections:*",
    "data_filter:view",
    "data_filter:*",
    "privacy:settings",
    "privacy:*",
    "workspaces:*",
    "user_management:view",
    "user_management:*",
    "identity_settings:*",
    "api_credentials:*",
    # Not to be given to a custom role: what others and the standard roles that only look include.
    "connections:view",
    "identity_settings:view",
]

CORE: Task = "user:core"

# What a custom role can have: task to what it is called, and what it allows.
TASKS: Mapping[Task, tuple[str, str]] = {
    CORE: ("Log in", "Log in, and see workspaces and the directory of modules. In every role."),
    "user_activity:view": ("User activity", "Find users, and see their profiles and events."),
    "catalog:*": ("Catalog", "See the catalog, and annotate data points."),
    "data_plans:view": ("Data plans: view", "See data plans."),
    "data_plans:*": ("Data plans", "See, make, change, activate and delete data plans."),
    "live_stream:view": ("Live stream", "See events as they come in and go out."),
    "calculated_attributes:view": (
        "Calculated attributes: view",
        "See calculated attributes and predictions.",
    ),
    "calculated_attributes:*": (
        "Calculated attributes",
        "See, make, change and delete calculated attributes and predictions.",
    ),
    "rules:view": ("Rules: view", "See rules."),
    "rules:*": ("Rules", "See, make, change and delete rules."),
    "audiences:view": ("Audiences: view", "See audiences, estimates and journeys."),
    "audiences:*": (
        "Audiences",
        "See, make, activate and delete audiences and journeys, and connect them to outputs.",
    ),
    "connections:connect_integration": ("Connect", "Connect inputs to outputs."),
    "connections:configure_inputs": ("Configure inputs", "Make, change and delete inputs."),
    "connections:configure_outputs": ("Configure outputs", "Make, change and delete outputs."),
    "connections:*": ("Connections", "All of inputs, outputs and connections."),
    "data_filter:view": ("Filters: view", "See what outputs do not get."),
    "data_filter:*": ("Filters", "See and change what outputs do not get."),
    "privacy:settings": ("Privacy: view", "See privacy settings and data subject requests."),
    "privacy:*": ("Privacy", "See and change privacy settings and data subject requests."),
    "workspaces:*": ("Workspaces", "See and change workspaces."),
    "user_management:view": ("Users: view", "See who has access to the account."),
    "user_management:*": ("Users", "See, make, change and delete users; see the audit log."),
    "identity_settings:*": ("Identity settings", "See and change identity settings."),
    "api_credentials:*": ("API credentials", "See, make, change and delete API credentials."),
}

_USER: tuple[Task, ...] = (
    "audiences:*",
    "calculated_attributes:*",
    "connections:*",
    "data_filter:*",
    "data_plans:*",
    "live_stream:view",
    "rules:*",
    "workspaces:*",
)
_SUPPORT: tuple[Task, ...] = (
    *_USER,
    "api_credentials:*",
    "catalog:*",
    "identity_settings:*",
    "user_activity:view",
    "privacy:settings",
)
_READ_ONLY: tuple[Task, ...] = (
    "audiences:view",
    "calculated_attributes:view",
    "connections:view",
    "data_filter:view",
    "data_plans:view",
    "identity_settings:view",
    "live_stream:view",
    "rules:view",
)
_ADMIN: tuple[Task, ...] = (*_SUPPORT, "user_management:*", "privacy:*")

# What spec/privacy.md, 10.2 gives each, but: a credential with the role `admin` has privacy (10.1);
# and roles that look change nothing, though the list there has identity_settings:* and
# workspaces:* for two of them (spec/observability.md, case 28).
_STANDARD: Mapping[str, tuple[Task, ...]] = {
    "admin": _ADMIN,
    "admin_and_compliance": _ADMIN,
    "user": _USER,
    "read_only": _READ_ONLY,
    "audiences_only": ("audiences:*",),
    "compliance": (
        "audiences:view",
        "connections:connect_integration",
        "data_filter:view",
        "data_plans:view",
        "identity_settings:view",
        "live_stream:view",
        "privacy:*",
        "rules:view",
        "user_management:view",
    ),
    "support_access": _SUPPORT,
}
ADMINISTRATORS = frozenset({"admin", "admin_and_compliance"})

# What is said to those whose role is not enough.
NOT_ALLOWED = "The credential's role does not allow this."
TOO_POWERFUL = "The credential's role allows what your own does not."

MAX_ROLES = 100
MAX_NAME = 64
MAX_DESCRIPTION = 256
_ROLE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BAD_TEXT = "Name or Description is empty, has too many characters, or has restricted characters"

Tasks = frozenset[str]


def expanded(tasks: Collection[str]) -> Tasks:
    """Return tasks with all that they include; `user:core` always is."""
    found = {CORE, *tasks}
    for each in tasks:
        section = each.partition(":")[0]
        if each.endswith(":*"):
            found |= {other for other in TASKS if other.startswith(f"{section}:")}
        if section in ("connections", "identity_settings"):
            found.add(f"{section}:view")
    return frozenset(found)


STANDARD: Mapping[str, Tasks] = {name: expanded(tasks) for name, tasks in _STANDARD.items()}


def tasks_of(role: str, custom: Mapping[str, Tasks]) -> Tasks:
    """Return what a role allows; `custom`: the custom ones. One that is unknown allows nothing."""
    return STANDARD.get(role) or custom.get(role) or expanded(())


def power_of(role: str, apis: Collection[Any], custom: Mapping[str, Tasks]) -> Tasks:
    """Return what a credential may do with a role and some APIs; `custom`: see `tasks_of`."""
    tasks = tasks_of(role, custom)
    if "custom_roles" in apis:
        tasks |= STANDARD["admin"]
    if "profile" in apis:
        tasks |= {"user_activity:view"}
    return tasks


def read_roles(sent: Any) -> tuple[CustomRole, ...]:
    """Read the roles of a manifest (spec/privacy.md, 10.3).

    Raises:
        ConfigurationRefused: with all that is wrong with them (code `MANIFEST`).
    """
    if not isinstance(sent, list) or not all(isinstance(each, dict) for each in sent):
        raise _refused([Problem("must be a list of roles", "roles")])
    if len(sent) > MAX_ROLES:
        raise _refused([Problem(f"There can be at most {MAX_ROLES} roles.", "roles")])
    problems = [each for place, role in enumerate(sent) for each in _problems(role, place, sent)]
    unknown = sorted({task for role in sent for task in _task_ids(role) if task not in TASKS})
    if unknown:
        problems.append(Problem(f"Tasks not found: {', '.join(unknown)}", "roles"))
    if problems:
        raise _refused(problems)
    return tuple(
        CustomRole(
            role_id=each["role_id"],
            name=each["name"],
            description=each["description"],
            tasks=tuple(dict.fromkeys((CORE, *_task_ids(each)))),
        )
        for each in sent
    )


def _problems(role: dict[str, Any], place: int, roles: list[dict[str, Any]]) -> Iterator[Problem]:
    """List what is wrong with one role, but for tasks that do not exist."""
    path = f"roles[{place}]"
    for name in role.keys() - {"role_id", "name", "description", "tasks"}:
        yield Problem("unknown key", f"{path}.{name}")
    role_id = role.get("role_id")
    if not isinstance(role_id, str) or not _ROLE_ID.fullmatch(role_id):
        yield Problem("must have 1 to 64 characters of A-Z, a-z, 0-9, _ and -", f"{path}.role_id")
    elif role_id in STANDARD:
        yield Problem("is that of a standard role", f"{path}.role_id")
    for name, most in (("name", MAX_NAME), ("description", MAX_DESCRIPTION)):
        if not _is_text(role.get(name), most):
            yield Problem(_BAD_TEXT, f"{path}.{name}")
    for name in ("role_id", "name"):
        if any(other.get(name) == role.get(name) for other in roles[:place]):
            yield Problem("is that of another role too", f"{path}.{name}")
    tasks = role.get("tasks")
    if not isinstance(tasks, list) or len(_task_ids(role)) != len(tasks):
        yield Problem('must be a list of {"task_id": "..."}', f"{path}.tasks")


def _task_ids(role: dict[str, Any]) -> list[str]:
    """Return the ids of the tasks that a role names, as far as it is well-formed."""
    tasks = role.get("tasks")
    found = [
        each.get("task_id")
        for each in (tasks if isinstance(tasks, list) else ())
        if isinstance(each, dict)
    ]
    return [each for each in found if isinstance(each, str)]


def _is_text(value: object, most: int) -> bool:
    return (
        isinstance(value, str)
        and bool(value.strip())
        and len(value) <= most
        and value.isprintable()
    )


def _refused(problems: list[Problem]) -> ConfigurationRefused:
    return ConfigurationRefused("MANIFEST", problems)
