"""Keeps the secrets of the example, which everybody can read, from a network."""

from collections.abc import Iterable, Iterator
from functools import cache

from config.errors import ConfigError
from config.load import EXAMPLE, load_workspace
from config.settings import Settings
from config.workspace import WorkspaceDocument


def check_keys(documents: Iterable[WorkspaceDocument], settings: Settings) -> None:
    """Refuse to serve secrets of the example to others than this machine.

    Looked for by themselves: a copy of the example has them too, and so has an example that was
    changed through the API since.

    Raises:
        ConfigError: a document has one that works.
    """
    if settings.is_local:
        return
    public, problems = _public(), []
    for each in documents:
        holders = dict.fromkeys(holder for holder, secret in _secrets(each) if secret in public)
        if holders:
            problems.append(("workspace", _message(each.workspace.id, holders)))
    if problems:
        raise ConfigError(problems)


@cache
def _public() -> frozenset[tuple[str, str]]:
    return frozenset(secret for _, secret in _secrets(load_workspace(EXAMPLE, {})))


def _secrets(document: WorkspaceDocument) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield what gives access, keys of inputs and client ids with secrets, after who has it."""
    for source in document.inputs:
        for key in source.keys:
            if key.status == "active":
                yield f"inputs '{source.id}'", (key.key, key.secret.get_secret_value())
    for each in document.api_credentials:
        if each.status == "active":
            secret = (each.client_id, each.client_secret.get_secret_value())
            yield f"api_credentials '{each.client_id}'", secret


def _message(workspace: str, holders: Iterable[str]) -> str:
    return (
        f"the example's keys are public, and '{workspace}' has them: {', '.join(holders)}. Give "
        "each of these a secret of your own in your document, or switch it off there (status): "
        "what was applied before stays as long as the document does not have it. Or take another "
        "data folder (data_dir), or listen on this machine only (host)"
    )
