"""The Calculated Attributes feed: a built-in input through which changed values go to outputs.

Source: spec/calculated-attributes.md, 7.2.
"""

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from actors.calculated.applying import values
from actors.calculated.live import KnownAttributes
from actors.model.batches import Batch, StoredBatch
from actors.model.deliveries import Delivery
from actors.model.profiles import Profile, ProfileKey, Section
from actors.model.workspaces import WorkspaceInfo
from actors.outgoing import outgoing_batch
from actors.pipeline.compiling import Pipeline
from actors.steps.enqueue import enqueue
from actors.store.keys import profile_key

FEED_ID = "calculated_attributes"  # in the workspace document, where no input can be named so
FEED_NUMBER = 0  # no other input has it: theirs begin at 1

# What has ended of an attribute that is not active any more: its name, and the epoch since when.
Ended = tuple[str, int]
Values = dict[str, str | list[str]]  # by name, of one user
AudienceIds = Callable[[Profile], Sequence[int]]  # numbers of the audiences that a user is in
_UNLIKE: list[str] = []  # a value that no attribute has


class AttributeFeed:
    """Finds what a transaction has changed, and makes the deliveries of it.

    A user's values are noted before anything is applied, and looked at again when all is: however
    many causes there were, there is one batch, and none if everything is as it was.
    """

    def __init__(
        self,
        pipelines: Sequence[Pipeline],
        workspace: WorkspaceInfo,
        next_id: Callable[[], int],
    ) -> None:
        """Args: `pipelines` of its connections, in any status; `next_id` draws ids."""
        self._pipelines = pipelines
        self._workspace = workspace
        self._next_id = next_id
        self._before: dict[ProfileKey, tuple[Profile, Values]] = {}

    @property
    def active(self) -> frozenset[int]:
        """Numbers of the connections that batches are queued for."""
        connections = [each.connection for each in self._pipelines]
        return frozenset(each.number for each in connections if each.is_active)

    def note(
        self,
        key: ProfileKey,
        profile: Profile,
        known: KnownAttributes,
        ended: Mapping[int, Ended],
    ) -> None:
        """Keep the values of a user to whom something is about to be applied.

        Those that went unnoted, as the user aged out, count as others than what there is now.
        `ended`: attributes that are not active any more, of which some users have not been told.
        """
        section = profile.workspaces.get(self._workspace.number)
        went: Sequence[str] = ()
        if section is not None and (section.lost_attributes or ended):
            went = _went(section, known, ended)
        if not self._pipelines:
            return
        noted = self._before.get(key)
        before = self._values(profile, known) if noted is None else noted[1]
        for name in went:
            before.setdefault(name, _UNLIKE)
        self._before[key] = (profile, before)

    def deliveries(
        self,
        known: KnownAttributes,
        loads: Mapping[int, bytes],
        now_ms: int,
        audience_ids: AudienceIds,
    ) -> list[Delivery]:
        """Make the deliveries of all that has changed since it was noted, and forget the notes.

        Args:
            known: what is active.
            loads: connections whose first load is under way, to the key that it comes to next.
            now_ms: of the change.
            audience_ids: tells which audiences a user is in.
        """
        noted, self._before = self._before, {}
        made: list[Delivery] = []
        for key, (profile, before) in noted.items():
            after = self._values(profile, known)
            changed = {name: each for name, each in after.items() if before.get(name) != each}
            gone = [name for name in before if name not in after]
            if changed or gone:
                packed = profile_key(key)
                pipelines = [
                    each
                    for each in self._pipelines
                    if each.connection.number not in loads or packed < loads[each.connection.number]
                ]
                ids = audience_ids(profile)
                made += self._deliver(key, profile, changed, gone, pipelines, now_ms, ids)
        return made

    def current(
        self,
        key: ProfileKey,
        profile: Profile,
        known: KnownAttributes,
        number: int,
        now_ms: int,
        audience_ids: AudienceIds,
    ) -> list[Delivery]:
        """Make the delivery of what a user has, for a connection that is new."""
        found = self._values(profile, known)
        if not found:
            return []
        pipelines = [each for each in self._pipelines if each.connection.number == number]
        ids = audience_ids(profile)
        return self._deliver(key, profile, found, [], pipelines, now_ms, ids)

    def abandon(self) -> None:
        """The transaction failed, or nobody has asked for what changed in it."""
        self._before.clear()

    def _deliver(
        self,
        key: ProfileKey,
        profile: Profile,
        changed: Values,
        gone: list[str],
        pipelines: Sequence[Pipeline],
        now_ms: int,
        audience_ids: Sequence[int],
    ) -> list[Delivery]:
        told = {*changed, *gone}
        pipelines = [each for each in pipelines if any(map(each.shape.shows_user_attribute, told))]
        if not pipelines:  # none is to be told yet, or filters withhold all of it
            return []
        batch = Batch(
            key.environment,
            now_ms,
            user_identities={name: each.value for name, each in profile.user_identities.items()},
            user_attributes=dict(changed),
            deleted_user_attributes=gone,
            batch_id=self._next_id(),
        )
        stored = StoredBatch(
            log_id=0,  # it is in no log: what it says follows from other batches and time
            previous_log_id=0,
            workspace=self._workspace.number,
            scope=key.scope,
            mpid=key.mpid,
            input=FEED_NUMBER,
            received_ms=now_ms,
            channel="server_to_server",
            is_historical=False,
            device_key=None,
            batch=batch,
        )
        # Without its sections a profile enriches the batch with identities alone.
        bare = replace(profile, workspaces={})
        outgoing = outgoing_batch(stored, bare, self._workspace, (), calculated=changed)
        deliveries, _ = enqueue(outgoing, stored, profile, pipelines, audience_ids)
        for delivery in deliveries:
            delivery.sequence = self._next_id()
        return deliveries

    def _values(self, profile: Profile, known: KnownAttributes) -> Values:
        section = profile.workspaces.get(self._workspace.number)
        return {} if section is None else values(section, known)


def _went(section: Section, known: KnownAttributes, ended: Mapping[int, Ended]) -> Sequence[str]:
    """Return the names of the values that a user does not have any more, and take note of it.

    Such a value is not kept: it would pass for one that the user had all along, should the
    attribute be active again. What it was calculated of, and its seeds, stay.
    """
    lost, section.lost_attributes = section.lost_attributes, []
    names = {number: name for number, (name, _) in ended.items()}
    names |= {number: each.name for number, each in known.by_number.items()}
    numbers = [number for number in lost if number in names]
    for number, (_, epoch) in ended.items():
        state = section.calculated.get(number)
        if state is not None and state.value is not None and section.epoch < epoch:
            numbers.append(number)
            state.value = None
    return [names[number] for number in numbers]
