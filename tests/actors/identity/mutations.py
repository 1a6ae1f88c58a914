"""Protocols of identity resolution that each lack one step, to see that tests notice it.

A mutation replaces one method of the real code for the time of a test. Each says what the step is
for; what it breaks is spec/identity.md, Invariants, and the real-time order of answers.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from actors.identity import commits
from actors.identity.clusters import Cluster, Pending
from actors.identity.commits import Commits
from actors.identity.draft import Draft, Key
from actors.identity.findings import Findings, Moment, Question
from actors.identity.in_flight import InFlight
from actors.identity.journal import Journal
from actors.identity.knowledge import Knowledge
from actors.identity.lanes import ReadLane, WriteLane
from actors.identity.reading import Reader
from actors.identity.state import IdentityRecord, IdentityState
from actors.model.profiles import ProfileKey
from actors.model.workspaces import ENVIRONMENTS
from actors.shard_identities import ShardIdentities
from actors.store import intents
from actors.store.environment import Transaction
from actors.store.identities import Holder, IdentityChange, Term, Written

Mutation = Callable[[pytest.MonkeyPatch], None]


# -- What is being written is not looked at -------------------------------------------------------


def nothing_waits_for_what_is_being_written(patch: pytest.MonkeyPatch) -> None:
    """A decision is made on what not all shards have."""
    patch.setattr(InFlight, "holds", lambda *_: False)


def found_records_may_be_being_written(patch: pytest.MonkeyPatch) -> None:
    """Only the identities that a call names are waited for, not the records that they lead to."""
    holds = InFlight.holds

    def holds_named(self: InFlight, pending: Pending, keys: Iterable[Key]) -> bool:
        return keys is pending.keys and holds(self, pending, keys)

    patch.setattr(InFlight, "holds", holds_named)


def readers_do_not_wait_for_what_they_saw(patch: pytest.MonkeyPatch) -> None:
    """What is decided and not durable is told to those who change nothing."""
    add = Commits.add

    def add_changes(
        self: Commits,
        pending: Pending,
        answer: Any,
        draft: Draft,
        touched: dict[Cluster, None],
        retry_key: bytes | None,
    ) -> None:
        if draft.is_changed or retry_key is not None:
            add(self, pending, answer, draft, touched, retry_key)
        else:
            pending.succeed(answer)

    patch.setattr(Commits, "add", add_changes)


def replays_block_nobody(patch: pytest.MonkeyPatch) -> None:
    """What an earlier process has left is written, but decided upon before it is."""

    def replay(self: Commits, change: IdentityChange) -> None:
        self._take_off(Cluster(change.environment, is_replayed=True), change)

    patch.setattr(Commits, "_replay", replay)


def clusters_are_not_joined(patch: pytest.MonkeyPatch) -> None:
    """Decisions that build upon each other are written apart."""

    def join(self: Commits, _: dict[Cluster, None], environment: Any) -> Cluster:
        cluster = Cluster(environment)
        self._group[cluster] = None
        return cluster

    patch.setattr(Commits, "_join", join)


# -- What is known is wrong -----------------------------------------------------------------------


def answers_replace_what_is_known(patch: pytest.MonkeyPatch) -> None:
    """What a shard answers is taken for newer than what was decided meanwhile."""

    def learn_holders(self: IdentityState, name: Any, holders: list[Holder]) -> None:
        self._holders[name] = holders

    def learn_record(self: IdentityState, mpid: int, record: IdentityRecord | None) -> None:
        self._records[mpid] = record

    patch.setattr(IdentityState, "learn_holders", learn_holders)
    patch.setattr(IdentityState, "learn_record", learn_record)


def unasked_records_are_always_learnt(patch: pytest.MonkeyPatch) -> None:
    """Also those that were changed, written and forgotten while the answer was under way."""
    learned = Reader.learned

    def learned_now(
        self: Reader,
        questions: list[Question],
        candidates: list[Pending],
        found: Findings,
        _: Moment,
    ) -> None:
        learned(self, questions, candidates, found, self.moment)

    patch.setattr(Reader, "learned", learned_now)


def what_is_being_written_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """With all else, when it is too much; the shards still have what was before."""
    trim = Knowledge.trim
    patch.setattr(Knowledge, "trim", lambda self, _: trim(self, ()))


def what_is_dropped_stays_known(patch: pytest.MonkeyPatch) -> None:
    """An old copy of the store had left something that is not written, but taken for true."""
    patch.setattr(Knowledge, "forget", lambda *_: None)


def what_a_shard_has_said_stays_so(patch: pytest.MonkeyPatch) -> None:
    """Also if somebody was made, written and forgotten since, or by the coordinator before."""
    patch.setattr(Commits, "is_current", lambda *_: True)


def what_is_being_asked_is_taken_from_what_was_said(patch: pytest.MonkeyPatch) -> None:
    """The answer, which is older than what is decided now, comes when that is forgotten."""
    patch.setattr(ReadLane, "is_asked", lambda *_: False)


# -- MPIDs ----------------------------------------------------------------------------------------


def an_mpid_that_is_nobodys_stays_so(patch: pytest.MonkeyPatch) -> None:
    """That a shard has no record is known like a record, though a batch may make one."""
    learned = Reader.learned

    def learned_for_good(
        self: Reader,
        questions: list[Question],
        candidates: list[Pending],
        found: Findings,
        at: Moment,
    ) -> None:
        for question, known in zip(questions, found.known, strict=True):
            for mpid, record in known.records.items():
                self._known.states[question.environment].learn_record(mpid, record)
        learned(self, questions, candidates, found, at)

    patch.setattr(Reader, "learned", learned_for_good)


def latecomers_are_told_that_an_mpid_is_nobodys(patch: pytest.MonkeyPatch) -> None:
    """Also if a batch has made its profile before they began, while the answer was under way."""
    learned = Reader.learned

    def learned_by_all(
        self: Reader,
        questions: list[Question],
        candidates: list[Pending],
        found: Findings,
        at: Moment,
    ) -> None:
        learned(self, questions, candidates, found, Moment(at.trims, self.moment.newest))

    patch.setattr(Reader, "learned", learned_by_all)


def an_mpid_is_nobodys_until_the_decision(patch: pytest.MonkeyPatch) -> None:
    """Also if somebody was made under it, changed, written and forgotten meanwhile."""
    patch.setattr(Reader, "absent", lambda _, pending: pending.absent)


def any_mpid_is_free(patch: pytest.MonkeyPatch) -> None:
    """Nobody is asked whose an MPID is before it is given to a new record."""
    draw = Reader._draw

    def draw_free(self: Reader, pending: Pending) -> None:
        draw(self, pending)
        pending.is_free = True

    patch.setattr(Reader, "_draw", draw_free)


def mpids_of_erased_records_are_free(patch: pytest.MonkeyPatch) -> None:
    """An MPID is somebody else's before its data is gone everywhere."""

    def is_taken(self: ShardIdentities, mpid: int, txn: Transaction) -> bool:
        return any(self._record(each, mpid, txn) is not None for each in ENVIRONMENTS)

    patch.setattr(ShardIdentities, "_is_taken", is_taken)


def erased_records_are_remembered_with_their_profiles(patch: pytest.MonkeyPatch) -> None:
    """When a profile is deleted, too, its MPID is free."""

    def is_taken(self: ShardIdentities, mpid: int, txn: Transaction) -> bool:
        keys = [ProfileKey(self._scope, environment, mpid) for environment in ENVIRONMENTS]
        return any(self._profiles.get(txn, key) is not None for key in keys)

    patch.setattr(ShardIdentities, "_is_taken", is_taken)


# -- Commits --------------------------------------------------------------------------------------


def intents_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    """What some shards have is not written on the others after a crash."""
    patch.setattr(intents, "write", lambda *_: None)


def nothing_is_replayed(patch: pytest.MonkeyPatch) -> None:
    """What was left is kept, and nobody looks at it."""
    patch.setattr(Commits, "_replay", lambda *_: None)


def intents_are_never_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What was written long ago is written again after a crash."""
    patch.setattr(Journal, "settle", lambda *_: None)


def one_shard_is_enough(patch: pytest.MonkeyPatch) -> None:
    """An intent counts as written when the first of its shards has it."""
    written = Commits.written

    def written_by_one(self: Commits, numbers: list[int], shard: int) -> None:
        for number in numbers:
            if number in self.in_flight.intents:
                self.in_flight.intents[number].missing = {shard}
        written(self, numbers, shard)

    patch.setattr(Commits, "written", written_by_one)


def answers_come_with_the_commit(patch: pytest.MonkeyPatch) -> None:
    """Before the shards have what follows from them: batches are resolved there, too."""
    take_off = Commits._take_off

    def take_off_answered(self: Commits, cluster: Cluster, change: IdentityChange) -> None:
        for pending, answer in cluster.members.items():
            pending.succeed(answer)
        take_off(self, cluster, change)

    patch.setattr(Commits, "_take_off", take_off_answered)


def numbers_begin_anew(patch: pytest.MonkeyPatch) -> None:
    """The number of the last intent is not kept."""
    patch.setattr(intents, "write_number", lambda *_: None)


def what_could_not_be_kept_stays_known(patch: pytest.MonkeyPatch) -> None:
    """There was no room for a commit, and later decisions build upon it."""

    def settled(self: Knowledge) -> None:
        for state in self.states.values():
            state.settle()

    patch.setattr(
        Knowledge, "revert", lambda self: [each.settle() for each in self.states.values()]
    )


def a_logout_is_not_remembered(patch: pytest.MonkeyPatch) -> None:
    """A repetition makes one more user, once the first call is committed."""
    keep = Journal.keep

    def keep_changes(
        self: Journal, changes: Sequence[IdentityChange], _: Any, more: Any, now_ms: int
    ) -> None:
        keep(self, changes, (), more, now_ms)

    patch.setattr(Journal, "keep", keep_changes)


def a_logout_is_remembered_when_committed(patch: pytest.MonkeyPatch) -> None:
    """A repetition makes one more user, until the first call is committed."""
    answers_again = Commits.answers_again

    def answers_committed(self: Commits, pending: Pending, retry_key: bytes) -> bool:
        open_retries, self._open_retries = self._open_retries, {}
        try:
            return answers_again(self, pending, retry_key)
        finally:
            self._open_retries = open_retries

    patch.setattr(Commits, "answers_again", answers_committed)


def records_lose_when_others_gain(patch: pytest.MonkeyPatch) -> None:
    """Shards are written at once, each with all that it gets of an intent."""

    def no_losses(change: IdentityChange) -> IdentityChange:
        return IdentityChange(change.scope, change.environment, [], [], change.intent)

    patch.setattr(commits, "losses_of", no_losses)


# -- Shards ---------------------------------------------------------------------------------------


def records_are_not_written(patch: pytest.MonkeyPatch) -> None:
    """Entries name records that do not list them."""
    patch.setattr(ShardIdentities, "_apply_record", lambda *_: None)


def late_writes_are_done(patch: pytest.MonkeyPatch) -> None:
    """Also those that have been overtaken by a later one."""
    write = ShardIdentities.write_identities

    def write_any(
        self: ShardIdentities, term: Term, number: int, changes: Sequence[IdentityChange]
    ) -> None:
        self._written = replace(self._written, write=-1)
        write(self, term, number, changes)

    patch.setattr(ShardIdentities, "write_identities", write_any)


def shards_forget_writes_when_they_die(patch: pytest.MonkeyPatch) -> None:
    """How far a shard is, it knows in memory only."""
    begin = ShardIdentities.__init__

    def begin_anew(self: ShardIdentities, *arguments: Any) -> None:
        begin(self, *arguments)
        self._written = replace(self._written, write=0)

    patch.setattr(ShardIdentities, "__init__", begin_anew)


def any_term_is_listened_to(patch: pytest.MonkeyPatch) -> None:
    """What a dead coordinator has sent is done when it arrives."""

    def admitted(self: ShardIdentities, term: Term) -> Written:
        written = self._written
        if (term.start, term.nonce) == (written.start, written.nonce):
            return written
        return Written(term.start, term.nonce, 0, written.intent)

    patch.setattr(ShardIdentities, "_admitted", admitted)


def old_copies_are_listened_to(patch: pytest.MonkeyPatch) -> None:
    """A coordinator that knows of fewer intents than a shard writes what it had left."""
    admitted = ShardIdentities._admitted

    def admitted_by_start(self: ShardIdentities, term: Term) -> Written:
        return admitted(self, replace(term, intent=max(term.intent, self._written.intent)))

    patch.setattr(ShardIdentities, "_admitted", admitted_by_start)


def readers_are_not_refused(patch: pytest.MonkeyPatch) -> None:
    """A dead or an old coordinator is told what is there."""
    read = ShardIdentities.read_identities

    def read_any(
        self: ShardIdentities, _: Term, questions: Sequence[Question], candidates: Sequence[int]
    ) -> Findings:
        written = self._written
        present = Term(written.start, written.nonce, written.intent)
        return read(self, present, questions, candidates)

    patch.setattr(ShardIdentities, "read_identities", read_any)


# -- Ways to the shards ---------------------------------------------------------------------------


def a_write_is_sent_once(patch: pytest.MonkeyPatch) -> None:
    """What goes with a call that fails is not sent again."""
    handled = WriteLane._handled

    def given_up(self: WriteLane, error: Exception, term: Term) -> None:
        parts, self._parts = self._parts, {}
        self._author.written(list(parts), self._number)
        handled(self, error, term)

    patch.setattr(WriteLane, "_handled", given_up)


def a_repeated_write_lacks_a_part(patch: pytest.MonkeyPatch) -> None:
    """What was decided last goes with the first attempt only."""
    handled = WriteLane._handled

    def without_the_last(self: WriteLane, error: Exception, term: Term) -> None:
        number, _ = self._parts.popitem()
        self._author.written([number], self._number)
        handled(self, error, term)

    patch.setattr(WriteLane, "_handled", without_the_last)


def a_repeated_write_has_the_same_number(patch: pytest.MonkeyPatch) -> None:
    """And more goes with it than with the first attempt."""
    handled = WriteLane._handled

    def same_number(self: WriteLane, error: Exception, term: Term) -> None:
        self._writes -= 1
        handled(self, error, term)

    patch.setattr(WriteLane, "_handled", same_number)
