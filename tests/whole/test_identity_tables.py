"""Every row of the strategy case tables over HTTP (spec/identity.md, Strategy case tables).

The rows are those that are also run without a server (`case_tables`). Known records are made with
identity calls alone, and compared afterwards as operators see them.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from actors.identity.state import IdentityRules
from tests.actors.identity.case_tables import LOGGED_IN, TABLES
from tests.actors.identity.pool import PRIORITY, TYPES
from tests.whole.identities import call, modify, mpid_of, record, strategy
from tests.whole.world import World, running

BATCH_NAMES = {"customerid": "customer_id", "email": "email"}
STAMP = TYPES["das"]
# Below all others in the priority: by it a record is made that holds nothing of the table's yet.
SCAFFOLD = "other10"

Records = dict[str, tuple[set[tuple[str, str]], str]]


def document(rules: IdentityRules) -> dict[str, Any]:
    """Return the document with the settings of a table."""
    return strategy(
        rules.strategy,
        priority=[*PRIORITY, SCAFFOLD],
        login_ids=sorted(rules.login_ids),
        unique_ids=sorted(rules.unique_ids),
        immutable_ids=sorted(rules.immutable_ids),
        search_requires_immutable=rules.search_requires_immutable,
    )


def name(text: str) -> tuple[str, str]:
    """Read `cid:c1`; a stamp becomes a UUID, which batches demand."""
    short, _, value = text.partition(":")
    return TYPES[short], (uuid(value) if short == "das" else value)


def uuid(value: str) -> str:
    return f"00000000-0000-4000-8000-{value.encode().hex():0>12}"


def records_in(text: str) -> Records:
    """Read `A{das:d1}, N{cid:c1}<A`: what each record holds, and its source."""
    return {
        letter: ({name(each) for each in held.split(",") if each}, source)
        for letter, held, source in re.findall(r"(\w+)\{([^}]*)\}(?:<(\w+))?", text)
    }


class Script:
    """Runs a row; `mpids` are those of the letters."""

    def __init__(self, world: World, rules: IdentityRules) -> None:
        self.mpids: dict[str, str] = {}
        self._world = world
        self._rules = rules

    async def arrange(self, records: Records) -> None:
        """Make the known records, the later ones with the later links."""
        hidden: dict[str, str] = {}
        for letter, (held, _) in records.items():
            if self._rules.strategy == "profile_isolation":
                # A logout returns to the anonymous user of the device: nobody is, for the moment.
                for earlier, mpid in self.mpids.items():
                    if earlier not in hidden and not await self._is_known(mpid):
                        hidden[earlier] = f"hidden-{earlier}"
                        await modify(self._world, mpid, ("customerid", None, hidden[earlier]))
            self.mpids[letter] = await self._made(letter, held)
        for letter, value in hidden.items():
            await modify(self._world, self.mpids[letter], ("customerid", value, None))

    async def _made(self, letter: str, held: set[tuple[str, str]]) -> str:
        stamps = {kind: value for kind, value in held if kind == STAMP}
        if stamps:
            mpid = await mpid_of(self._world, "logout", stamps)
            assert mpid not in self.mpids.values()
        else:
            mpid = await mpid_of(self._world, "identify", {SCAFFOLD: letter})
        changes = [(kind, None, value) for kind, value in held if kind != STAMP]
        await modify(self._world, mpid, *changes, (SCAFFOLD, letter, None))
        return mpid

    async def run(self, step: str) -> None:
        """Take one step, and compare what is answered."""
        called, _, expected = step.partition(" -> ")
        kind, *words = called.split()
        match kind:
            case "modify":
                await self._modify(words, expected.strip())
            case "batch":
                await self._batch(words, expected)
            case _:
                await self._call(kind, words, expected)

    async def _call(self, kind: str, words: list[str], expected: str) -> None:
        previous = [self.mpids.get(each[5:], each[5:]) for each in words if each[:5] == "prev:"]
        sent = dict(name(each) for each in words if each[:5] != "prev:")
        more: dict[str, Any] = {"previous_mpid": previous[0]} if previous else {}
        if expected[:3] in ("400", "404"):
            status, word = expected.split(maxsplit=1)
            error = await call(self._world, kind, sent, int(status), **more)
            assert word in error["message"]
            return
        letter, matched, *is_in = (each.strip() for each in expected.split(";"))
        answer = await call(self._world, kind, sent, **more)
        self._met(letter, answer["mpid"])
        is_logged_in = is_in == [LOGGED_IN]
        types = [TYPES[each] for each in matched.split()]
        assert answer == {
            "context": None,
            "mpid": answer["mpid"],
            "matched_identities": {kind: sent[kind] for kind in types},
            "is_ephemeral": not is_logged_in and self._rules.strategy != "best_match",
            "is_logged_in": is_logged_in,
        }

    async def _batch(self, words: list[str], expected: str) -> None:
        """Of a batch only the MPID is seen, where it is kept, and whether its user is known."""
        letter, _, *is_in = (each.strip() for each in expected.split(";"))
        sent = dict(map(name, words))
        stamp = sent.pop(STAMP, None)
        batch: dict[str, Any] = {
            "user_identities": {BATCH_NAMES[kind]: value for kind, value in sent.items()},
            "events": [{"event_type": "custom_event", "data": {"event_name": "e"}}],
        }
        before = {stored.log_id for stored in self._world.log()}
        await self._world.accept(batch if stamp is None else batch | {"mp_deviceid": stamp})
        [stored] = [each for each in self._world.log() if each.log_id not in before]
        self._met(letter, str(stored.mpid))
        assert await self._is_known(str(stored.mpid)) == (is_in == [LOGGED_IN])

    async def _modify(self, words: list[str], expected: str) -> None:
        letter, *entries = words
        changes = []
        for entry in entries:
            short, _, values = entry.partition(":")
            old, _, new = values.partition(">")
            changes.append((TYPES[short], old or None, new or None))
        mpid = self.mpids.get(letter, letter)
        if expected[:3] == "400":
            error = await modify(self._world, mpid, *changes, status=400)
            assert expected.split(maxsplit=1)[1] in error["message"]
            return
        answer = await modify(self._world, mpid, *changes)
        pairs = [each.split() for each in expected.split(", ") if each]
        assert answer["change_results"] == [
            {"identity_type": TYPES[short], "modified_mpid": self.mpids[holder]}
            for short, holder in pairs
        ]

    def _met(self, letter: str, mpid: str) -> None:
        """A letter that was not seen before has to be a new MPID."""
        if letter not in self.mpids:
            assert mpid not in self.mpids.values()
        assert self.mpids.setdefault(letter, mpid) == mpid

    async def _is_known(self, mpid: str) -> bool:
        is_known: bool = (await record(self._world, mpid))["known"]
        return is_known


async def records_of(world: World, mpids: dict[str, str]) -> Records:
    """Return the records of the letters as operators see them."""
    letters = {mpid: letter for letter, mpid in mpids.items()}
    found: Records = {}
    for letter, mpid in mpids.items():
        seen = await record(world, mpid)
        held = {(each["type"], each["value"]) for each in seen["identities"]}
        assert seen["orphaned"] == (not held)
        found[letter] = (held, letters.get(seen["source_mpid"], ""))
    return found


@pytest.mark.parametrize("shards", [1, 3], ids=["1 shard", "3 shards"])
@pytest.mark.parametrize("row", TABLES)
async def test_the_row_of_the_case_tables(row: str, shards: int, tmp_path: Path) -> None:
    """Every step's answer, and afterwards every record; nobody else has come to be."""
    rules, known, steps, after = TABLES[row]
    async with running(tmp_path, shards=shards, document=document(rules)) as world:
        script = Script(world, rules)
        await script.arrange(records_in(known))
        for step in steps:
            await script.run(step)
        expected = records_in(known) | records_in(after)
        assert await records_of(world, script.mpids) == expected
        assert world.count("headwater_identity_records", environment="production") == len(expected)
