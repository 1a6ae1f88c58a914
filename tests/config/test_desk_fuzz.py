"""A document that is applied takes effect as a whole or not at all (spec/connections.md, 10).

`HEADWATER_FUZZ=10000 python -m pytest tests/config/test_desk_fuzz.py` tries as many.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

from actors.clock import ManualClock
from actors.errors import ConfigurationRefused, Problem
from actors.shard_options import ShardOptions
from actors.store.audit_log import Author
from actors.store.environment import Store
from config.audit import AuditQuery
from config.book import FILE, Book
from config.desk import ConfigDesk
from config.differences import differences
from config.merging import Data, merged_document
from config.pages import from_files
from config.roles import STANDARD
from config.sealing import Sealer
from config.secret_values import value_at, with_kept_secrets
from config.settings import Settings
from tests.config.documents import shop

MAP_SIZE = 64 * 1024 * 1024
EXAMPLES = int(os.environ.get("HEADWATER_FUZZ", "60"))
OPS = Author("ops")

Where = tuple[str | int, ...]


class FakeShard:
    """Takes over what it is told; a queue with something in it makes a deletion dangerous."""

    def __init__(self, depth: int) -> None:
        self.taken: ShardOptions | None = None
        self.depth = depth

    async def revision(self) -> int:
        return 0 if self.taken is None else self.taken.revision

    async def take_over(self, options: ShardOptions) -> int:
        self.taken = options
        return options.revision

    async def queue(self, connection: int) -> dict[str, int]:
        return {"depth": self.depth, "bytes": self.depth, "dead_letters": 0}


def places(value: Any, where: Where = ()) -> Iterator[Where]:
    """Yield every place of a document."""
    if where:
        yield where
    if isinstance(value, dict | list):
        for part, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*where, part))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["web", "hook", "lake", "active", "inactive", "${env:HOME}", "\0", "\ud800"]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "name", "key", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def mutated(draw: st.DrawFn, data: Data) -> Any:
    """Return a document with something set, copied from elsewhere, added, repeated or removed."""
    data = deepcopy(data)
    for _ in range(draw(st.integers(0, 3))):
        known = list(places(data))
        if not known:
            break
        where = draw(st.sampled_from(known))
        holder: Any = value_at(data, where[:-1])
        last: Any = where[-1]
        match draw(st.sampled_from(["set", "copy", "delete", "repeat", "add", "rename"])):
            case "set":
                holder[last] = draw(values)
            case "copy":
                holder[last] = deepcopy(value_at(data, draw(st.sampled_from(known))))
            case "delete":
                del holder[last]
            case "repeat" if isinstance(holder, list):
                holder.append(deepcopy(holder[last]))
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(min_size=1, max_size=5))] = draw(values)
            case "rename" if isinstance(holder, dict) and "id" in holder:
                holder["id"] = draw(st.sampled_from(["new", "web", "Bad Id", "hook"]))
    return data


class Site:
    """A desk with its shards."""

    def __init__(self, store: Store, folder: Path, depth: int, host: str = "127.0.0.1") -> None:
        settings_ = Settings(data_dir=folder, host=host)
        self.book = Book(store, Sealer("m" * 32), settings_, ManualClock(1000))
        self.desk = ConfigDesk(self.book, settings_)
        self.shards = [FakeShard(depth), FakeShard(0)]
        if not self.book.served:
            self.book.serve(["acme-shop"])
            self.book.write(self.book.drafts_of_files([shop()]), FILE)
        shards = {each.info.number: self.shards for each in self.book.served}
        self.desk.bind(shards, lambda _: None, lambda _: (), lambda _: {}, lambda _: {})

    async def state(self) -> Any:
        """Return all that a change can change, as anybody can see it."""
        sheet = await self.desk.sheet(1)
        page = await self.desk.audited(1, AuditQuery(limit=1000))
        return (
            sheet.data,
            sheet.document,
            sheet.served,
            dict(sheet.stamps),
            await self.desk.revisions(1),
            page,
            [each.taken for each in self.shards],
        )


async def refused(site: Site, given_: Any, prune: bool, force: bool) -> list[Problem] | None:
    """Apply a document; return what is wrong with it, `None` if nothing is."""
    try:
        await site.desk.apply_file(1, given_, OPS, STANDARD["admin"], prune, force)
    except ConfigurationRefused as error:
        return list(error.problems)
    return None


async def try_out(site: Site, given_: Any, prune: bool, force: bool) -> None:
    await site.desk.look()
    before, sheet = await site.state(), await site.desk.sheet(1)
    gone = from_files(site.book.page("acme-shop")[0]) if prune else {}
    problems = await refused(site, given_, prune, force)
    if problems is not None:
        assert problems
        assert all(each.path and each.message for each in problems)
        assert await site.state() == before
        return
    after = await site.desk.sheet(1)
    wanted = with_kept_secrets(given_, sheet.data, sheet.document)
    assert after.data == merged_document(sheet.data, wanted, gone)
    found = differences(sheet.document, after.document)
    assert after.served.revision == sheet.served.revision + bool(found)
    assert [await each.revision() for each in site.shards] == [after.served.revision] * 2
    assert await site.desk.published() == {1: after.served.revision}
    entries = (await site.desk.audited(1, AuditQuery(limit=1000))).items
    assert len(entries) == len(before[5].items) + len(found)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
@given(st.data())
def test_a_document_is_applied_whole_or_not_at_all(draw: st.DataObject) -> None:
    """spec/connections.md, worked case 39."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with closing(Store(folder, MAP_SIZE)) as store:
            site = Site(store, folder, draw.draw(st.integers(0, 1)))
            for _ in range(draw.draw(st.integers(1, 3))):
                held = asyncio.run(site.desk.sheet(1)).data
                given_ = draw.draw(mutated(held))
                prune, force = draw.draw(st.booleans()), draw.draw(st.booleans())
                asyncio.run(try_out(site, given_, prune, force))
            served = list(site.book.served)
        with closing(Store(folder, MAP_SIZE)) as store:  # and so it is after a restart
            assert list(Site(store, folder, 0).book.served) == served
