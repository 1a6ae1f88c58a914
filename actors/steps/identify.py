"""Step `identify`: whose batch it is (spec/events-api.md, 8.3; spec/identity.md, 9).

Reads only. A batch whose identities are all attached to one profile of this shard is resolved here;
any other goes back to the edge with what is to be done about it, unless it is an upload that was
applied here before (spec/events-api.md, 5.4): whose it was then, it may not be now.
"""

from collections.abc import Callable, Mapping, Sequence

from actors.batches.identities import batch_identities
from actors.identity.keys import IdentityName, canonical
from actors.identity.state import IdentityRecord, IdentityRules
from actors.identity.steady import is_settled, newest_anonymous
from actors.model.batches import Batch
from actors.model.micro_batches import (
    Deferred,
    Duplicate,
    Elsewhere,
    Moved,
    Newcomer,
    Unresolved,
    Whose,
)
from actors.model.profiles import Lookup, Profile, ProfileKey
from actors.model.workspaces import ENVIRONMENTS, Environment
from actors.steps.uploads import Ids, Keys, keys_as_sent, keys_of_owner
from actors.steps.work import Work
from actors.store import erased
from actors.store.duplicates import Duplicates
from actors.store.environment import Transaction
from actors.store.identities import Holder, read_holders
from actors.store.keys import (
    identity_key,
    sent_digest,
    slot_of_hash,
    slot_of_mpid,
    unattributed_digest,
)
from actors.store.profiles import Profiles
from actors.store.slots import Slots

# Requests with a login ID that are known to be settled; some 20 MB.
MAX_KNOWN = 20_000
MAX_KNOWN_LENGTH = 512  # characters of all identities of a request; longer ones are not remembered

# Environment, and IDSync types and values as sent.
_Sent = tuple[Environment, tuple[tuple[str, str], ...]]
Newcomers = Callable[[Environment, Sequence[IdentityName], Transaction], Newcomer | None]


class Identifier:
    """Resolves batches on one shard."""

    def __init__(
        self,
        shard: int,
        slots: Slots,
        scope: int,
        rules: IdentityRules,
        profiles: Profiles,
        newcomers: Newcomers,
        duplicates: Duplicates,
        other_scopes: Sequence[int] = (),
    ) -> None:
        """Set up.

        Args:
            shard: that owns what is read here, by `slots`.
            scope: of the workspace; `rules`: its settings.
            profiles: of the shard.
            newcomers: tells what is known of somebody who may be new.
            duplicates: uploads that were applied here.
            other_scopes: whose profiles are here as well.
        """
        self._shard = shard
        self._slots = slots
        self._scope = scope
        self._other_scopes = other_scopes
        self._rules = rules
        self._rank = {name: rank for rank, name in enumerate(rules.priority)}
        self._profiles = profiles
        self._newcomers = newcomers
        self._duplicates = duplicates
        self._has_erased = True  # as of the transaction under way
        # With a login ID the answer depends on the lookups of one record alone. A change of them
        # makes another list, so as long as a profile has the same one, the answer is the same.
        self._known: dict[_Sent, tuple[ProfileKey, list[Lookup], bytes]] = {}

    @property
    def remembered(self) -> int:
        """How many requests are known to be settled; at most `MAX_KNOWN`."""
        return len(self._known)

    def identify(self, works: Sequence[Work], txn: Transaction, now_ms: int) -> None:
        """Set each batch's MPID, or the result that sends it elsewhere, in order.

        After a batch that cannot be applied here, the rest of its unit is `Deferred`. One that was
        applied before is `Duplicate`; one that it is only asked about is `Whose`.
        """
        held_up: set[int] = set()
        self._has_erased = txn.entries("erased") > 0
        for work in works:
            if work.result is not None:
                continue
            if work.unit in held_up:
                work.result = Deferred()
                continue
            self._resolve(work, txn, now_ms)
            if work.checked is not None and work.checked.blocked is not None:
                self._check_owner(work)
            if work.result is None:
                if work.is_question:
                    work.result = Whose(work.mpid)
                continue
            if work.sent is not None and (ids := work.upload_ids):
                self._check_repeat(work, ids, keys_as_sent(work, ids), txn, now_ms)
            if not isinstance(work.result, Duplicate):
                held_up.add(work.unit)

    def _resolve(self, work: Work, txn: Transaction, now_ms: int) -> None:
        batch = work.decoded
        expired: int | None = None
        if batch.mpid is not None:
            # A hint of somebody else: the shard of the MPID has found that it is of another scope.
            if work.hint in (None, batch.mpid):
                if not self._owns(slot_of_mpid(batch.mpid)):
                    work.result = Moved(batch.mpid)
                    return
                if not self._is_nobodys(batch.environment, batch.mpid, txn):
                    work.mpid = batch.mpid
                    return
                work.hint = None
                if self._is_expired(batch.environment, batch.mpid, txn):
                    expired = batch.mpid  # the coordinator may still find it by the identities
                if ids := work.upload_ids:
                    keys = keys_of_owner(work, ids, batch.mpid)
                    if self._check_repeat(work, ids, keys, txn, now_ms):
                        return  # what an erased user sent before
            batch.mpid = None  # treated as absent
        sent = batch_identities(batch)
        if not sent:
            return  # unattributed
        work.by_identities = True
        if work.hint is not None and not work.is_guess:
            if not self._is_erased(batch.environment, work.hint, txn):
                work.mpid = work.hint
                if work.upload_ids and (request := self._request(sent)):
                    first = self._key(batch.environment, request[0])
                    if self._owns(slot_of_hash(first)):
                        work.sent = sent_digest(first, sent)
                return
            if self._is_expired(batch.environment, work.hint, txn):
                expired = work.hint
            work.hint = None  # since it was resolved
        as_sent = batch.environment, tuple(sent.items())
        known = self._known.get(as_sent)
        if known is not None:
            key, lookups, digest = known
            profile = self._profiles.get(txn, key)
            if profile is not None and profile.lookups is lookups and not profile.is_expired:
                work.mpid = key.mpid
                if self._owns(slot_of_hash(digest)):
                    work.sent = digest
                return
            del self._known[as_sent]
        request = self._request(sent)
        if not request:
            work.by_identities = False
            return
        kinds = [each.type for each in request]
        first = self._key(batch.environment, request[0])
        digest = sent_digest(first, sent)
        holders = None
        if self._owns(slot_of_hash(first)):
            work.sent = digest
            holders = read_holders(txn, first, request[0].type, request[0].value)
        has_login = not self._rules.login_ids.isdisjoint(kinds)
        candidate = work.hint
        if candidate is None and holders:
            candidate = holders[-1].mpid if has_login else newest_anonymous(holders)
        if candidate is None:
            newcomer = self._newcomers(batch.environment, request, txn)
            work.result = _unresolved(batch, sent, kinds, newcomer, expired)
        elif self._owns(slot_of_mpid(candidate)):
            key = ProfileKey(self._scope, batch.environment, candidate)
            profile = self._profiles.get(txn, key)
            if profile is not None and profile.is_expired:
                work.result = _unresolved(batch, sent, kinds, expired=candidate)
                return
            if profile is None or not self._is_settled(key, profile, request, holders):
                work.result = _unresolved(batch, sent, kinds, expired=expired)
                return
            work.mpid = candidate
            if has_login and sum(map(len, sent.values())) <= MAX_KNOWN_LENGTH:
                if len(self._known) >= MAX_KNOWN:
                    self._known.clear()
                self._known[as_sent] = key, profile.lookups, digest
        elif has_login:
            work.result = Moved(candidate)
        elif len(request) == 1:  # the entry that was read says all there is to know
            work.result = Moved(candidate, is_settled=True)
        else:
            work.result = _unresolved(batch, sent, kinds, expired=expired)

    def _check_repeat(
        self, work: Work, ids: Ids, keys: Keys, txn: Transaction, now_ms: int
    ) -> bool:
        """Tell whether a batch was applied under one of the keys: then it is a `Duplicate`."""
        place = self._duplicates.find(txn, keys, now_ms)
        if place is None:
            return False
        kind, _ = ids[place]
        work.result = Duplicate(f"duplicate_{kind}")
        return True

    def _check_owner(self, work: Work) -> None:
        """Send a batch that has become nobody's to where its repeats are looked for."""
        ids = work.upload_ids
        if work.result is None and work.mpid is None and ids:
            slot = slot_of_hash(unattributed_digest(work.context.api_key, *ids[0]))
            if not self._owns(slot):
                work.result = Elsewhere(slot)

    def _is_erased(self, environment: Environment, mpid: int, txn: Transaction) -> bool:
        """Tell whether an MPID is nobody's for good (spec/privacy.md, 5.2; spec/profiles.md, 6)."""
        key = ProfileKey(self._scope, environment, mpid)
        profile = self._profiles.get(txn, key)
        if profile is not None and (profile.is_expired or profile.lookups):
            return profile.is_expired
        return self._has_erased and erased.is_erased(txn, key)

    def _is_expired(self, environment: Environment, mpid: int, txn: Transaction) -> bool:
        """Tell whether the retention of an identity record is over that may still be there."""
        profile = self._profiles.get(txn, ProfileKey(self._scope, environment, mpid))
        return profile is not None and profile.is_expired

    def _is_nobodys(self, environment: Environment, mpid: int, txn: Transaction) -> bool:
        """Tell whether an MPID was erased, or is not known here and is in another scope."""
        if self._is_erased(environment, mpid, txn):
            return True
        if not self._other_scopes:
            return False
        if self._profiles.get(txn, ProfileKey(self._scope, environment, mpid)) is not None:
            return False
        return any(
            self._profiles.get(txn, ProfileKey(scope, each, mpid)) is not None
            for scope in self._other_scopes
            for each in ENVIRONMENTS
        )

    def _owns(self, slot: int) -> bool:
        return self._slots.shard_of(slot) == self._shard

    def _request(self, sent: Mapping[str, str]) -> list[IdentityName]:
        """Return the identities that may find a profile, in the order of priority."""
        kinds = sorted(self._rank.keys() & sent.keys(), key=self._rank.__getitem__)
        return [IdentityName(kind, canonical(kind, sent[kind])) for kind in kinds]

    def _key(self, environment: Environment, name: IdentityName) -> bytes:
        return identity_key(self._scope, environment, name.type, name.value)

    def _is_settled(
        self,
        key: ProfileKey,
        profile: Profile,
        request: Sequence[IdentityName],
        holders: list[Holder] | None,
    ) -> bool:
        record = IdentityRecord(profile.lookups)
        return is_settled(key.mpid, record, request, holders, self._rules)


def _unresolved(
    batch: Batch,
    sent: Mapping[str, str],
    kinds: Sequence[str],
    newcomer: Newcomer | None = None,
    expired: int | None = None,
) -> Unresolved:
    identities = [(kind, sent[kind]) for kind in kinds]
    return Unresolved(batch.environment, identities, newcomer, expired)
