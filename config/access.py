"""Custom roles and users, and what the audit log has of them, in the store of the configuration."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.clock import Clock
from actors.once import answer_with
from actors.store import access, audit_log
from actors.store.access import AccountUser, CustomRole, Manifest
from actors.store.audit_log import Action, AuditEntry, Author
from actors.store.environment import Store
from config.roles import Tasks, expanded

USER_TYPE = "account_user"  # in the audit log, where `user` is somebody whose events are kept
ROLES_TYPE = "roles"


class AccessBook:
    """Keeps roles and users; at any time one writes."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        with store.read() as txn:
            self.manifest = access.read_manifest(txn)

    @property
    def roles(self) -> Mapping[str, Tasks]:
        """The custom roles: id to what it allows."""
        return {each.role_id: expanded(each.tasks) for each in self.manifest.roles}

    def write_roles(
        self, account: int, workspace: int, roles: Sequence[CustomRole], author: Author
    ) -> None:
        """Replace all custom roles. Raises StoreFull.

        Args:
            account, workspace: whose audit log has it.
            roles: all of them.
            author: who does it.
        """
        now_ms = self._clock.now_ms()
        made = Manifest(tuple(roles), self.manifest.version + 1, now_ms, author.id)
        entry = AuditEntry(
            author=author,
            action="update",
            resource_type=ROLES_TYPE,
            workspace=workspace,
            before=shown_roles(self.manifest.roles),
            after=shown_roles(made.roles),
        )
        with self._store.write() as txn:
            answer_with(made)
            access.write_manifest(txn, made)
            audit_log.append(txn, account, [entry], now_ms)
        self.manifest = made

    def users(self, account: int | None = None) -> list[AccountUser]:
        """Return the users of an account, or of all, by e-mail."""
        with self._store.read() as txn:
            return list(access.read_users(txn, account))

    def user(self, account: int, email: str) -> AccountUser | None:
        """Return one user; case does not matter."""
        with self._store.read() as txn:
            return access.read_user(txn, account, email)

    def write_user(
        self, account: int, workspace: int, fields: Mapping[str, str], author: Author
    ) -> AccountUser:
        """Make or change a user; return it. Raises StoreFull.

        Args:
            account: of the user; `workspace` is the author's.
            fields: `email`, and what is to hold of `first_name`, `last_name` and `role`: all of
                them for a new user.
            author: who does it.
        """
        now_ms, former = self._clock.now_ms(), self.user(account, fields["email"])
        if former is None:
            made = AccountUser(
                email=fields["email"],
                first_name=fields["first_name"],
                last_name=fields["last_name"],
                role=fields["role"],
                created_ms=now_ms,
                created_by=author.id,
                modified_ms=now_ms,
                modified_by=author.id,
                version=1,
            )
        else:
            changed = {name: value for name, value in fields.items() if name != "email"}
            made = msgspec.structs.replace(
                former,
                **changed,
                modified_ms=now_ms,
                modified_by=author.id,
                version=former.version + 1,
            )
        entry = _entry("create" if former is None else "update", former, made, workspace, author)
        with self._store.write() as txn:
            answer_with(made)
            access.write_user(txn, account, made)
            audit_log.append(txn, account, [entry], now_ms)
        return made

    def delete_user(self, account: int, workspace: int, user: AccountUser, author: Author) -> None:
        """Forget a user. Raises StoreFull."""
        with self._store.write() as txn:
            answer_with(True)
            access.delete_user(txn, account, user.email)
            entry = _entry("delete", user, None, workspace, author)
            audit_log.append(txn, account, [entry], self._clock.now_ms())


def shown_roles(roles: Sequence[CustomRole]) -> list[dict[str, Any]]:
    """Return roles as the API shows them."""
    return [
        {
            "role_id": each.role_id,
            "name": each.name,
            "description": each.description,
            "tasks": [{"task_id": task} for task in each.tasks],
        }
        for each in roles
    ]


def shown_user(user: AccountUser) -> dict[str, Any]:
    """Return what the API shows of a user but for who made and changed it."""
    return {
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        "role": user.role,
    }


def _entry(
    action: Action,
    before: AccountUser | None,
    after: AccountUser | None,
    workspace: int,
    author: Author,
) -> AuditEntry:
    one = before if after is None else after
    assert one is not None
    return AuditEntry(
        author=author,
        action=action,
        resource_type=USER_TYPE,
        resource_id=one.email,
        workspace=workspace,
        before=None if before is None else shown_user(before),
        after=None if after is None else shown_user(after),
    )
