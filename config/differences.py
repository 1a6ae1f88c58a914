"""What applying a document changes, and which of it is dangerous (spec/connections.md, 10).

Compares documents as they are understood: what is written out and what is left to its default are
the same. Names fields and never their values, which may be secret.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import replace
from pydantic import BaseModel

from config.data_plans import locked_problems, lost_production
from config.identity import SCOPE_KEYS
from config.merging import name_of
from config.workspace import WorkspaceDocument

Action = Literal["create", "update", "delete"]
SIGNS: Mapping[Action, str] = {"create": "+", "update": "~", "delete": "-"}
# Stored profiles and lookups follow from these; a start brings them to it while nobody uses them.
LIVE_IDENTITY_KEYS = frozenset({"idsync_enabled", "aliasing_enabled", "alias_max_window_days"})


class Difference(Struct, frozen=True):
    """One object that is made, changed or deleted.

    Attributes:
        section: of the document; `name`: of the object in it, `None` where the section is no list.
        fields: that change.
        danger: why it is dangerous, `None` if it is not.
    """

    action: Action
    section: str
    name: str | None
    fields: tuple[str, ...] = ()
    danger: str | None = None

    @property
    def path(self) -> str:
        """What `stamps` and messages call the object."""
        return self.section if self.name is None else f"{self.section}/{self.name}"

    def line(self) -> str:
        """Write it as `headwater config plan` does."""
        kind = self.section if self.name is None else _singular(self.section)
        what = f"{SIGNS[self.action]} {kind}" + ("" if self.name is None else f" {self.name}")
        if self.fields:
            what += f": {', '.join(self.fields)}"
        return what if self.danger is None else f"! {what} ({self.danger})"


class _Section(NamedTuple):
    name: str
    before: Any
    after: Any


def differences(before: WorkspaceDocument | None, after: WorkspaceDocument) -> list[Difference]:
    """List what is different, section by section in the order of the document."""
    return [
        difference
        for name in WorkspaceDocument.model_fields
        for difference in _of_section(
            _Section(name, getattr(before, name, None), getattr(after, name))
        )
    ]


def with_danger(difference: Difference, reason: str) -> Difference:
    """Return a difference that is dangerous for this reason, beside what made it so before."""
    reasons = [reason] if difference.danger is None else [difference.danger, reason]
    return replace(difference, danger="; ".join(reasons))


def with_returns(
    found: Iterable[Difference], before: WorkspaceDocument, after: WorkspaceDocument
) -> list[Difference]:
    """Return the differences of a rollback: dangerous is also what it changes of who gets in.

    What has been rotated, revoked or deleted since was so on purpose, and would work again.
    """
    old, new = _ways_in(before), _ways_in(after)
    return [_with_return(each, old.get(each.path, {}), new.get(each.path, {})) for each in found]


def fixed_for_life(
    before: WorkspaceDocument, after: WorkspaceDocument
) -> Iterator[tuple[str, str]]:
    """List, as path and message, what objects cannot become.

    Source: spec/audiences.md, 2; spec/data-plans.md, 1; spec/privacy.md, 1.
    """
    old, new = (each.workspace.regulations.gdpr for each in (before, after))
    if not set(old.purposes) <= set(new.purposes):  # also of one that is switched off
        yield "workspace.regulations.gdpr.purposes", "Purposes cannot be removed."
    yield from locked_problems(before.data_plans, after.data_plans)
    former = {each.id: each for each in before.audiences}
    for index, audience in enumerate(after.audiences):
        known = former.get(audience.id)
        if known is None:
            continue
        if known.type != audience.type:
            yield f"audiences[{index}].type", f"is '{known.type}', and cannot be changed"
        elif known.active and known.is_joint != audience.is_joint:
            problem = "between one workspace and several only an inactive audience can be changed"
            yield f"audiences[{index}].workspaces", problem


def needing_restart(
    before: WorkspaceDocument, after: WorkspaceDocument
) -> Iterator[tuple[str, str]]:
    """List, as path and message, what cannot be changed while the deployment runs."""
    problem = "takes effect at a start only: stop the deployment, and start it with the document"
    for name in SCOPE_KEYS:
        is_changed = getattr(before.identity, name) != getattr(after.identity, name)
        if is_changed and name not in LIVE_IDENTITY_KEYS:
            yield f"identity.{name}", problem
    if before.workspace.scope_name != after.workspace.scope_name:
        yield "workspace.identity_scope", problem
    if before.account.id != after.account.id:
        yield "account.id", problem


def _of_section(section: _Section) -> Iterator[Difference]:
    if not _is_of_objects(section.after) and not _is_of_objects(section.before):
        if section.before != section.after:
            action: Action = "create" if section.before is None else "update"
            fields = _changed(section.before, section.after) if action == "update" else ()
            danger = None
            if section.name == "identity" and set(fields) - LIVE_IDENTITY_KEYS:
                danger = "users are known by other identities"
            if section.name == "workspace":
                danger = _lost_key(section.before, section.after)
            yield Difference(action, section.name, None, fields, danger)
        return
    old, new = _by_name(section.before), _by_name(section.after)
    for name, after in new.items():
        before = old.get(name)
        if before is None:
            yield Difference("create", section.name, name)
        elif before != after:
            fields = _changed(before, after)
            yield Difference("update", section.name, name, fields, _lost(before, after))
    for name, before in old.items():
        if name not in new:
            yield Difference("delete", section.name, name, (), _lost(before, None))


def _with_return(
    difference: Difference, old: Mapping[str, object], new: Mapping[str, object]
) -> Difference:
    back = [way for way, secrets in new.items() if old.get(way) != secrets]
    if back:
        difference = with_danger(difference, f"brings back {', '.join(back)}")
    gone = [way for way in old if way not in new]
    if gone and difference.section == "api_credentials":  # of keys, every document is told so
        difference = with_danger(difference, f"takes away {', '.join(gone)}")
    return difference


def _ways_in(document: WorkspaceDocument) -> dict[str, dict[str, object]]:
    """Return, by path of an object, what lets somebody in through it, and with which secrets."""
    ways: dict[str, dict[str, object]] = {}
    for each in document.api_credentials:
        if each.status == "active":
            secrets = (each.client_secret, each.former_secrets)
            ways[f"api_credentials/{each.client_id}"] = {f"credential {each.client_id}": secrets}
    for source in document.inputs:
        if source.status == "active":
            active = (each for each in source.keys if each.status == "active")
            ways[f"inputs/{source.id}"] = {f"key {each.key}": each.secret for each in active}
    own = document.workspace.dsr_credentials
    ways["workspace"] = {} if own is None else {f"key {own.key}": own.secret}
    return ways


def _is_of_objects(value: object) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], BaseModel)


def _by_name(section: Any) -> dict[str, BaseModel]:
    named = {}
    for each in section or ():
        named[name_of(vars(each)) or ""] = each
    return named


def _changed(before: Any, after: BaseModel) -> tuple[str, ...]:
    if not isinstance(after, BaseModel) or not isinstance(before, BaseModel):
        return ()
    return tuple(
        name
        for name in type(after).model_fields
        if getattr(before, name, None) != getattr(after, name)
    )


def _lost(before: BaseModel, after: BaseModel | None) -> str | None:
    return _lost_keys(before, after) or lost_production(before, after)


def _lost_keys(before: BaseModel, after: BaseModel | None) -> str | None:
    """Say which active keys senders use that would be refused from then on."""
    kept = {each.key for each in getattr(after, "keys", None) or () if each.status == "active"}
    lost = [
        each.key
        for each in getattr(before, "keys", None) or ()
        if each.status == "active" and each.key not in kept
    ]
    return f"takes away key {', '.join(lost)}" if lost else None


def _lost_key(before: Any, after: Any) -> str | None:
    old = getattr(before, "dsr_credentials", None)
    new = getattr(after, "dsr_credentials", None)
    if old is None or (new is not None and new.key == old.key):
        return None
    return f"takes away key {old.key}"


def _singular(section: str) -> str:
    return section.removesuffix("s").replace("_", " ")
