"""What of a document only those may change who may do as much themselves.

Source: spec/platform-api.md, 3; spec/privacy.md, 10.
"""

from collections.abc import Iterator, Mapping

from actors.errors import ConfigurationRefused, Problem
from config.pages import Draft
from config.roles import NOT_ALLOWED, TOO_POWERFUL, Tasks, power_of

# What somebody gets in with, and what they may do then.
_GIVING = frozenset({"client_secret", "former_secrets", "role", "apis"})


def check_power(draft: Draft, held: Tasks, custom: Mapping[str, Tasks]) -> None:
    """Refuse a draft that changes what its author could not change by the routes of the objects.

    Args:
        draft: what it does not change needs nothing.
        held: tasks of the author's role.
        custom: the custom roles.

    Raises:
        ConfigurationRefused: `FORBIDDEN`, with the paths of the objects.
    """
    if problems := list(_beyond(draft, held, custom)):
        raise ConfigurationRefused("FORBIDDEN", problems)


def _beyond(draft: Draft, held: Tasks, custom: Mapping[str, Tasks]) -> Iterator[Problem]:
    credentials = {each.client_id: each for each in draft.document.api_credentials}
    for each in draft.differences:
        if each.section == "data_plans" and "data_plans:*" not in held:
            yield Problem(NOT_ALLOWED, each.path)
        is_given = each.action == "create" or not _GIVING.isdisjoint(each.fields)
        if each.section == "api_credentials" and is_given:
            made = credentials[each.name or ""]
            if not power_of(made.role, made.apis, custom) <= held:
                yield Problem(TOO_POWERFUL, each.path)
