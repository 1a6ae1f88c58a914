"""The tables of users: their last state, identities, memberships and aliases."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import orjson

from actors.outputs.warehouse import columns
from actors.outputs.warehouse.catalog import USERS, Catalog
from actors.outputs.warehouse.columns import Column, as_json
from actors.outputs.warehouse.names import quoted
from actors.outputs.warehouse.reading import Membership, UserRow, attribute_columns
from actors.outputs.warehouse.room import RowRoom

STATE = ("identities", "userattributes", "is_deleted", "last_seen")


class Users:
    """Writes what loads know of users; each row is the latest state, whatever the order."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        has_attribute_columns: bool,
        max_columns: int,
        max_attribute_bytes: int | None,
    ) -> None:
        self._catalog = catalog
        self._max_attribute_bytes = max_attribute_bytes
        self._has_attribute_columns = has_attribute_columns
        self._max_columns = max_columns
        self.is_full = False

    async def write(self, users: Sequence[UserRow]) -> int:
        """Add or renew users; return how many."""
        catalog = self._catalog
        latest: dict[int, UserRow] = {}
        first_ms: dict[int, int] = {}
        for user in users:
            first_ms[user.mpid] = min(first_ms.get(user.mpid, user.seen_ms), user.seen_ms)
            if user.mpid not in latest or latest[user.mpid].seen_ms <= user.seen_ms:
                latest[user.mpid] = user
        await catalog.ensure(USERS, columns.USERS)
        flat = {
            mpid: attribute_columns(user.attributes) if self._has_attribute_columns else {}
            for mpid, user in latest.items()
        }
        wanted = dict.fromkeys(name for each in flat.values() for name in each)
        made = await catalog.attribute_columns(USERS, wanted, self._max_columns)
        attributes = catalog.known_attributes(USERS) if self._has_attribute_columns else {}
        extra = [Column(name, "text") for name in attributes.values()]
        room = RowRoom(self._max_attribute_bytes)
        await catalog.stage(
            "_users",
            [*columns.USERS, *extra],
            (
                [
                    mpid,
                    as_json(user.identities),
                    as_json(user.attributes),
                    first_ms[mpid],
                    user.seen_ms,
                    None,
                    False,
                    *room.cells(flat[mpid], attributes),
                ]
                for mpid, user in latest.items()
            ),
        )
        self.is_full = len(made) < len(wanted) or room.was_short
        table, staged = catalog.path(USERS), quoted("_users")
        renewed = [*STATE, *attributes.values()]
        assignments = ", ".join(f"{quoted(each)} = s.{quoted(each)}" for each in renewed)
        await catalog.session.execute(
            f"UPDATE {table} SET {assignments}"
            f" FROM {staged} s WHERE {quoted(USERS)}.mpid = s.mpid"
            f" AND ({quoted(USERS)}.last_seen IS NULL OR {quoted(USERS)}.last_seen <= s.last_seen)"
        )
        await catalog.session.execute(
            f"UPDATE {table} SET first_seen = s.first_seen FROM {staged} s "
            f"WHERE {quoted(USERS)}.mpid = s.mpid AND "
            f"({quoted(USERS)}.first_seen IS NULL OR {quoted(USERS)}.first_seen > s.first_seen)"
        )
        await self._add_missing(
            staged, [*(each.name for each in columns.USERS), *attributes.values()]
        )
        await catalog.unstage("_users")
        return len(latest)

    async def _add_missing(self, staged: str, names: Iterable[str]) -> None:
        table = self._catalog.path(USERS)
        listed = ", ".join(map(quoted, names))
        await self._catalog.session.execute(
            f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {staged} s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE t.mpid = s.mpid)"
        )

    async def write_identities(self, users: Sequence[UserRow]) -> int:
        """Note which identities users had and when; return how many."""
        catalog, name = self._catalog, "identities"
        seen: dict[tuple[int, str, str], tuple[int, int]] = {}
        for user in users:
            for kind, value in user.identities.items():
                key = (user.mpid, kind, value)
                first_ms, last_ms = seen.get(key, (user.seen_ms, user.seen_ms))
                seen[key] = min(first_ms, user.seen_ms), max(last_ms, user.seen_ms)
        if not seen:
            return 0
        await catalog.ensure(name, columns.IDENTITIES)
        rows = ((*key, *times) for key, times in seen.items())
        await catalog.stage("_identities", columns.IDENTITIES, rows)
        table, staged = catalog.path(name), quoted("_identities")
        same = "t.mpid = s.mpid AND t.identity_type = s.identity_type AND t.identity = s.identity"
        await catalog.session.execute(
            f"UPDATE {table} AS t SET first_seen = least(t.first_seen, s.first_seen), "
            f"last_seen = greatest(t.last_seen, s.last_seen) FROM {staged} s WHERE {same}"
        )
        listed = ", ".join(quoted(each.name) for each in columns.IDENTITIES)
        await catalog.session.execute(
            f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {staged} s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same})"
        )
        await catalog.unstage("_identities")
        return len(seen)

    async def write_memberships(self, changes: Sequence[Membership]) -> int:
        """Write entries and exits, and the users' audiences after them; return how many stays.

        A change that is written already changes nothing, so it may come again at any time.
        """
        catalog, name = self._catalog, "audience_membership"
        await catalog.ensure(name, columns.MEMBERSHIP)
        await catalog.ensure(USERS, columns.USERS)
        mpids = {each.mpid for each in changes}
        await catalog.stage("_mpids", [Column("mpid", "bigint")], ([each] for each in mpids))
        stays: defaultdict[tuple[int, int], dict[int, int | None]] = defaultdict(dict)
        for audience, mpid, entered_ms, left_ms in await catalog.session.execute(
            f"SELECT t.audience_id, t.mpid, t.entered_at, t.left_at FROM {catalog.path(name)} t "
            f"JOIN {quoted('_mpids')} s ON s.mpid = t.mpid"
        ):
            stays[audience, mpid][entered_ms] = left_ms
        written = {key: dict(known) for key, known in stays.items()}
        for change in changes:
            _apply(stays[change.audience, change.mpid], change)
        changed = [
            (audience, mpid, entered_ms, left_ms)
            for (audience, mpid), known in stays.items()
            for entered_ms, left_ms in known.items()
            if written.get((audience, mpid), {}).get(entered_ms, -1) != left_ms
        ]
        await catalog.stage("_stays", columns.MEMBERSHIP, changed)
        await catalog.session.execute(
            f"DELETE FROM {catalog.path(name)} AS t USING {quoted('_stays')} s WHERE "
            "t.audience_id = s.audience_id AND t.mpid = s.mpid AND t.entered_at = s.entered_at"
        )
        await catalog.insert(name, columns.MEMBERSHIP, changed)
        await catalog.unstage("_stays")
        await catalog.unstage("_mpids")
        await self._write_audiences(mpids, stays)
        return len(changed)

    async def _write_audiences(
        self,
        mpids: Iterable[int],
        stays: dict[tuple[int, int], dict[int, int | None]],
    ) -> None:
        audiences: dict[int, list[int]] = {mpid: [] for mpid in mpids}
        for (audience, mpid), known in stays.items():
            if None in known.values():
                audiences[mpid].append(audience)
        layout = [
            Column("mpid", "bigint"),
            Column("audience_ids", "json"),
            Column("is_deleted", "boolean"),
        ]
        await self._catalog.stage(
            "_audiences",
            layout,
            ((mpid, orjson.dumps(sorted(ids)).decode(), False) for mpid, ids in audiences.items()),
        )
        staged = quoted("_audiences")
        await self._catalog.session.execute(
            f"UPDATE {self._catalog.path(USERS)} SET audience_ids = s.audience_ids "
            f"FROM {staged} s WHERE {quoted(USERS)}.mpid = s.mpid"
        )
        await self._add_missing(staged, (each.name for each in layout))
        await self._catalog.unstage("_audiences")

    async def write_aliases(
        self, aliases: Sequence[tuple[int, int, int | None, int | None, int]]
    ) -> int:
        """Write alias requests, each once; return how many."""
        catalog, name = self._catalog, "aliases"
        await catalog.ensure(name, columns.ALIASES)
        unique = list({each[:4]: each for each in reversed(aliases)}.values())
        await catalog.stage("_aliases", columns.ALIASES, unique)
        listed = ", ".join(quoted(each.name) for each in columns.ALIASES)
        same = " AND ".join(
            f"t.{quoted(each.name)} IS NOT DISTINCT FROM s.{quoted(each.name)}"
            for each in columns.ALIASES[:4]
        )
        await catalog.session.execute(
            f"INSERT INTO {catalog.path(name)} ({listed}) SELECT {listed} FROM "
            f"{quoted('_aliases')} s WHERE NOT EXISTS "
            f"(SELECT 1 FROM {catalog.path(name)} t WHERE {same})"
        )
        await catalog.unstage("_aliases")
        return len(unique)


def _apply(known: dict[int, int | None], change: Membership) -> None:
    """Apply one change to a user's stays in an audience: entered at -> left at."""
    at_ms = change.time_ms
    begun = [entered_ms for entered_ms in known if entered_ms <= at_ms]
    last_ms = max(begun, default=None)
    left_ms = None if last_ms is None else known[last_ms]
    if not change.is_member:
        if last_ms is not None and left_ms is None:
            known[last_ms] = at_ms
    elif last_ms is None or (last_ms != at_ms and left_ms is not None and left_ms <= at_ms):
        known[at_ms] = None
