"""How the columns of an audience engine are filled from profiles: after a start, and one by one."""

from collections.abc import Iterable, Mapping, Sequence

from actors.audiences.criteria import Node
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.records import Kept, Loaded
from actors.audiences.engine.sources import Derived
from actors.audiences.known import KnownAudiences
from actors.audiences.loading import Loading
from actors.audiences.told import LiveAudience
from actors.calculated import applying
from actors.calculated.live import KnownAttributes, ShownValues
from actors.clock import Clock
from actors.model.profiles import Profile, ProfileKey, Section
from actors.model.workspaces import WorkspaceInfo
from actors.store.environment import Store
from actors.store.profiles import Profiles

TRIM_BYTES = 4096


class AudienceColumns:
    """Gives an engine what it is to evaluate, and what it reads of each user.

    Attributes:
        engine: evaluates the real-time audiences, and keeps the members of the others too.
        kept: numbers of those others.
    """

    def __init__(
        self,
        store: Store,
        profiles: Profiles,
        workspace: WorkspaceInfo,
        engine: Engine,
        clock: Clock,
    ) -> None:
        """Args: `workspace`: the one whose users they are."""
        self.engine = engine
        self.kept: set[int] = set()
        self._store = store
        self._profiles = profiles
        self._workspace = workspace.number
        self._regulations = workspace.regulations
        self._clock = clock
        self._loading: Loading | None = None

    def work_by(
        self, known: KnownAudiences, attributes: KnownAttributes, epochs: Mapping[int, int]
    ) -> None:
        """Evaluate these audiences from now on, and read these attributes.

        `epochs`: of the audiences that are evaluated; one with another epoch is another audience.
        """
        self._attributes = attributes
        evaluated = {
            number: each for number, each in known.by_number.items() if each.type == "real_time"
        }
        for number in self.engine.audiences:
            if number not in evaluated:
                self.engine.deactivate(number)
        for number, audience in evaluated.items():
            if audience.node is not None and self.engine.revision(number) != epochs[number]:
                self._activate(audience, audience.node, epochs[number])
        kept = known.by_number.keys() - evaluated.keys()
        for number in self.kept - kept:
            self.engine.keep_no_more(number)
        for number in kept - self.kept:
            self.engine.keep(number)
        self.kept = set(kept)

    def _activate(self, audience: LiveAudience, node: Node, epoch: int) -> None:
        self.engine.activate(audience.number, audience.environment, node, epoch)

    # -- After a start ----------------------------------------------------------------------------

    @property
    def is_loading(self) -> bool:
        """Whether there are profiles without columns, so that members are not all known."""
        return self._loading is not None

    def begin_loading(self, deadline_s: float) -> None:
        """Begin to load all profiles; see `load_some`."""
        self._loading = Loading(self._store, self._load_many, self.engine.knows, self._clock)
        self.load_some(deadline_s)

    def load_some(self, deadline_s: float) -> None:
        """Load columns until an instant of the monotonic clock, or until none is missing."""
        if self._loading is not None:
            self._loading.go_on(deadline_s)
            if self._loading.is_done:
                self._loading = None

    def _load_many(self, users: Sequence[tuple[ProfileKey, Profile]]) -> None:
        loaded: list[Loaded] = []
        wakes: list[tuple[ProfileKey, int | None]] = []
        for key, profile in users:
            section = self.section(profile)
            if section is not None:
                derived = self.derived(profile, section)
                loaded.append(Loaded(key, profile, _kept(section), derived))
                wakes.append((key, applying.next_expiry(section)))
        self.engine.load_new(loaded, self._clock.now_ms())
        for key, at_ms in wakes:
            self.engine.wake(key, at_ms)

    # -- One user ---------------------------------------------------------------------------------

    def load(self, key: ProfileKey, profile: Profile) -> None:
        """Fill the columns of a profile from its record."""
        section = self.section(profile)
        if section is None:
            return
        self.engine.load(key, profile, _kept(section), self.derived(profile, section))
        self.engine.wake(key, applying.next_expiry(section))

    def reload(self, keys: Iterable[ProfileKey]) -> None:
        """Fill the columns of profiles from what is on disk."""
        with self._store.read() as txn:
            for key in keys:
                profile = self._profiles.get(txn, key)
                if profile is None or self.section(profile) is None:
                    self.engine.forget(key)
                else:
                    self.load(key, profile)

    def refresh(self, key: ProfileKey, profile: Profile, section: Section) -> None:
        """Bring the columns of a profile up to what it has now; its events stay."""
        self.engine.refresh(key, profile, self.derived(profile, section))
        self.engine.wake(key, applying.next_expiry(section))

    def append(self, section: Section, entries: bytes) -> None:
        """Keep new entries; once for every so many bytes, let go of those past the lookback."""
        before = len(section.entries)
        section.entries += entries
        if before // TRIM_BYTES != len(section.entries) // TRIM_BYTES:
            section.entries = self.engine.trim(section.entries, self._clock.now_ms())

    # -- What they are filled from ----------------------------------------------------------------

    def section(self, profile: Profile) -> Section | None:
        """Return what is kept of a user for these audiences."""
        return profile.workspaces.get(self._workspace)

    def own(self, profile: Profile) -> Section:
        """Return what `section` does, of a user who has it."""
        return profile.workspaces[self._workspace]

    def derived(
        self, profile: Profile, section: Section, audiences: frozenset[int] | None = None
    ) -> Derived:
        """Return what criteria read; `audiences`: by default those that are not evaluated here."""
        if audiences is None:
            audiences = frozenset(self.kept.intersection(section.audiences))
        return derived_of(section, self._attributes, audiences, self._regulations)

    # -- Reading ----------------------------------------------------------------------------------

    def standing(self, profile: Profile) -> Mapping[int, int]:
        """Return the audiences that a user is in, each with since when, in ms."""
        section = self.section(profile)
        return {} if section is None else section.audiences

    def untold(self, profile: Profile) -> Sequence[int]:
        """Return the subscriptions that a user who is a member could not be told of to."""
        section = self.section(profile)
        return () if section is None else section.untold

    def expirations(self, key: ProfileKey, now_ms: int) -> dict[int, int]:
        """Return when a user's memberships lapse without new data (`Engine.expirations_of`)."""
        if self.is_loading and not self.engine.knows(key):
            with self._store.read() as txn:
                profile = self._profiles.get(txn, key)
            if profile is not None:
                self.load(key, profile)
        return self.engine.expirations_of(key, now_ms)


def derived_of(
    section: Section,
    attributes: KnownAttributes,
    audiences: frozenset[int],
    regulations: frozenset[str],
) -> Derived:
    """Return what criteria read of a user's calculated attributes, and of these audiences.

    `regulations`: of the workspace, by which consent is seen.
    """
    return Derived(
        calculated=ShownValues(section.calculated, attributes.by_number),
        predictions=_outputs(section) if section.predictions else {},
        audiences=audiences,
        names=attributes.numbers,
        regulations=regulations,
    )


def _kept(section: Section) -> Kept:
    return Kept(section.entries, section.audiences, section.entries_epoch)


def _outputs(section: Section) -> dict[tuple[int, str], float]:
    """Return what predictions gave a user, by prediction and output."""
    found: dict[tuple[int, str], float] = {}
    for number, each in section.predictions.items():
        found[number, "score"] = each.score
        found[number, "percentile"] = each.percentile
    return found
