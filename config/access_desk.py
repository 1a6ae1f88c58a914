"""Where roles and users are changed: a part of the desk of configurations (spec/privacy.md, 10)."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from actors.errors import ConfigurationRefused, Problem
from actors.store.access import AccountUser, Manifest
from actors.store.audit_log import Author
from config.book import Book
from config.roles import STANDARD, read_roles

IN_USE = "Removed a custom role with active user membership"


class AccessDesk:
    """Changes roles and users, never while a document is applied that may name a role."""

    def __init__(self, book: Book, changing: asyncio.Lock, announce: Callable[[], None]) -> None:
        """Args: `announce`: lets those who follow know that roles have changed."""
        self._book = book
        self._changing = changing
        self._announce = announce

    async def roles(self) -> Manifest:
        """Return the custom roles."""
        return self._book.access.manifest

    async def put_roles(
        self, workspace: int, sent: Any, author: Author, versions: frozenset[int] | None
    ) -> Manifest:
        """Replace all custom roles; they are on disk when this returns.

        Args:
            workspace: number of the author's.
            sent: the roles as they came.
            author: who does it.
            versions: of the manifest that is replaced; `None` takes any.

        Raises:
            ConfigurationRefused: nothing was changed. `MISMATCH`: the manifest is of another
                version; `MANIFEST`: it is not right, or lacks a role that somebody has.
            StoreFull: nothing was changed.
        """
        roles = read_roles(sent)
        async with self._changing:
            manifest = self._book.access.manifest
            if versions is not None and manifest.version not in versions:
                message = "The roles have changed since they were read."
                raise ConfigurationRefused("MISMATCH", [Problem(message)])
            removed = {each.role_id for each in manifest.roles} - {each.role_id for each in roles}
            if removed & self._assigned():
                raise ConfigurationRefused("MANIFEST", [Problem(IN_USE)])
            if roles != manifest.roles:
                account = self._account_of(workspace)
                self._book.write_roles(account, workspace, roles, author)
                self._announce()
            return self._book.access.manifest

    async def users(self, workspace: int) -> list[AccountUser]:
        """Return the users of a workspace's account, by e-mail."""
        return self._book.access.users(self._account_of(workspace))

    async def create_user(
        self, workspace: int, fields: Mapping[str, str], author: Author
    ) -> AccountUser:
        """Make a user of a workspace's account; see `AccessBook.write_user`.

        Raises:
            ConfigurationRefused: there is one of this e-mail, or no such role, or too many users.
            StoreFull: nothing was changed.
        """
        async with self._changing:
            account = self._account_of(workspace)
            users = self._book.access.users(account)
            if self._book.access.user(account, fields["email"]) is not None:
                raise _refused("User already exists.")
            most = self._book.of(workspace).document.workspace.limits.users
            if len(users) >= most:
                message = f"An account has at most {most} users."
                raise ConfigurationRefused("LIMIT_EXCEEDED", [Problem(message)])
            self._check_role(fields)
            return self._book.access.write_user(account, workspace, fields, author)

    async def change_user(
        self,
        workspace: int,
        fields: Mapping[str, str],
        author: Author,
        versions: frozenset[int] | None,
    ) -> AccountUser | None:
        """Change a user of a workspace's account; `None` if there is none of this e-mail.

        Args:
            workspace, fields, author: see `create_user`.
            versions: of the user that is changed; `None` takes any.

        Raises ConfigurationRefused, StoreFull as `create_user`; also `MISMATCH`.
        """
        async with self._changing:
            account = self._account_of(workspace)
            user = self._book.access.user(account, fields["email"])
            if user is None:
                return None
            _check_version(user, versions)
            self._check_role(fields)
            return self._book.access.write_user(account, workspace, fields, author)

    async def delete_user(
        self, workspace: int, email: str, author: Author, versions: frozenset[int] | None
    ) -> bool:
        """Delete a user of a workspace's account; tell whether there was one.

        Raises ConfigurationRefused, StoreFull as `change_user`.
        """
        async with self._changing:
            account = self._account_of(workspace)
            user = self._book.access.user(account, email)
            if user is not None:
                _check_version(user, versions)
                self._book.access.delete_user(account, workspace, user, author)
            return user is not None

    def _account_of(self, workspace: int) -> int:
        served = self._book.of(workspace)
        return served.numbers.accounts[served.document.account.id]

    def _assigned(self) -> set[str]:
        """Return the roles that somebody has: users, and credentials of any workspace."""
        credentials = (
            each.role for served in self._book.served for each in served.document.api_credentials
        )
        return {*credentials, *(each.role for each in self._book.access.users())}

    def _check_role(self, fields: Mapping[str, str]) -> None:
        role = fields.get("role")
        if role is not None and role not in STANDARD and role not in self._book.access.roles:
            raise _refused("There is no such role.")


def _check_version(user: AccountUser, versions: frozenset[int] | None) -> None:
    if versions is not None and user.version not in versions:
        message = "The user has changed since it was read."
        raise ConfigurationRefused("MISMATCH", [Problem(message)])


def _refused(message: str) -> ConfigurationRefused:
    return ConfigurationRefused("VALIDATION_ERROR", [Problem(message)])
