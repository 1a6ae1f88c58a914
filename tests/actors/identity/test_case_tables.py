"""Every row of the strategy case tables (spec/identity.md, Strategy case tables), without a server.

How a row is written is told in `case_tables`.
"""

import pytest

from actors.identity.calls import (
    ChangeRequest,
    IdentityAnswer,
    IdentityProblem,
    ModifyAnswer,
)
from actors.identity.state import IdentityRules
from tests.actors.identity.case_tables import LOGGED_IN, TABLES
from tests.actors.identity.pool import TYPES, Pool, call_of, request

NEW_MPIDS = 100  # the first of them


def _expected(records: str, rules: IdentityRules) -> dict[str, tuple[set[object], str]]:
    """Read `N{das:d1}<A`: what a record holds, and its source."""
    found: dict[str, tuple[set[object], str]] = {}
    sources = {each.split("{")[0]: each.partition("<")[2] for each in records.split(", ") if each}
    for letter, lookups in Pool(records, rules).named_lookups().items():
        found[letter] = (set(lookups), sources[letter])
    return found


class Script:
    """Runs the steps of a row."""

    def __init__(self, records: str, rules: IdentityRules) -> None:
        self.pool = Pool(records, rules)
        self.rules = rules
        self.letters = self.pool.letters
        self.made = 0

    def run(self, step: str) -> None:
        called, _, expected = step.partition(" -> ")
        kind, *words = called.split()
        if kind == "modify":
            self._modify(words, expected.strip())
        else:
            self._call(kind, words, expected)
        self.pool.check(self.rules)

    def _call(self, kind: str, words: list[str], expected: str) -> None:
        previous = [self._mpid(each[5:]) for each in words if each.startswith("prev:")]
        sent = request(" ".join(each for each in words if not each.startswith("prev:")))
        is_batch = kind == "batch"
        call = call_of(
            "identify" if is_batch else kind,  # type: ignore[arg-type]
            sent,
            previous[0] if previous else None,
            is_batch=is_batch,
        )
        answer, _ = self.pool.call(call, self.rules, NEW_MPIDS + self.made)
        if isinstance(answer, IdentityProblem):
            assert expected.split(maxsplit=1) == [str(answer.status), *_in(answer, expected)]
            return
        letter, matched, *more = (each.strip() for each in expected.split(";"))
        if letter not in self.letters:
            self.letters[letter] = NEW_MPIDS + self.made
            self.made += 1
        is_logged_in = more == [LOGGED_IN]
        is_ephemeral = not is_logged_in and self.rules.strategy != "best_match"
        types = tuple(TYPES[each] for each in matched.split())
        expected_answer = IdentityAnswer(self.letters[letter], types, is_ephemeral, is_logged_in)
        assert answer == expected_answer

    def _modify(self, words: list[str], expected: str) -> None:
        letter, *entries = words
        changes = []
        for entry in entries:
            short, _, values = entry.partition(":")
            old, _, new = values.partition(">")
            changes.append(ChangeRequest(TYPES[short], old or None, new or None))
        answer, _ = self.pool.modify(self._mpid(letter), changes, self.rules)
        if isinstance(answer, IdentityProblem):
            assert expected.split(maxsplit=1) == [str(answer.status), *_in(answer, expected)]
            return
        pairs = [each.split() for each in expected.split(", ") if each]
        assert answer == ModifyAnswer(
            tuple((TYPES[short], self.letters[holder]) for short, holder in pairs)
        )

    def _mpid(self, letter: str) -> int:
        return self.letters[letter] if letter in self.letters else int(letter)


def _in(problem: IdentityProblem, expected: str) -> list[str]:
    words = expected.split(maxsplit=1)[1:]
    return [each for each in words if each in problem.message]


@pytest.mark.parametrize("row", TABLES)
def test_the_row_of_the_case_tables(row: str) -> None:
    """Every step's answer, and afterwards every record."""
    rules, records, steps, after = TABLES[row]
    script = Script(records, rules)
    for step in steps:
        script.run(step)
    expected = _expected(records, rules) | _expected(after, rules)
    by_mpid = {mpid: letter for letter, mpid in script.letters.items()}
    found = {
        by_mpid[mpid]: (set(lookups), by_mpid.get(script.pool.records[mpid].source_mpid or 0, ""))
        for mpid, lookups in script.pool.lookups().items()
    }
    assert found == expected
