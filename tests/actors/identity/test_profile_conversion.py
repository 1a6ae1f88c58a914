"""Identify under profile conversion and the default strategy: spec/identity.md, 7.4 and tables."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.identity.keys import IdentityName
from actors.identity.state import IdentityRules
from tests.actors.identity.pool import (
    CONVERSION,
    DEFAULT,
    IMMUTABLE,
    NOW,
    TYPES,
    Pool,
    request,
)

PROTECTED = "P1{cid:x,em:e1,idfv:9}, P2{em:e2}"


@pytest.mark.parametrize(
    ("rules", "records", "sent", "answer", "after"),
    [
        pytest.param(DEFAULT, "", "das:d1", "N", "N{das:d1}", id="D1"),
        pytest.param(DEFAULT, "A{das:d1}", "das:d1", "A", "", id="D2"),
        pytest.param(DEFAULT, "A{das:d1}", "cid:c1 das:d1", "A", "A{cid:c1,das:d1}", id="D3"),
        pytest.param(DEFAULT, "K{cid:c1,das:d1}", "das:d1", "N", "N{das:d1}", id="D4"),
        pytest.param(DEFAULT, "K{cid:c1,em:e1}", "em:e1", "N", "N{em:e1}", id="D5"),
        pytest.param(
            DEFAULT, "K{cid:c1,das:d1}", "cid:c1 das:d2", "K", "K{cid:c1,das:d1,das:d2}", id="D6"
        ),
        pytest.param(
            DEFAULT,
            "K{cid:c1,das:d1}, A{das:d1}",
            "cid:c2 das:d1",
            "A",
            "A{cid:c2,das:d1}",
            id="D7",
        ),
        pytest.param(
            DEFAULT, "K{cid:c1,das:d1}", "cid:c2 das:d1", "N", "N{cid:c2,das:d1}", id="D8"
        ),
        pytest.param(DEFAULT, "A{das:d1}, B{das:d1}", "das:d1", "B", "", id="D10"),
        pytest.param(
            DEFAULT, "K{cid:c1,em:e1}", "cid:c1 em:e2", "K", "K{cid:c1,em:e1,em:e2}", id="D12"
        ),
        pytest.param(DEFAULT, "A{das:d1}", "em:e1 das:d1", "A", "A{em:e1,das:d1}", id="D19"),
        pytest.param(DEFAULT, "A{das:d1}", "cid:c7 das:d1", "A", "A{cid:c7,das:d1}", id="E5"),
        pytest.param(CONVERSION, "K{cid:c1,em:e1,das:d1}", "em:e1", "K", "", id="C1"),
        pytest.param(
            CONVERSION, "K1{cid:c1}, K2{em:e1}", "cid:c1 em:e1", "K1", "", id="C2, case 25"
        ),
        pytest.param(
            CONVERSION, "K{cid:c1,em:e1}", "cid:c1 em:e2", "K", "K{cid:c1,em:e2}", id="C3"
        ),
        pytest.param(CONVERSION, "K{cid:c1,em:e1}", "cid:c2 em:e1", "K", "", id="C4"),
        pytest.param(CONVERSION, "A{das:d1}", "cid:c1 das:d1", "A", "A{cid:c1,das:d1}", id="C6"),
        pytest.param(CONVERSION, "", "em:e9", "N", "N{em:e9}", id="C7"),
        pytest.param(CONVERSION, "A{das:d1}", "das:d1", "A", "", id="C8"),
        pytest.param(
            CONVERSION,
            "A{das:d1}, B{idfv:v1}",
            "cid:c1 idfv:v1 das:d1",
            "B",
            "B{cid:c1,idfv:v1,das:d1}",
            id="C9",
        ),
        pytest.param(CONVERSION, "K{cid:c1,em:e1,das:d1}", "das:d1", "N", "N{das:d1}", id="C11"),
        pytest.param(
            CONVERSION,
            "A{oth:o1,das:d1}, K{em:e1}",
            "em:e1 oth:o1 das:d1",
            "K",
            "K{em:e1,oth:o1,das:d1}",
            id="C12",
        ),
        pytest.param(CONVERSION, "K{em:e1}", "cid:c1 em:e1", "K", "K{cid:c1,em:e1}", id="C13"),
        pytest.param(CONVERSION, PROTECTED, "em:e1", "P1", "", id="case 20: by email"),
        pytest.param(CONVERSION, PROTECTED, "em:e2 idfv:5", "P2", "P2{em:e2,idfv:5}", id="case 20"),
        pytest.param(CONVERSION, PROTECTED, "idfv:9", "N", "N{idfv:9}", id="case 20: by device"),
        pytest.param(IMMUTABLE, "K{cid:c1,em:e1}", "em:e1", "N", "N{}", id="G1, as a batch"),
        pytest.param(IMMUTABLE, "K{cid:c1,em:e1}", "em:e1 das:d1", "N", "N{das:d1}", id="G2"),
        pytest.param(IMMUTABLE, "K{cid:c1,em:e1}", "cid:c2 em:e1", "N", "N{cid:c2}", id="G3"),
        pytest.param(IMMUTABLE, "K{cid:c1,em:e1}, J{em:e2}", "em:e2", "J", "", id="G4"),
    ],
)
def test_a_call_gives_the_mpid_and_the_records_of_the_case_tables(
    rules: IdentityRules, records: str, sent: str, answer: str, after: str
) -> None:
    """spec/identity.md, strategy case tables and worked cases; records not in `after` stay."""
    pool = Pool(records)
    names = {**pool.letters, "N": 99}
    expected = {mpid: set(lookups) for mpid, lookups in pool.lookups().items()}
    for letter, lookups in Pool(after).named_lookups().items():
        expected[names[letter]] = lookups
    mpid, _ = pool.identify(request(sent), rules)
    assert mpid == names[answer]
    assert {mpid: set(lookups) for mpid, lookups in pool.lookups().items()} == expected


def test_a_user_who_logs_in_on_a_device_and_is_known_elsewhere_takes_the_device_along() -> None:
    """The documented journey of profile conversion up to its modify, logouts apart."""
    pool = Pool()
    first, _ = pool.identify(request("idfv:v1"), CONVERSION, 1)
    assert pool.identify(request("cid:c1 em:e1 idfv:v1"), CONVERSION, 2)[0] == first
    feed, _ = pool.identify(request("em:h"), CONVERSION, 3)
    assert feed == 3
    assert pool.identify(request("cid:c1 em:e1 idfv:v1"), CONVERSION, 4)[0] == first
    roku, _ = pool.identify(request("rk:r1"), CONVERSION, 4)
    assert roku == 4
    assert pool.identify(request("cid:c1 em:h rk:r1"), CONVERSION, 5)[0] == first
    assert set(pool.lookups()[first]) == set(request("cid:c1 em:e1 idfv:v1 rk:r1"))
    assert set(pool.lookups()[roku]) == set(request("rk:r1"))


@pytest.mark.parametrize(
    ("records", "calls", "mpids"),
    [
        pytest.param("", ["cid:c1 das:d1", "cid:c1 das:d2"], [11, 11], id="X2"),
        pytest.param("", ["cid:c1 em:e1", "cid:c2 em:e1"], [11, 11], id="X3"),
        pytest.param("A{das:d1}", ["cid:c1 das:d1", "cid:c2 das:d1"], [1, 12], id="X4"),
        pytest.param("", ["cid:c1", "cid:c1 das:d1"], [11, 11], id="X13"),
    ],
)
def test_calls_one_after_the_other_have_an_outcome_that_the_race_tables_allow(
    records: str, calls: list[str], mpids: list[int]
) -> None:
    """The coordinator decides one call at a time, so that no race is left."""
    pool = Pool(records)
    answers = [pool.identify(request(sent), CONVERSION, 11 + n)[0] for n, sent in enumerate(calls)]
    assert answers == mpids


def test_a_known_record_beats_an_anonymous_one_whatever_the_priority_says() -> None:
    """spec/identity.md, 7.4, Consequences: as soon as a login ID matches."""
    pool = Pool("K{em:e1}, A{oth:o1}")
    mpid, _ = pool.identify([*request("oth:o1"), *request("em:e1")], CONVERSION)
    assert mpid == pool.letters["K"]


def test_a_new_record_has_the_time_of_its_creation() -> None:
    """And of nothing else: a record that was read has none."""
    pool = Pool("A{das:d1}")
    mpid, _ = pool.identify(request("das:d2"), DEFAULT)
    pool.identify(request("cid:c1 das:d1"), DEFAULT)
    assert pool.records[mpid].created_ms == NOW
    assert pool.records[1].created_ms == 0


types_and_values = st.dictionaries(
    st.sampled_from(sorted(TYPES)), st.sampled_from("12"), min_size=1, max_size=4
)
requests = types_and_values.map(
    lambda sent: request(" ".join(f"{short}:{value}" for short, value in sent.items()))
)


@settings(max_examples=150, deadline=None)
@given(
    rules=st.sampled_from([DEFAULT, CONVERSION, IMMUTABLE]),
    calls=st.lists(st.tuples(requests, st.booleans()), min_size=1, max_size=12),
)
def test_the_invariants_hold_after_every_call(
    rules: IdentityRules, calls: list[tuple[list[IdentityName], bool]]
) -> None:
    """spec/identity.md, V1 to V3, V5, V8, V10 and V11, with logouts in between."""
    pool = Pool()
    for number, (sent, is_logout) in enumerate(calls, start=100):
        if is_logout:
            pool.log_out(sent, rules, number)
            continue
        before = pool.lookups()
        mpid, _ = pool.identify(sent, rules, number)
        after = pool.lookups()
        held = after[mpid]
        _check_index(pool, rules)
        logins = {each for each in held if each.type in rules.login_ids}
        assert not logins or logins & set(sent), "V3: a known record to a stranger"
        assert all(after[other] == before[other] for other in before if other != mpid), "V8"
        for each in before.get(mpid, {}):
            assert each.type not in rules.immutable_ids or each in held, "V11"
        if set(sent) & set(held):  # else nothing could be attached, as in case G1
            again, state = pool.identify(sent, rules, -number)
            assert (again, state.changed_mpids, state.changed_names) == (mpid, set(), set()), "V5"


def _check_index(pool: Pool, rules: IdentityRules) -> None:
    by_record = {
        (name, mpid, link)
        for mpid, lookups in pool.lookups().items()
        for name, link in lookups.items()
    }
    by_entry = {
        (name, each.mpid, each.link) for name, holders in pool.holders.items() for each in holders
    }
    assert by_record == by_entry, "V10: entries and records name each other"
    for name, holders in pool.holders.items():
        assert name.type not in rules.unique_ids or len(holders) <= 1, "V1"
        assert [each.link for each in holders] == sorted({each.link for each in holders})
    for record in pool.records.values():
        for unique in rules.unique_ids:
            assert len(record.values(unique)) <= 1, "V2"
