"""Forwarding rules: spec/connections.md, 2.3, cases 1 to 7; spec/rules.md, 6, cases 25 and 26."""

from typing import Any, get_args

import pytest

from actors.batches.coerce import text_of
from actors.model.batches import StoredBatch
from actors.model.profiles import AttributeValue, Attribution, ConsentRecord, Lookup, Profile
from actors.pipeline.candidate import STEPS
from actors.pipeline.settings import (
    AttributionRule,
    ConsentRule,
    EventAttributeRule,
    IdSyncRule,
    PipelineSettings,
    Rule,
    UserAttributeRule,
)
from tests.actors.pipeline.support import batch_of, connection_of, custom, event, ids_of, run, sent
from tests.actors.test_outgoing import profile


def through(*rules: Rule) -> PipelineSettings:
    return PipelineSettings(rules=rules)


def is_sent(rule: Rule, batch: StoredBatch, user: Profile | None) -> bool:
    payloads, drops = run(connection_of(through(rule)), batch, user)
    assert bool(payloads) is not bool(drops)
    return bool(payloads)


def attributed(value: Any) -> StoredBatch:
    return batch_of(custom("Buy", attributes={"plan": value}))


@pytest.mark.parametrize("includes", [True, False])
@pytest.mark.parametrize("matches", [True, False])
def test_the_truth_table(includes: bool, matches: bool) -> None:
    rule = EventAttributeRule(includes, "plan", "gold")
    assert is_sent(rule, attributed("gold" if matches else "blue"), None) is (includes is matches)


def test_case_1_only_events_with_the_attribute_are_included() -> None:
    events = (
        custom("A", 1, attributes={"plan": "gold"}),
        custom("A", 2, attributes={"plan": "Gold"}),
        custom("A", 3, attributes={}),
        custom("A", 4),
        event("session_start", 5),
    )
    pipeline = through(EventAttributeRule(True, "plan", "gold"))
    [payload], drops = run(connection_of(pipeline), batch_of(*events))
    assert ids_of(payload) == [1, 5]
    reason = "forwarding_rule:event_attribute"
    assert [(each.reason, each.event_index) for each in drops] == [
        (reason, 1),
        (reason, 2),
        (reason, 3),
    ]


def test_cases_2_and_26_events_with_the_attribute_are_excluded() -> None:
    events = (
        custom("A", 1),
        custom("A", 2, attributes={"internal": "true"}),
        event("session_start", 3),
    )
    pipeline = through(EventAttributeRule(False, "internal", "true"))
    assert ids_of(sent(pipeline, batch_of(*events))) == [1, 3]


@pytest.mark.parametrize("kind", ["screen_view", "commerce_event"])
def test_screens_and_commerce_events_have_attributes_too(kind: str) -> None:
    batch = batch_of(event(kind, custom_attributes={"plan": "blue"}))
    assert not is_sent(EventAttributeRule(True, "plan", "gold"), batch, None)


def test_attributes_of_products_do_not_count() -> None:
    product = {"id": "1", "custom_attributes": {"plan": "gold"}}
    action = {"action": "purchase", "products": [product]}
    batch = batch_of(event("commerce_event", product_action=action))
    assert not is_sent(EventAttributeRule(True, "plan", "gold"), batch, None)


@pytest.mark.parametrize(
    ("value", "matches"), [(10, True), (10.0, True), ("10", True), ("10.0", False)]
)
def test_case_3_values_are_compared_in_their_string_form(value: Any, matches: bool) -> None:
    kept = value if isinstance(value, str) else text_of(value)  # as the decoder keeps it
    assert is_sent(EventAttributeRule(True, "plan", "10"), attributed(kept), None) is matches


def with_consent(regulation: str, **purposes: bool) -> Profile:
    records = {name: ConsentRecord(consented, 1, 1) for name, consented in purposes.items()}
    return profile(consent_state={regulation: records})


OPT_OUT = ConsentRule(False, (("ccpa", "data_sale_opt_out", True),))


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (profile(), True),
        (with_consent("ccpa", data_sale_opt_out=True), False),
        (with_consent("ccpa", data_sale_opt_out=False), True),
        (None, True),
    ],
)
def test_case_4_users_who_opted_out_are_excluded(user: Profile | None, expected: bool) -> None:
    assert is_sent(OPT_OUT, batch_of(custom("A")), user) is expected


MARKETING_OR_ANALYTICS = ConsentRule(
    True, (("gdpr", "marketing", True), ("gdpr", "analytics", True))
)


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (with_consent("gdpr", marketing=False, analytics=True), True),
        (with_consent("gdpr", marketing=False), False),
        (profile(), False),
        (None, False),
    ],
)
def test_case_5_any_of_the_purposes_suffices(user: Profile | None, expected: bool) -> None:
    assert is_sent(MARKETING_OR_ANALYTICS, batch_of(custom("A")), user) is expected


def identified(*lookups: tuple[str, str]) -> Profile:
    return Profile(1, lookups=[Lookup(*each, link=1) for each in lookups])


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (identified(("device_application_stamp", "d-1")), False),
        (identified(("email", "e@example.com"), ("device_application_stamp", "d-1")), True),
        (None, False),
    ],
)
def test_case_6_users_with_a_login_id_are_forwarded(user: Profile | None, expected: bool) -> None:
    rule = IdSyncRule(frozenset({"customerid", "email"}))
    assert is_sent(rule, batch_of(custom("A")), user) is expected


def test_case_7_all_rules_have_to_allow() -> None:
    pipeline = through(
        EventAttributeRule(False, "internal", "true"),
        ConsentRule(True, (("gdpr", "analytics", True),)),
    )
    consenting = with_consent("gdpr", analytics=True)
    internal = batch_of(custom("A", attributes={"internal": "true"}))
    payloads, drops = run(connection_of(pipeline), internal, consenting)
    assert (payloads, [each.reason for each in drops]) == ([], ["forwarding_rule:event_attribute"])
    payloads, drops = run(connection_of(pipeline), internal, profile())
    assert (payloads, [each.reason for each in drops]) == ([], ["forwarding_rule:consent"])
    assert ids_of(sent(pipeline, batch_of(custom("A", 7)), consenting)) == [7]


@pytest.mark.parametrize(
    ("value", "expected"), [("CA", True), ("ca", False), (["CA"], False), (None, False)]
)
def test_case_25_user_attributes_are_compared_exactly(value: Any, expected: bool) -> None:
    user = profile(user_attributes={"country": AttributeValue(value, 1, 2)})
    rule = UserAttributeRule(True, "country", "CA")
    assert is_sent(rule, batch_of(custom("A")), user) is expected


def test_attributes_of_a_batch_that_is_nobodys_do_not_match() -> None:
    batch = batch_of(custom("A"), user_attributes={"country": "CA"})
    assert not is_sent(UserAttributeRule(True, "country", "CA"), batch, None)


INSTALLS = [
    Attribution("install", "p", "old", "c", 10, "d-1"),
    Attribution("install", "p", "ads", "c", 20, "d-2"),
    Attribution("uninstall", "p", "gone", "c", 30, "d-2"),
]


@pytest.mark.parametrize(
    ("sent_info", "rule", "expected"),
    [
        pytest.param({"publisher": "ads"}, AttributionRule(True, "ads"), True, id="the batch's"),
        pytest.param({"publisher": "Ads"}, AttributionRule(True, "ads"), False, id="exact"),
        pytest.param({}, AttributionRule(True, "ads"), True, id="else the user's last install"),
        pytest.param({}, AttributionRule(True, "old"), False, id="not an earlier one"),
        pytest.param({"publisher": "x"}, AttributionRule(True, "ads"), False, id="batch's first"),
        pytest.param({}, AttributionRule(True, "ads", "p", "c"), True, id="with its campaign"),
        pytest.param({}, AttributionRule(True, "ads", "p", "d"), False, id="another campaign"),
        pytest.param({}, AttributionRule(False, "ads"), False, id="excluded"),
    ],
)
def test_attribution(sent_info: dict[str, Any], rule: AttributionRule, expected: bool) -> None:
    batch = batch_of(custom("A"), attribution_info=sent_info)
    assert is_sent(rule, batch, profile(attribution=INSTALLS)) is expected


def test_a_user_without_attribution_does_not_match() -> None:
    assert not is_sent(AttributionRule(True, "ads"), batch_of(custom("A")), profile())
    assert is_sent(AttributionRule(False, "ads"), batch_of(custom("A")), None)


def test_rules_of_the_batch_decide_alone_on_one_without_events() -> None:
    user = with_consent("gdpr", analytics=True)
    rule = ConsentRule(True, (("gdpr", "analytics", True),))
    both = through(EventAttributeRule(True, "a", "b"), rule)
    assert sent(both, batch_of(), user)["events"] == []
    payloads, _ = run(connection_of(both), batch_of(), profile())
    assert payloads == []


@pytest.mark.parametrize("kind", get_args(Rule))
def test_the_step_of_every_kind_is_known(kind: Any) -> None:
    assert STEPS[f"forwarding_rule:{kind.__struct_config__.tag}"] in (6, 7)
