"""Who is in audiences that no engine evaluates: on lists, calculated, or of audiences gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from actors.audiences.known import KnownAudiences
from actors.audiences.told import LiveAudience, LiveAudiences
from actors.audiences.unevaluated import unevaluated_changes
from actors.model.profiles import Profile, ProfileKey, Section
from actors.store import static_lists
from actors.store.environment import Store, Transaction

KEY = ProfileKey(1, "production", 7)
LIST, OTHER_LIST, CALCULATED, LEAVING, GONE = range(1, 6)
Changes = list[tuple[int, str]]


def audience(number: int, kind: Literal["standard", "static"]) -> LiveAudience:
    return LiveAudience(
        number=number,
        revision=1,
        type=kind,
        name="A",
        external_name="A",
        environment="production",
        node=None,
    )


KNOWN = KnownAudiences(
    LiveAudiences(
        audiences=(
            audience(LIST, "static"),
            audience(OTHER_LIST, "static"),
            audience(CALCULATED, "standard"),
        )
    )
)


@pytest.fixture
def txn(tmp_path: Path) -> Iterator[Transaction]:
    store = Store(tmp_path / "store", 16 * 1024 * 1024)
    with store.write() as made:
        static_lists.add(made, LIST, KEY)
        yield made
    store.close()


def changes(
    txn: Transaction,
    section: Section,
    calculated: dict[tuple[int, ProfileKey], bool],
    *,
    is_opted_out: bool = False,
) -> Changes:
    profile = Profile(0, is_opted_out=is_opted_out)
    found = unevaluated_changes(txn, KEY, profile, section, KNOWN, {LEAVING}, calculated)
    return [(each.audience, each.action) for each in found]


def members(*audiences: int) -> Section:
    section = Section(0, 0)
    section.audiences = dict.fromkeys(audiences, 1)
    return section


def test_lists_and_calculations_say_who_enters_and_leaves(txn: Transaction) -> None:
    calculated = {(CALCULATED, KEY): True}
    entering: Changes = [(LIST, "add"), (CALCULATED, "add")]
    assert changes(txn, members(), calculated) == entering
    assert changes(txn, members(OTHER_LIST, LIST), calculated) == [
        (OTHER_LIST, "delete"),
        (CALCULATED, "add"),
    ]


def test_who_was_not_calculated_stays_what_he_was(txn: Transaction) -> None:
    assert changes(txn, members(LIST), {}) == []
    assert changes(txn, members(LIST, CALCULATED), {}) == []
    assert changes(txn, members(LIST, CALCULATED), {(CALCULATED, KEY): False}) == [
        (CALCULATED, "delete")
    ]


def test_nobody_who_opted_out_or_aged_out_is_a_member(txn: Transaction) -> None:
    leaving: Changes = [(LIST, "delete"), (CALCULATED, "delete")]
    section = members(LIST, CALCULATED)
    calculated = {(CALCULATED, KEY): True}
    assert changes(txn, section, calculated, is_opted_out=True) == leaving
    section.is_aged_out = True
    assert changes(txn, section, calculated) == leaving


def test_members_of_an_audience_that_is_gone_leave_or_are_silently_forgotten(
    txn: Transaction,
) -> None:
    section = members(LIST, LEAVING, GONE)
    assert changes(txn, section, {}) == [(LEAVING, "delete")]
    assert section.audiences.keys() == {LIST, LEAVING}
