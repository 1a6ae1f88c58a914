"""What a deployment serves from its start on: files that are applied, or what was applied last."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from actors.errors import IdentitiesShared
from actors.store.folder import DataFolder
from actors.store.identity_settings import IdentitySettings, bring_to_settings
from actors.store.layout import scope_store, workspace_store
from config.book import FILE, Book
from config.desk_options import ConfigDeskOptions
from config.errors import ConfigError
from config.load import EXAMPLE, load_workspaces, read_document
from config.numbers import decode_numbers
from config.pages import Draft
from config.public_keys import check_keys
from config.served import ServedDocument
from config.settings import Settings
from server.first_credentials import with_first_credentials


def begin(
    configuration: ConfigDeskOptions,
    environ: Mapping[str, str],
    settings: Settings,
    folder: DataFolder,
    show: Callable[[str], None],
) -> Sequence[ServedDocument]:
    """Apply the files that the settings name, and return what is served.

    Without files that is what was served last; the example if that is nothing. Nobody else may use
    the data folder yet: what is stored is brought to the identity settings of each scope.

    Args:
        configuration: opens the book.
        environ: for the placeholders of the files.
        settings: of the process.
        folder: held by this process.
        show: prints what a person wants to read: the secret of a first credential.

    Raises:
        ConfigError: the files, or what was applied last, cannot be used, or not where they would
            be served; nothing was changed.
        DataFolderError, StoreFull: the data folder cannot be used, or a store of what is served is
            missing.
    """
    store = configuration.open_store(folder.coordinator)
    try:
        book = configuration.open_book(store)
        if (kept := folder.read("numbers.json")) is not None:  # of a version that had no book
            book.take_over_numbers(decode_numbers(kept))
        drafts = _drafts(book, settings.workspace, environ)
        drafts = with_first_credentials(drafts, book, settings, show)
        workspaces = book.preview(drafts)
        check_keys((each.document for each in workspaces), settings)
        for each in workspaces:
            scope = scope_store(folder.coordinator, each.info.scope)
            folder.refuse_missing([scope, workspace_store(folder.coordinator, each.info.number)])
        _apply_identity_settings(workspaces, settings, folder)
        book.write(drafts, FILE)
        return book.served
    finally:
        store.close()


def kept_key(given: SecretStr | None, folder: DataFolder, name: str) -> SecretStr:
    """Return a key of the installation: without a setting it is made once and kept in a file."""
    if given is not None:
        return given
    kept = folder.read(name)
    if kept is None:
        kept = secrets.token_urlsafe(48).encode()
        folder.write(name, kept)
    return SecretStr(kept.decode())


def _drafts(book: Book, paths: Sequence[Path], environ: Mapping[str, str]) -> list[Draft]:
    if not paths and book.served:
        return []
    origin = "file" if paths else "example"
    paths = paths or (EXAMPLE,)
    try:
        documents = [read_document(path, environ) for path in paths]
        book.serve([str(each["workspace"]["id"]) for each in documents])
        drafts = book.drafts_of_files(documents, origin)
        book.check(drafts, is_running=False)
    except (ConfigError, KeyError, TypeError):
        load_workspaces(paths, environ)  # places problems by file and line, if it finds them too
        raise
    return drafts


def _apply_identity_settings(
    workspaces: Sequence[ServedDocument], settings: Settings, folder: DataFolder
) -> None:
    """Bring what is stored to the identity settings of each scope.

    Raises:
        ConfigError: they cannot hold for what is stored.
    """
    for each in {each.info.scope: each for each in workspaces}.values():
        wanted = IdentitySettings(each.info.login_ids, each.info.unique_ids)
        try:
            bring_to_settings(folder, each.info.scope, wanted, settings.map_size_bytes)
        except IdentitiesShared as error:
            scope = each.document.workspace.scope_name
            place = f"identity scope '{scope}': " if len(workspaces) > 1 else ""
            raise ConfigError(
                (
                    "identity.unique_ids",
                    f"{place}{name} cannot be unique: {count:,} of its values are held by several "
                    "users",
                )
                for name, count in error.values.items()
            ) from error
