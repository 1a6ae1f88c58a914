"""Whose a batch is, as far as one shard can tell: here shard 0 of two."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.identity.state import identity_rules
from actors.model.micro_batches import (
    Deferred,
    Duplicate,
    Moved,
    Rejected,
    Result,
    Unresolved,
    Whose,
)
from actors.model.profiles import Lookup, ProfileKey
from actors.model.workspaces import Environment
from actors.steps.decode import Decoder
from actors.steps.identify import MAX_KNOWN_LENGTH, Identifier
from actors.steps.uploads import keys_as_sent, keys_of_owner
from actors.steps.work import Work
from actors.store import erased
from actors.store.duplicates import Duplicates
from actors.store.environment import Store
from actors.store.identities import Holder, IndexEntry, read_holders, write_holders
from actors.store.keys import MPID_RANDOM_BITS, SLOTS, identity_key, shard_of_slot, slot_of_hash
from actors.store.profiles import Profiles
from actors.store.slots import Slots, even
from tests.actors.profiles.builders import NOW, STAMP, WORKSPACE, context

SCOPE = WORKSPACE.scope
HERE, ALSO_HERE = 1 << MPID_RANDOM_BITS | 5, 2 << MPID_RANDOM_BITS | 5
AWAY = SLOTS - 1 << MPID_RANDOM_BITS | 5


def owned_by(shard: int, kind: str) -> str:
    """Return a value of an identity type whose index entry one of the two shards owns."""
    values = (f"{kind}-{number}" for number in range(100))
    return next(
        value
        for value in values
        if shard_of_slot(slot_of_hash(identity_key(SCOPE, "production", kind, value)), 2) == shard
    )


CUSTOMER, FAR_CUSTOMER = owned_by(0, "customerid"), owned_by(1, "customerid")
EMAIL, FAR_EMAIL = owned_by(0, "email"), owned_by(1, "email")


class Known:
    """What the shard has: profiles with their lookups, and entries of the index."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.profiles = Profiles(1024 * 1024)
        self.duplicates = Duplicates(window_days=30)
        self.identifier = Identifier(
            0,
            Slots(even(2)),
            SCOPE,
            identity_rules(WORKSPACE),
            self.profiles,
            lambda *_: None,
            self.duplicates,
        )

    def link(
        self, mpid: int, *names: tuple[str, str], environment: Environment = "production"
    ) -> None:
        """Make identities lookups of a profile, each the newest link so far."""
        with self.store.write() as txn:
            profile = self.profiles.stage(txn, ProfileKey(SCOPE, environment, mpid), NOW)
            for kind, value in names:
                key = identity_key(SCOPE, environment, kind, value)
                holders = read_holders(txn, key, kind, value)
                link = holders[-1].link + 1 if holders else 1
                holders = [*holders, Holder(mpid, link)]
                write_holders(txn, key, IndexEntry(kind, value, holders))
                profile.lookups = [*profile.lookups, Lookup(kind, value, link)]
            self.profiles.flush(txn)
        self.profiles.published()

    def identify(self, *works: Work) -> list[int | Result | None]:
        """Run the step; return each batch's MPID, or the result that sends it elsewhere."""
        Decoder(WORKSPACE).decode(works)
        with self.store.read() as txn:
            self.identifier.identify(works, txn, NOW)
        return [work.mpid if work.result is None else work.result for work in works]

    def keep(self, batch: Work) -> None:
        """Note by its identities alone that a batch was applied here."""
        with self.store.write() as txn:
            self.duplicates.remember(txn, keys_as_sent(batch, batch.upload_ids), NOW)


@pytest.fixture
def known(tmp_path: Path) -> Iterator[Known]:
    store = Store(tmp_path, 16 * 1024 * 1024)
    yield Known(store)
    store.close()


def work(
    customer: str | None = None,
    email: str | None = None,
    *,
    unit: int = 0,
    hint: int | None = None,
    is_guess: bool = False,
    **members: Any,
) -> Work:
    identities = {"customer_id": customer, "email": email}
    body = {"user_identities": identities, "events": [], **members}
    return Work(orjson.dumps(body), unit, hint, is_guess, context())


def unresolved(*identities: tuple[str, str]) -> Unresolved:
    return Unresolved("production", list(identities))


@pytest.mark.parametrize(
    ("mpid", "found"), [(HERE, HERE), (-1, Moved(-1)), (AWAY, Moved(AWAY)), (1, 1)]
)
def test_an_mpid_decides_alone(known: Known, mpid: int, found: int | Moved) -> None:
    """spec/identity.md, 9, row 1: the identities beside it find nobody."""
    known.link(ALSO_HERE, ("customerid", CUSTOMER))
    batch = work(CUSTOMER, mpid=mpid)
    assert known.identify(batch) == [found]
    assert not batch.by_identities


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({}, id="none"),
        pytest.param({"user_identities": {"alias": "a"}}, id="an alias is no lookup"),
        pytest.param({"user_identities": {"twitter": "t"}}, id="a type without priority"),
        pytest.param({"user_identities": {"customer_id": "  "}}, id="blank"),
    ],
)
def test_without_a_usable_identity_it_is_nobodys(known: Known, members: dict[str, Any]) -> None:
    """spec/identity.md, 9, row 3."""
    batch = work(**members)
    assert known.identify(batch) == [None]
    assert not batch.by_identities


def test_a_settled_user_is_found_by_the_first_identity(known: Known) -> None:
    known.link(HERE, ("customerid", CUSTOMER), ("email", EMAIL))
    batches = [work(CUSTOMER), work(CUSTOMER, EMAIL), work(CUSTOMER, EMAIL.upper())]
    assert known.identify(*batches) == [HERE] * 3
    assert all(batch.by_identities for batch in batches)


def test_a_settled_user_who_loses_an_identity_is_found_by_it_no_longer(known: Known) -> None:
    known.link(HERE, ("customerid", CUSTOMER), ("email", EMAIL))
    assert known.identify(work(CUSTOMER, EMAIL), work(CUSTOMER, EMAIL)) == [HERE] * 2
    with known.store.write() as txn:
        key = ProfileKey(SCOPE, "production", HERE)
        profile = known.profiles.stage(txn, key, NOW)
        profile.lookups = profile.lookups[:1]
        known.profiles.flush(txn)
    known.profiles.published()
    lost = unresolved(("customerid", CUSTOMER), ("email", EMAIL))
    assert known.identify(work(CUSTOMER, EMAIL)) == [lost]
    assert known.identify(work(CUSTOMER)) == [HERE]


@pytest.mark.parametrize(("more", "remembered"), [(0, 1), (1, 0)])
def test_a_request_too_long_to_remember_is_answered_alike(
    known: Known, more: int, remembered: int
) -> None:
    email = "e" * (MAX_KNOWN_LENGTH + more - len(CUSTOMER))
    known.link(HERE, ("customerid", CUSTOMER), ("email", email))
    assert known.identify(work(CUSTOMER, email), work(CUSTOMER, email)) == [HERE] * 2
    assert known.identifier.remembered == remembered


def test_an_identity_more_is_for_the_coordinator(known: Known) -> None:
    known.link(HERE, ("customerid", CUSTOMER))
    assert known.identify(work(CUSTOMER, "New@Example.com", mp_deviceid=STAMP)) == [
        unresolved(
            ("customerid", CUSTOMER),
            ("email", "New@Example.com"),
            ("device_application_stamp", STAMP),
        )
    ]


def test_of_anonymous_users_the_one_linked_last_is_it(known: Known) -> None:
    """spec/identity.md, 7.2."""
    known.link(HERE, ("email", EMAIL))
    known.link(ALSO_HERE, ("email", EMAIL))
    assert known.identify(work(email=EMAIL)) == [ALSO_HERE]
    wrong = work(email=EMAIL, hint=HERE, is_guess=True)
    assert known.identify(wrong) == [unresolved(("email", EMAIL))]


def test_a_known_user_is_not_found_without_the_login(known: Known) -> None:
    """spec/identity.md, 1: protection."""
    known.link(HERE, ("customerid", CUSTOMER), ("email", EMAIL))
    assert known.identify(work(email=EMAIL)) == [unresolved(("email", EMAIL))]


def test_environments_are_apart(known: Known) -> None:
    known.link(HERE, ("customerid", CUSTOMER), environment="development")
    live, trial = work(CUSTOMER), work(CUSTOMER, environment="development")
    assert known.identify(live) == [unresolved(("customerid", CUSTOMER))]
    # In development the entry has another key, which may be the other shard's: a guess helps.
    trial.hint, trial.is_guess = HERE, True
    assert known.identify(trial) == [HERE]


def test_a_login_whose_profile_is_elsewhere_is_sent_there(known: Known) -> None:
    known.link(AWAY, ("customerid", CUSTOMER))
    assert known.identify(work(CUSTOMER)) == [Moved(AWAY)]


def test_an_anonymous_user_elsewhere_with_one_identity_is_sent_there_for_good(
    known: Known,
) -> None:
    """The entry that lies here says who was linked last, and there is nothing else to ask."""
    known.link(AWAY, ("email", EMAIL))
    assert known.identify(work(email=EMAIL)) == [Moved(AWAY, is_settled=True)]


def test_an_anonymous_user_elsewhere_with_more_is_for_the_coordinator(known: Known) -> None:
    """Only here is known who was linked last, and only there what else the user has."""
    known.link(AWAY, ("email", EMAIL))
    both = work(email=EMAIL, mp_deviceid="0b6f2c1e-7d43-4a8e-9c55-1f2e3d4c5b6a")
    [result] = known.identify(both)
    assert isinstance(result, Unresolved)


def test_what_another_shard_has_is_found_by_a_guess(known: Known) -> None:
    known.link(HERE, ("customerid", FAR_CUSTOMER))
    assert known.identify(work(FAR_CUSTOMER)) == [unresolved(("customerid", FAR_CUSTOMER))]
    assert known.identify(work(FAR_CUSTOMER, hint=HERE, is_guess=True)) == [HERE]
    # Without a login it would have to be known who was linked last.
    known.link(ALSO_HERE, ("email", FAR_EMAIL))
    assert known.identify(work(email=FAR_EMAIL, hint=ALSO_HERE, is_guess=True)) == [
        unresolved(("email", FAR_EMAIL))
    ]


@pytest.mark.parametrize("guess", [HERE, ALSO_HERE, AWAY])
def test_a_wrong_guess_finds_nobody(known: Known, guess: int) -> None:
    known.link(HERE, ("customerid", "someone else"))
    [result] = known.identify(work(FAR_CUSTOMER, hint=guess, is_guess=True))
    expected = Moved(AWAY) if guess == AWAY else unresolved(("customerid", FAR_CUSTOMER))
    assert result == expected


def test_the_coordinators_word_decides(known: Known) -> None:
    known.link(ALSO_HERE, ("customerid", CUSTOMER))
    batch = work(CUSTOMER, hint=HERE)
    assert known.identify(batch) == [HERE]
    assert batch.by_identities


def test_after_one_that_cannot_be_applied_its_unit_waits(known: Known) -> None:
    known.link(HERE, ("customerid", CUSTOMER))
    works = [
        work(CUSTOMER, unit=1),
        work("nobody", unit=1),
        work(CUSTOMER, unit=1),
        work(mpid=AWAY, unit=2),
        work(CUSTOMER, unit=2),
        work(CUSTOMER, unit=3),
        work(environment="moon", unit=3),
        work(CUSTOMER, unit=3),
    ]
    results = known.identify(*works)
    assert results[:3] == [HERE, unresolved(("customerid", "nobody")), Deferred()]
    assert results[3:5] == [Moved(AWAY), Deferred()]
    assert [results[5], results[7]] == [HERE, HERE]
    assert isinstance(results[6], Rejected)


@pytest.mark.parametrize(
    ("members", "result"),
    [
        pytest.param({"source_request_id": "r"}, Duplicate("duplicate_request_id"), id="request"),
        pytest.param({"batch_id": 7}, Duplicate("duplicate_batch_id"), id="batch"),
        pytest.param({"batch_id": 8}, None, id="another id"),
        pytest.param({}, None, id="no id"),
    ],
)
def test_what_was_applied_to_somebody_is_not_resolved_anew(
    known: Known, members: dict[str, Any], result: Duplicate | None
) -> None:
    """spec/events-api.md, 5.4: his e-mail address finds him no longer since he has logged in."""
    known.link(HERE, ("email", EMAIL))
    first = work(email=EMAIL, source_request_id="r", batch_id=7)
    assert known.identify(first) == [HERE]
    known.keep(first)
    known.link(HERE, ("customerid", CUSTOMER))
    again = work(email=EMAIL, **members)
    assert known.identify(again) == [result or unresolved(("email", EMAIL))]


def test_a_repeat_does_not_hold_up_its_unit(known: Known) -> None:
    known.link(HERE, ("customerid", CUSTOMER))
    first = work(email=EMAIL, source_request_id="r", hint=HERE)
    assert known.identify(first) == [HERE]
    known.keep(first)
    again = work(email=EMAIL, source_request_id="r")
    assert known.identify(again, work(CUSTOMER)) == [Duplicate("duplicate_request_id"), HERE]


def test_repeats_are_kept_by_identities_where_the_first_of_them_lies(known: Known) -> None:
    known.link(HERE, ("customerid", CUSTOMER), ("email", EMAIL))
    known.link(ALSO_HERE, ("customerid", FAR_CUSTOMER))
    batches = [
        work(CUSTOMER, EMAIL),
        work(CUSTOMER, EMAIL),  # now it is known to be settled
        work(CUSTOMER, hint=HERE, source_request_id="r"),
        work(FAR_CUSTOMER, EMAIL, hint=HERE, source_request_id="r"),
        work(FAR_CUSTOMER, hint=ALSO_HERE, is_guess=True),
        work(CUSTOMER, mpid=HERE),
    ]
    known.identify(*batches)
    assert [batch.sent is not None for batch in batches] == [True] * 3 + [False] * 3
    assert batches[0].sent == batches[1].sent != batches[2].sent


def test_what_somebody_erased_has_sent_is_a_repeat_though_it_names_identities(known: Known) -> None:
    """spec/events-api.md, 5.4, and spec/privacy.md, 5.2: the MPID is treated as absent."""
    known.link(HERE, ("customerid", CUSTOMER))
    known.link(ALSO_HERE)
    batch = work(CUSTOMER, mpid=ALSO_HERE, source_request_id="r")
    assert known.identify(batch) == [ALSO_HERE]
    with known.store.write() as txn:
        keys = keys_of_owner(batch, batch.upload_ids, ALSO_HERE)
        known.duplicates.remember(txn, keys, NOW)
        erased.write(txn, ProfileKey(SCOPE, "production", ALSO_HERE), NOW)
    again = work(CUSTOMER, mpid=ALSO_HERE, source_request_id="r")
    other = work(CUSTOMER, mpid=ALSO_HERE, source_request_id="s")
    assert known.identify(again, other) == [Duplicate("duplicate_request_id"), HERE]


def test_whose_a_batch_is_may_only_be_asked(known: Known) -> None:
    known.link(HERE, ("customerid", CUSTOMER))
    works = [work(CUSTOMER), work(CUSTOMER, EMAIL), work(CUSTOMER), work(unit=1)]
    for each in works:
        each.is_question = True
    new = unresolved(("customerid", CUSTOMER), ("email", EMAIL))
    assert known.identify(*works) == [Whose(HERE), new, Deferred(), Whose(None)]
