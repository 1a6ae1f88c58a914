"""The ways from the coordinator to one shard: a call at a time on each; what comes meanwhile waits.

So what many calls need at the same time is asked and written together, and a shard that is away
holds up only what concerns it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol

from actors.errors import ShardUnavailable, StaleTerm, StoreFull
from actors.identity.clusters import Pending
from actors.identity.draft import Key
from actors.identity.findings import Findings, Moment, Question
from actors.identity.index import IndexShard
from actors.model.micro_batches import Newcomer
from actors.model.workspaces import ENVIRONMENTS
from actors.store.identities import IdentityChange, Term

logger = logging.getLogger("headwater.actors")

PAUSE_S = 0.05  # before a shard that did not answer is asked again
MAX_KEYS = 5000  # asked in one call
AWAY_S = 1.0  # a write takes milliseconds; a shard that takes longer is away
# Beyond what a slow disk or a long call takes it may be away, so that not all who need it should
# wait.
SILENT_S = 0.5


class Terms(Protocol):
    """Who knows the present term: `actors.identity.commits.Commits`."""

    @property
    def term(self) -> Term:
        """The present one."""
        ...

    def refused(self, error: StaleTerm) -> None:
        """Take in that a shard does not listen in the present term."""
        ...

    def is_current(self, shard: int, newcomer: Newcomer) -> bool:
        """Tell whether all that a shard had not written then is still known."""
        ...


class Learner(Protocol):
    """For whom a shard is asked: `actors.identity.reading.Reader`."""

    @property
    def moment(self) -> Moment:
        """The present one."""
        ...

    def is_wanted(self, key: Key) -> bool:
        """Tell whether anybody still waits for an entry or a record."""
        ...

    def learned(
        self,
        questions: list[Question],
        candidates: list[Pending],
        findings: Findings,
        asked: Moment,
    ) -> None:
        """Take in the answers of a shard to what it was `asked` then."""
        ...


class Author(Protocol):
    """For whom a shard is written: `actors.identity.commits.Commits`."""

    def written(self, numbers: list[int], shard: int) -> None:
        """Take in that a shard has its parts of some intents."""
        ...

    def failed(self, numbers: Iterable[int], error: Exception) -> None:
        """Take in that parts of some intents cannot be written now; that is tried again."""
        ...


class _Lane:
    """Runs while there is something to do."""

    def __init__(self, terms: Terms, shard: IndexShard, number: int) -> None:
        self._terms = terms
        self._shard = shard
        self._number = number
        self._task: asyncio.Task[None] | None = None
        self._since: float | None = None  # when what is not answered yet was first sent

    @property
    def is_silent(self) -> bool:
        """Whether the shard has not answered for so long that it may be away."""
        return self._unanswered_s > SILENT_S

    @property
    def _unanswered_s(self) -> float:
        return 0.0 if self._since is None else asyncio.get_running_loop().time() - self._since

    def _sent(self) -> None:
        if self._since is None:
            self._since = asyncio.get_running_loop().time()

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(work))

    async def _run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception:
            logger.exception(
                "a way to a shard broke off; it goes on with the next call",
                extra={"event": "lane_failed", "shard": self._number},
            )
        finally:
            self._task = None

    def close(self) -> None:
        """Do nothing any more."""
        if self._task is not None:
            self._task.cancel()

    def _handled(self, error: Exception, term: Term) -> None:
        """Deal with what a call raised, before the next attempt."""
        if isinstance(error, StaleTerm):
            if term == self._terms.term:
                self._terms.refused(error)
        elif not isinstance(error, ShardUnavailable | StoreFull):
            logger.error(
                "a shard cannot be asked about identities",
                extra={"event": "identities_failed", "shard": self._number},
                exc_info=error,
            )


class ReadLane(_Lane):
    """Asks one shard."""

    def __init__(self, learner: Learner, terms: Terms, shard: IndexShard, number: int) -> None:
        super().__init__(terms, shard, number)
        self._learner = learner
        self._wanted: dict[Key, None] = {}
        self._candidates: dict[Pending, None] = {}
        self._asked: set[Key] = set()

    def is_asked(self, key: Key) -> bool:
        """Tell whether an entry or a record is being asked for, or going to be."""
        return key in self._asked or key in self._wanted

    def ask(self, key: Key) -> None:
        """Ask for an entry or a record, unless that is under way."""
        if key not in self._asked:
            self._wanted[key] = None
            if self._task is None:
                self._start(self._work)

    def ask_candidate(self, pending: Pending) -> None:
        """Ask whether the MPID that was drawn for a decision is taken."""
        self._candidates[pending] = None
        self._start(self._work)

    def drop(self, key: Key) -> None:
        """Do not ask for an entry or a record, unless that is under way."""
        self._wanted.pop(key, None)

    def drop_candidate(self, pending: Pending) -> None:
        """Do not ask for a decision whether an MPID is taken, unless that is under way."""
        self._candidates.pop(pending, None)

    async def _work(self) -> None:
        while self._wanted or self._candidates:
            keys: list[Key] = []
            while self._wanted and len(keys) < MAX_KEYS:
                key, _ = self._wanted.popitem()
                if self._learner.is_wanted(key):
                    keys.append(key)
            candidates = [each for each in self._candidates if not each.is_done]
            self._candidates = {}
            if keys or candidates:
                await self._ask(keys, candidates)
        self._since = None

    async def _ask(self, keys: list[Key], candidates: list[Pending]) -> None:
        about = {each: Question(each, [], []) for each in ENVIRONMENTS}
        for environment, what in keys:
            if isinstance(what, int):
                about[environment].mpids.append(what)
            else:
                about[environment].names.append(what)
        questions = [each for each in about.values() if each.names or each.mpids]
        self._asked = set(keys)
        term, asked = self._terms.term, self._learner.moment
        self._sent()
        try:
            findings = await self._shard.read_identities(
                term, questions, [each.candidate for each in candidates]
            )
        except Exception as error:
            self._asked = set()  # who gives up during the pause drops what others may ask for again
            self._wanted |= dict.fromkeys(keys)
            self._candidates |= dict.fromkeys(candidates)
            self._handled(error, term)
            await asyncio.sleep(PAUSE_S)
            return
        self._since = None
        self._asked = set()
        self._learner.learned(questions, candidates, findings, asked)


class WriteLane(_Lane):
    """Writes on one shard what was decided, until it is there."""

    def __init__(self, author: Author, terms: Terms, shard: IndexShard, number: int) -> None:
        super().__init__(terms, shard, number)
        self._author = author
        self._parts: dict[int, IdentityChange] = {}
        self._is_started = False
        self._writes = 0

    @property
    def writes(self) -> int:
        """How many writes were sent in this process."""
        return self._writes

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being written."""
        return not self._parts

    @property
    def is_away(self) -> bool:
        """Whether the shard has not answered for longer than a write takes."""
        return self._unanswered_s > AWAY_S

    def add(self, part: IdentityChange) -> None:
        """Write a part of an intent, once there is a loop to run in: see `start`."""
        self._parts[part.intent] = part
        if self._is_started:
            self._start(self._work)

    def start(self) -> None:
        """Begin to write, if there is something."""
        self._is_started = True
        if self._parts:
            self._start(self._work)

    def drop(self, intent: int) -> None:
        """Do not write a part of an intent, unless it is being written."""
        self._parts.pop(intent, None)

    async def _work(self) -> None:
        while self._parts:
            parts = list(self._parts.values())
            self._writes += 1
            term = self._terms.term
            self._sent()
            try:
                await self._shard.write_identities(term, self._writes, parts)
            except Exception as error:
                self._handled(error, term)
                if isinstance(error, StoreFull):
                    self._author.failed([part.intent for part in parts], error)
                await asyncio.sleep(PAUSE_S)
                continue
            self._since = None
            for part in parts:
                self._parts.pop(part.intent, None)
            self._author.written([part.intent for part in parts], self._number)
