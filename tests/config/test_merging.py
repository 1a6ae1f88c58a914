"""Laying a document over what holds, and what that changes (spec/connections.md, 10)."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.differences import differences, needing_restart, with_returns
from config.errors import ConfigError
from config.load import parse_workspace
from config.merging import Data, merged_document, name_of, names_in
from config.secret_values import (
    masked,
    placeholder,
    replaced,
    secret_places,
    value_at,
    with_kept_secrets,
)
from tests.config.documents import setting, shop

SECTIONS = ("inputs", "outputs", "connections")


@st.composite
def documents(draw: st.DrawFn) -> Data:
    """Draw documents of one workspace that are right: some of the shop's objects, changed."""
    data = shop()
    for section in SECTIONS:
        data[section] = draw(st.lists(st.sampled_from(data[section]), unique_by=_id))
    inputs, outputs = ({each["id"] for each in data[section]} for section in SECTIONS[:2])
    data["connections"] = [
        {**each, "active": draw(st.booleans())}
        for each in data["connections"]
        if each["input"] in inputs and each["output"] in outputs
    ]
    data["workspace"]["name"] = draw(st.sampled_from(["Shop", "Other shop"]))
    return data


def _id(item: Any) -> str:
    return str(item["id"])


def lines(before: Data | None, after: Data) -> list[str]:
    former = None if before is None else parse_workspace(before)
    return [each.line() for each in differences(former, parse_workspace(after))]


@given(kept=documents(), wanted=documents())
def test_an_apply_that_prunes_all_gives_the_wanted_document(kept: Data, wanted: Data) -> None:
    assert merged_document(kept, wanted, names_in(kept)) == wanted


@given(kept=documents(), wanted=documents())
def test_an_apply_gives_what_is_wanted_and_keeps_the_rest(kept: Data, wanted: Data) -> None:
    """It is a right document whatever was kept, and nothing is different from both."""
    after = merged_document(kept, wanted, {})
    parse_workspace(after)
    for section in SECTIONS:
        names = {name_of(each) for each in wanted[section]}
        assert after[section][: len(names)] == wanted[section]
        assert after[section][len(names) :] == [
            each for each in kept[section] if name_of(each) not in names
        ]


@given(kept=documents(), wanted=documents(), prune=st.booleans())
def test_applying_twice_changes_nothing_the_second_time(
    kept: Data, wanted: Data, prune: bool
) -> None:
    gone = names_in(kept) if prune else {}
    once = merged_document(kept, wanted, gone)
    assert merged_document(once, wanted, gone) == once
    assert lines(once, merged_document(once, wanted, gone)) == []


@given(before=documents(), after=documents())
def test_differences_name_what_has_to_be_done(before: Data, after: Data) -> None:
    """What is created, updated and deleted turns the one into the other."""
    found = differences(parse_workspace(before), parse_workspace(after))
    for section in SECTIONS:
        names = {each["id"] for each in before[section]}
        names |= {each.name for each in found if (each.section, each.action) == (section, "create")}
        names -= {each.name for each in found if (each.section, each.action) == (section, "delete")}
        assert names == {each["id"] for each in after[section]}
        old = {each["id"]: each for each in before[section]}
        changed = {each["id"] for each in after[section] if old.get(each["id"], each) != each}
        updated = {each.name for each in found if each.section == section}
        assert changed == updated & old.keys() & {each["id"] for each in after[section]}


def test_what_is_left_to_its_default_is_no_difference() -> None:
    written = shop(setting("connections.0.active", True), setting("inputs.0.status", "active"))
    assert lines(shop(), written) == []


def test_a_plan_names_fields_and_never_their_values() -> None:
    after = shop(
        setting("outputs.0.settings.url", "https://other.example.com/in"),
        setting("inputs.0.keys.0.secret", "another"),
        setting("inputs.3", shop()["inputs"][0] | {"id": "tv", "name": "TV", "keys": KEYS}),
        setting("workspace.name", "Other"),
    )
    assert lines(shop(), after) == [
        "~ workspace: name",
        "~ input web: keys",
        "+ input tv",
        "~ output hook: settings",
    ]


KEYS = [{"key": "us1-tv-key", "secret": "s-tv"}]


def test_a_key_that_is_taken_away_is_dangerous() -> None:
    """Removed, revoked, or with its input; keys are no secrets."""
    revoked = shop(setting("inputs.0.keys.0.status", "revoked"))
    other = shop(setting("inputs.0.keys.0.key", "us1-other-key"))
    for after in (revoked, other):
        assert lines(shop(), after) == ["! ~ input web: keys (takes away key us1-web-key)"]
    gone = shop(lambda data: data["inputs"].pop(1))
    assert lines(shop(), gone) == ["! - input ios (takes away key us1-ios-key)"]
    dsr = shop(setting("workspace.dsr_credentials.key", "us1-another-key"))
    assert lines(shop(), dsr) == ["! ~ workspace: dsr_credentials (takes away key us1-dsr-key)"]


def test_a_rollback_that_changes_nobodys_way_in_is_not_dangerous() -> None:
    """One that does is, whether by a key's secret, its status, or that of its input."""

    def returns(before: Data) -> list[str]:
        old, new = parse_workspace(before), parse_workspace(shop())
        found = with_returns(differences(old, new), old, new)
        return [each.line() for each in found]

    assert returns(shop(setting("inputs.0.name", "Other"))) == ["~ input web: name"]
    for change in (
        setting("inputs.0.keys.0.secret", "another"),
        setting("inputs.0.keys.0.status", "revoked"),
        setting("inputs.0.status", "inactive"),
    ):
        [line] = returns(shop(change))
        assert line.startswith("! ~ input web")
        assert line.endswith("(brings back key us1-web-key)")
    [line] = returns(shop(setting("workspace.dsr_credentials.secret", "another")))
    assert line == "! ~ workspace: dsr_credentials (brings back key us1-dsr-key)"


def test_another_strategy_needs_a_restart_and_the_window_of_aliases_does_not() -> None:
    before = parse_workspace(shop())
    strategy = parse_workspace(shop(setting("identity.strategy", "profile_conversion")))
    [line] = [each.line() for each in differences(before, strategy)]
    assert line.startswith("! ~ identity: strategy")
    assert "identity.strategy" in dict(needing_restart(before, strategy))
    window = parse_workspace(shop(setting("identity.alias_max_window_days", 30)))
    assert [each.line() for each in differences(before, window)] == [
        "~ identity: alias_max_window_days"
    ]
    assert list(needing_restart(before, window)) == []


def secretive() -> Data:
    return shop(
        setting("outputs.0.settings.headers", {"X-Token": "t-1", "X-Plain": "p"}),
        setting("outputs.0.environments", {"development": {"settings": {"headers": {"A": "t-2"}}}}),
    )


def test_secrets_are_found_wherever_models_have_them() -> None:
    data = secretive()
    found = {value_at(data, each) for each in secret_places(parse_workspace(data), data)}
    assert found == {"s-dsr", "s-ops", "s-web", "s-ios", "s-crm", "t-1", "p", "t-2"}


def test_exported_secrets_come_back_as_they_were() -> None:
    """Their placeholders name object and member, and masks or nulls mean what is kept."""
    data = secretive()
    document = parse_workspace(data)
    places = secret_places(document, data)
    exported = replaced(data, places, {each: placeholder(data, each) for each in places})
    assert exported["inputs"][0]["keys"][0]["secret"] == "${env:INPUT_WEB_KEYS_US1_WEB_KEY_SECRET}"
    assert "s-web" not in str(exported)
    assert with_kept_secrets(exported, data, document) == data
    for unknown in (lambda _: None, lambda each: masked(value_at(data, each))):
        hidden = replaced(data, places, {each: unknown(each) for each in places})
        assert with_kept_secrets(hidden, data, document) == data
    changed = copy.deepcopy(exported)
    changed["inputs"] = list(reversed(changed["inputs"]))  # they correspond by their names
    assert with_kept_secrets(changed, data, document)["inputs"] == data["inputs"][::-1]


def test_a_short_secret_is_masked_whole() -> None:
    assert masked("abcd1234") == "***********"
    assert masked("abcdef1234").endswith("*1234")


def test_sections_that_nobody_knows_are_merged_by_their_objects() -> None:
    """What a later version adds needs nothing here."""
    kept = {"rules": [{"id": "a", "x": 1}, {"id": "b"}], "limits": {"most": 1}}
    given_ = {"rules": [{"id": "a", "x": 2}], "limits": {"most": 2}}
    assert merged_document(kept, given_, {}) == {
        "rules": [{"id": "a", "x": 2}, {"id": "b"}],
        "limits": {"most": 2},
    }
    assert names_in(given_) == {"rules": frozenset({"a"}), "limits": frozenset({"limits"})}


def test_a_faulty_section_is_left_to_be_refused() -> None:
    after = merged_document(shop(), {**shop(), "inputs": "none"}, {})
    with pytest.raises(ConfigError, match="inputs: must be a list"):
        parse_workspace(after)
