"""Keeps the secrets of the example, which everybody can read, from a network."""

from collections.abc import Iterable, Iterator

from config.errors import ConfigError
from config.load import EXAMPLE, load_workspace
from config.settings import Settings
from config.workspace import WorkspaceDocument
from server.ports import is_loopback


def check_keys(documents: Iterable[WorkspaceDocument], settings: Settings) -> None:
    """Refuse to serve secrets of the example to others than this machine.

    Looked for by themselves: a copy of the example has them too, and so has an example that was
    changed through the API since.

    Raises:
        ConfigError: a document has one that works.
    """
    if is_loopback(settings.host):
        return
    public = set(_secrets(load_workspace(EXAMPLE, {})))
    problems = [
        (
            "workspace",
            f"the example's keys are public, and '{each.workspace.id}' has them: name a document "
            "with keys of your own, or listen on this machine only (host)",
        )
        for each in documents
        if not public.isdisjoint(_secrets(each))
    ]
    if problems:
        raise ConfigError(problems)


def _secrets(document: WorkspaceDocument) -> Iterator[tuple[str, str]]:
    """Yield what gives access: keys of inputs and client ids, each with its secret."""
    for source in document.inputs:
        for key in source.keys:
            if key.status == "active":
                yield key.key, key.secret.get_secret_value()
    for credential in document.api_credentials:
        if credential.status == "active":
            yield credential.client_id, credential.client_secret.get_secret_value()
