"""Every step of the protocol is needed: tests notice when one is left out.

The mutations are in `mutations`; each leaves out one step. Most are found by the histories, with
plans as `test_histories` draws them, of the kind with crashes and faults. The others need a moment
that histories hardly ever come to, or break what histories do not look at, and are found by a case
that is named here.

    MUTATION_HISTORIES=5000 python -m pytest tests/actors/identity/test_mutations.py -s

looks for longer, and tells which history has found each: they are the same ones always.
"""

import asyncio
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.actors import test_coordinator
from tests.actors.identity import (
    mutations,
    test_absence,
    test_newcomers,
    test_races,
    test_recovery,
    test_sequencer,
)
from tests.actors.identity.mutations import Mutation
from tests.actors.identity.plans import FAULTY, draw
from tests.actors.identity.test_histories import fails

HISTORIES = int(os.environ.get("MUTATION_HISTORIES", "1500"))

FOUND_BY_HISTORIES: list[Mutation] = [
    mutations.nothing_waits_for_what_is_being_written,
    mutations.found_records_may_be_being_written,
    mutations.replays_block_nobody,
    mutations.clusters_are_not_joined,
    mutations.answers_replace_what_is_known,
    mutations.what_is_being_written_is_forgotten,
    mutations.what_a_shard_has_said_stays_so,
    mutations.any_mpid_is_free,
    mutations.intents_are_not_kept,
    mutations.nothing_is_replayed,
    mutations.intents_are_never_forgotten,
    mutations.one_shard_is_enough,
    mutations.numbers_begin_anew,
    mutations.a_logout_is_not_remembered,
    mutations.a_logout_is_remembered_when_committed,
    mutations.records_are_not_written,
    mutations.late_writes_are_done,
    mutations.shards_forget_writes_when_they_die,
    mutations.any_term_is_listened_to,
    mutations.a_write_is_sent_once,
    mutations.a_repeated_write_lacks_a_part,
    mutations.a_repeated_write_has_the_same_number,
]

BROKEN = (AssertionError, ValueError, pytest.fail.Exception)  # what a case that fails raises
Case = Callable[[], None]


def of_a_full_store(folder: Path) -> None:
    asyncio.run(test_coordinator.test_a_full_store_of_its_own_decides_nothing(folder))


FOUND_BY_CASES: list[tuple[Mutation, Case]] = [
    # A caller of a history cannot know that a crash took back what it was told.
    (
        mutations.readers_do_not_wait_for_what_they_saw,
        test_sequencer.test_nobody_sees_what_is_decided_and_not_yet_durable,
    ),
    # An answer has to be late by several calls and a commit.
    (
        mutations.unasked_records_are_always_learnt,
        test_sequencer.test_what_comes_along_unasked_is_not_newer_than_what_was_forgotten,
    ),
    (
        mutations.what_is_being_asked_is_taken_from_what_was_said,
        test_newcomers.test_an_answer_that_is_older_than_what_was_decided_meanwhile_is_not_wrong,
    ),
    # What a shard has is looked at by batches that it resolves; histories have no shards' batches.
    (
        mutations.records_lose_when_others_gain,
        test_races.test_x8_who_loses_an_identity_has_lost_it_before_a_shard_says_who_has_it,
    ),
    # Batches that name an MPID, which few histories have.
    (
        mutations.an_mpid_that_is_nobodys_stays_so,
        test_absence.test_whoever_has_asked_for_an_mpid_finds_it_when_a_batch_has_made_its_profile,
    ),
    (
        mutations.latecomers_are_told_that_an_mpid_is_nobodys,
        test_absence.test_a_question_that_was_asked_before_the_batch_answers_nobody_who_came_after_it,
    ),
    (
        mutations.an_mpid_is_nobodys_until_the_decision,
        test_absence.test_a_decision_that_was_told_of_nobody_sees_who_was_changed_and_forgotten_since,
    ),
    # Few MPIDs, and one that was drawn and erased is drawn again.
    (
        mutations.mpids_of_erased_records_are_free,
        test_recovery.test_an_erased_mpid_is_given_to_nobody_else,
    ),
    (
        mutations.erased_records_are_remembered_with_their_profiles,
        test_recovery.test_an_mpid_that_is_erased_before_it_is_written_is_given_to_nobody_else,
    ),
    # The coordinator itself keeps everybody from what is not written; the shards' own reads do not.
    (
        mutations.answers_come_with_the_commit,
        test_sequencer.test_an_answer_is_given_when_every_shard_has_what_follows_from_it,
    ),
    # Histories have no stores that are old copies.
    (
        mutations.old_copies_are_listened_to,
        partial(test_recovery.test_a_store_that_is_an_old_copy_is_noticed, starts=4),
    ),
    (
        mutations.what_is_dropped_stays_known,
        partial(test_recovery.test_a_store_that_is_an_old_copy_is_noticed, starts=1),
    ),
    (
        mutations.readers_are_not_refused,
        test_recovery.test_a_coordinator_of_before_is_not_listened_to,
    ),
]


def named(mutation: Mutation) -> str:
    return str(getattr(mutation, "__name__"))  # noqa: B009


@pytest.mark.parametrize("mutation", FOUND_BY_HISTORIES, ids=named)
def test_histories_find(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    for number in range(HISTORIES):
        if fails(draw(number, fewest_crashes=2, faults=FAULTY)):
            print(f"{named(mutation)}: found by history {number}")
            return
    pytest.fail(f"none of {HISTORIES} histories finds it")


@pytest.mark.parametrize(
    ("mutation", "case"),
    [pytest.param(mutation, case, id=named(mutation)) for mutation, case in FOUND_BY_CASES],
)
def test_a_case_finds(mutation: Mutation, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    case()
    mutation(monkeypatch)
    with pytest.raises(BROKEN):
        case()


def test_a_case_finds_what_could_not_be_kept_stays_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_a_full_store(tmp_path / "whole")
    mutations.what_could_not_be_kept_stays_known(monkeypatch)
    with pytest.raises(BROKEN):
        of_a_full_store(tmp_path / "mutated")


def test_every_mutation_is_tried() -> None:
    tried = {*FOUND_BY_HISTORIES, *(mutation for mutation, _ in FOUND_BY_CASES)}
    tried.add(mutations.what_could_not_be_kept_stays_known)
    written = {
        each
        for each in vars(mutations).values()
        if getattr(each, "__module__", None) == mutations.__name__
    }
    assert tried == written
