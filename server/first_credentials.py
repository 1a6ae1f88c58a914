"""The first API credential of a workspace that has none to manage it (spec/platform-api.md, 3)."""

import secrets
from collections.abc import Callable, Sequence

from config.book import Book
from config.errors import ConfigError
from config.pages import Draft
from config.roles import ADMINISTRATORS
from config.settings import Settings
from config.workspace import WorkspaceDocument

SECTION = "api_credentials"


def with_first_credentials(
    drafts: Sequence[Draft], book: Book, settings: Settings, show: Callable[[str], None]
) -> list[Draft]:
    """Return drafts in which each new workspace has a credential that may manage it.

    In an empty store the first workspace gets the one of the settings, if they have one, in place
    of the example's, whose secret is public; else one is made for each workspace whose document has
    none, and shown. It is shown before it is kept: a start that fails in between shows another one
    next time.

    Args:
        drafts: of all workspaces that are served.
        book: as it is before they are written.
        settings: of the process.
        show: prints what a person wants to read, and nobody logs.

    Raises:
        ConfigError: with all that is wrong with what would hold then.
    """
    given = _given(settings) if not book.has_revisions else None
    result = []
    for place, draft in enumerate(drafts):
        made = None
        others = draft.data.get(SECTION, ())
        if place == 0 and given is not None and draft.origin == "example":
            made, others = given, ()
        elif place == 0 and given is not None and given["client_id"] not in _names(draft.document):
            made = given
        elif _is_new(draft, book) and not _has_administrator(draft.document):
            made = _generated()
            show(_text(draft.workspace, made))
        if made is not None:
            item = {**made, "role": "admin", "apis": ["platform", "profile"]}
            data = draft.data | {SECTION: [*others, item]}
            draft = book.draft(draft.workspace, data, draft.owned, draft.origin, draft.from_files)
        result.append(draft)
    return result


def _is_new(draft: Draft, book: Book) -> bool:
    """Whether nobody can have a credential of a workspace: the example's go with it."""
    return draft.base == 0 or book.is_example(draft.workspace)


def _given(settings: Settings) -> dict[str, str] | None:
    client_id, secret = settings.bootstrap_client_id, settings.bootstrap_client_secret
    if (client_id is None) != (secret is None):
        name = "bootstrap_client_secret" if secret is None else "bootstrap_client_id"
        raise ConfigError([(name, "is missing: a client id and its secret go together")])
    if client_id is None or secret is None:
        return None
    return {"client_id": client_id, "client_secret": secret.get_secret_value()}


def _generated() -> dict[str, str]:
    return {"client_id": secrets.token_hex(16), "client_secret": secrets.token_urlsafe(48)}


def _names(document: WorkspaceDocument) -> set[str]:
    return {each.client_id for each in document.api_credentials}


def _has_administrator(document: WorkspaceDocument) -> bool:
    return any(
        each.role in ADMINISTRATORS and "platform" in each.apis and each.status == "active"
        for each in document.api_credentials
    )


def _text(workspace: str, made: dict[str, str]) -> str:
    return "\n".join(
        (
            "",
            f"The document of workspace '{workspace}' has no credential that may manage it. This "
            "one was made, and its secret is not shown again:",
            "",
            f"  client id      {made['client_id']}",
            f"  client secret  {made['client_secret']}",
            "",
        )
    )
