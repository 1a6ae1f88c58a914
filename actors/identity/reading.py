"""Asks the shards what decisions need to know: entries, records, and which MPIDs are free."""

from collections.abc import Callable, Container, Sequence

from actors.clock import Randomness
from actors.identity.clusters import Pending
from actors.identity.draft import Key
from actors.identity.findings import Findings, Moment, Question
from actors.identity.index import Index, IndexShard
from actors.identity.knowledge import Knowledge
from actors.identity.lanes import ReadLane, Terms
from actors.identity.state import Missing
from actors.model.micro_batches import Newcomer
from actors.store.keys import MPID_RANDOM_BITS, slot_of_mpid


class Reader:
    """Asks the shards for all decisions together."""

    def __init__(
        self,
        index: Index,
        shards: Sequence[IndexShard],
        terms: Terms,
        known: Knowledge,
        randomness: Randomness,
        resume: Callable[[list[Pending]], None],
    ) -> None:
        """Set up.

        Args:
            index: tells which shard has what; `shards`: all of them, in order.
            terms: in which they are asked.
            known: takes in what they answer.
            randomness: of MPIDs.
            resume: is told which decisions have one thing less to wait for.
        """
        self._index = index
        self._terms = terms
        self._lanes = [ReadLane(self, terms, shard, n) for n, shard in enumerate(shards)]
        self._known = known
        self._randomness = randomness
        self._resume = resume
        self._readers: dict[Key, dict[Pending, None]] = {}
        self._candidates: dict[int, Pending] = {}
        self._newest = -1

    @property
    def moment(self) -> Moment:
        """The present one."""
        return Moment(self._known.trims, self._newest)

    def is_silent(self, shard: int) -> bool:
        """Tell whether a shard does not answer now."""
        return self._lanes[shard].is_silent

    def awaited(self, pending: Pending) -> set[int]:
        """Return the shards that are asked for what a decision needs."""
        shards = {self._index.shard_of(key) for key in pending.reads}
        if pending.candidate and not pending.is_free:
            shards.add(self._index.shard_of((pending.decision.environment, pending.candidate)))
        return shards

    def read(self, pending: Pending, missing: Missing) -> None:
        """Ask the shards for what a decision needs."""
        environment = pending.decision.environment
        self._newest = max(self._newest, pending.arrival)
        if not pending.candidate:
            self._draw(pending)
        keys: list[Key] = [(environment, name) for name in sorted(missing.names)]
        keys += [(environment, mpid) for mpid in sorted(missing.mpids)]
        is_candidate_asked = pending.candidate != 0 and not pending.is_free
        if not keys and not is_candidate_asked:
            pending.fail(RuntimeError("a decision misses nothing that can be read"))
            return
        pending.reads = keys
        for key in keys:
            self._readers.setdefault(key, {})[pending] = None
            pending.waits += 1
            self._lanes[self._index.shard_of(key)].ask(key)
        if is_candidate_asked:
            pending.waits += 1
            self._lane_of(pending).ask_candidate(pending)

    def take_in(self, pending: Pending, newcomer: Newcomer) -> None:
        """Take in what a shard said before a decision began, as far as it is still so.

        It is so if the shard had all that was decided and is forgotten: whatever was decided since
        is known, and stays. What is being asked for is left to the answer, which may be older.
        """
        decision = pending.decision
        environment = decision.environment
        state = self._known.states[environment]
        for name in decision.names:
            key: Key = (environment, name)
            shard = self._index.shard_of(key)
            if (
                name.type in newcomer.types
                and self._terms.is_current(shard, newcomer)
                and not self._lanes[shard].is_asked(key)
            ):
                state.learn_holders(name, [])
        mpid, place = newcomer.mpid, decision.place
        if not mpid or pending.candidate or place is None:
            return
        if (
            slot_of_mpid(mpid) == self._index.slot_of(environment, place)
            and self._terms.is_current(self._index.shard_of((environment, mpid)), newcomer)
            and mpid not in self._candidates
            and not self._known.knows_record(mpid)
        ):
            pending.candidate = mpid
            pending.is_free = True
            self._candidates[mpid] = pending

    def is_wanted(self, key: Key) -> bool:
        """Tell whether anybody still waits for an entry or a record."""
        return key in self._readers

    def learned(
        self,
        questions: list[Question],
        candidates: list[Pending],
        findings: Findings,
        asked: Moment,
    ) -> None:
        """Take in the answers of a shard, and make the decisions that waited for them.

        A record that came along unasked may have been known, changed and forgotten while the
        answer was under way; if anything was, it is not taken in. One that was asked for cannot
        have been changed, because nobody knew it.

        That there is no record, only those decisions may take for true that began before the shard
        was asked: a batch may have made the profile since, and that before they began. To any other
        it is as if it was not told.
        """
        ready: list[Pending] = []
        for question, known in zip(questions, findings.known, strict=True):
            environment = question.environment
            state = self._known.states[environment]
            for name, holders in zip(question.names, known.holders, strict=True):
                state.learn_holders(name, holders)
            is_current = asked.trims == self._known.trims
            asked_for = set(question.mpids)
            for mpid, record in known.records.items():
                if not is_current and mpid not in asked_for:
                    continue
                readers = self._readers.pop((environment, mpid), {})
                if record is not None:
                    state.learn_record(mpid, record)
                elif is_current:
                    for each in readers:
                        if each.arrival <= asked.newest:
                            each.absent[mpid] = asked.trims
                ready += readers
            for name in question.names:
                ready += self._readers.pop((environment, name), ())
        for pending, is_taken in zip(candidates, findings.is_taken, strict=True):
            if pending.is_done:
                continue  # what was drawn for it may be somebody else's candidate by now
            if is_taken:
                del self._candidates[pending.candidate]
                pending.candidate = 0
            else:
                pending.is_free = True
            ready.append(pending)
        self._resume(ready)

    def absent(self, pending: Pending) -> Container[int]:
        """Return the MPIDs that a decision may take for nobody's, unless they are known.

        Not what it was told before anything was forgotten: since then somebody may have been made
        or changed under the MPID. Otherwise nobody has looked at a record there, and the decision
        comes before whatever batch has made one.
        """
        trims = self._known.trims
        return [mpid for mpid, told in pending.absent.items() if told == trims]

    def decided(self, pending: Pending) -> None:
        """A decision is made or given up: nothing is asked for it any more.

        The MPID that it did not use is nobody's again.
        """
        for key in pending.reads:
            readers = self._readers.get(key, {})
            if pending in readers:
                del readers[pending]
                if not readers:
                    del self._readers[key]
                    self._lanes[self._index.shard_of(key)].drop(key)
        if pending.candidate:
            self._lane_of(pending).drop_candidate(pending)
            del self._candidates[pending.candidate]
            pending.candidate = 0

    def close(self) -> list[Pending]:
        """Do nothing any more; return who waits."""
        for lane in self._lanes:
            lane.close()
        waiting = [each for readers in self._readers.values() for each in readers]
        return [*waiting, *self._candidates.values()]

    def _lane_of(self, pending: Pending) -> ReadLane:
        """Return the way to the shard of a decision's candidate."""
        return self._lanes[self._index.shard_of((pending.decision.environment, pending.candidate))]

    def _draw(self, pending: Pending) -> None:
        """Draw an MPID near the place of a decision; whether it is free is still to be seen."""
        place, environment = pending.decision.place, pending.decision.environment
        if place is None:
            return
        slot = self._index.slot_of(environment, place)
        while True:
            mpid = slot << MPID_RANDOM_BITS | self._randomness.bits(MPID_RANDOM_BITS)
            if mpid and mpid not in self._candidates and not self._known.knows_record(mpid):
                break
        pending.candidate = mpid
        self._candidates[mpid] = pending
