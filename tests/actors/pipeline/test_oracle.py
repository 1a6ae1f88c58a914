"""The steps of random connections, on random batches, against a plain second implementation."""

import copy
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.model.batches import Event
from actors.model.profiles import AttributeValue, ConsentRecord, Lookup, Profile, Section
from config.compiled_connections import connection_infos
from config.numbers import Numbers, assign_numbers
from config.workspace import WorkspaceDocument
from tests.actors.pipeline.support import batch_of, run
from tests.actors.test_outgoing import stored
from tests.config.documents import setting, shop
from tests.oracle.pipeline import attributes, forward

NAMES = st.sampled_from(["A", "B", "a"])
VALUES = st.sampled_from(["1", "2", "true"])
TYPES = st.sampled_from(["navigation", "other"])
COMMERCE = st.sampled_from(["product_purchase", "product_click", "promotion_view"])
ATTRIBUTES = st.dictionaries(NAMES, VALUES, max_size=3)
ACTIONS = st.sampled_from(["include", "exclude"])


def listed(members: Any, most: int = 2) -> Any:
    return st.fixed_dictionaries({"disabled": st.lists(members, max_size=most)})


def fixed(**members: Any) -> Any:
    return st.fixed_dictionaries(members)


PURPOSES = st.one_of(
    fixed(
        regulation=st.just("gdpr"),
        purpose=st.sampled_from(["marketing", "analytics"]),
        has_consented=st.booleans(),
    ),
    fixed(
        regulation=st.just("ccpa"),
        purpose=st.just("data_sale_opt_out"),
        has_consented=st.booleans(),
    ),
)
RULES = st.one_of(
    fixed(kind=st.just("event_attribute"), action=ACTIONS, name=NAMES, value=VALUES),
    fixed(kind=st.just("user_attribute"), action=ACTIONS, name=NAMES, value=VALUES),
    fixed(
        kind=st.just("consent"),
        action=ACTIONS,
        purposes=st.lists(PURPOSES, min_size=1, max_size=2),
    ),
    fixed(kind=st.just("id_sync"), action=st.just("include")),
)
FILTERS = fixed(
    event_types=listed(TYPES, 1),
    events=listed(fixed(event_type=TYPES, name=NAMES)),
    event_attributes=listed(fixed(event_type=TYPES, name=NAMES, attribute=NAMES), 4),
    screens=listed(NAMES, 1),
    screen_attributes=listed(fixed(name=NAMES, attribute=NAMES), 4),
    commerce=listed(COMMERCE, 1),
    commerce_attributes=listed(fixed(event_type=COMMERCE, attribute=NAMES), 4),
    user_attributes=fixed(all=st.booleans(), disabled=st.lists(NAMES, max_size=1)),
)
VERSIONS = st.sampled_from(["4", "4.2", "4.2.0", "4.10", "0"])
CONNECTIONS = fixed(
    forwarding_rules=st.lists(RULES, max_size=3),
    filters=FILTERS,
    sampling=st.none() | fixed(percentage=st.sampled_from([0, 25, 50.5, 99.99, 100]), salt=NAMES),
    min_app_version=st.none() | VERSIONS,
)


@st.composite
def events(draw: Any) -> dict[str, Any]:
    kind = draw(
        st.sampled_from(
            ["custom_event", "screen_view", "commerce_event", "user_attribute_change", "opt_out"]
        )
    )
    data: dict[str, Any] = {}
    if kind in ("custom_event", "screen_view", "commerce_event") and draw(st.booleans()):
        data["custom_attributes"] = draw(ATTRIBUTES)
    if kind == "custom_event":
        data |= {"event_name": draw(NAMES), "custom_event_type": draw(TYPES)}
    elif kind == "screen_view":
        data["screen_name"] = draw(NAMES)
    elif kind == "commerce_event":
        part, _, action = draw(COMMERCE).partition("_")
        if part == "product":
            product = {"id": "1", "custom_attributes": draw(ATTRIBUTES)}
            data["product_action"] = {"action": action, "products": [product]}
        else:
            data["promotion_action"] = {"action": action, "promotions": [{"id": "1"}]}
    elif kind == "user_attribute_change":
        data["user_attribute_name"] = draw(NAMES)
    else:
        data["is_opted_out"] = True
    return {"event_type": kind, "data": data}


BATCHES = fixed(
    mpid=st.integers(1, 2**53),
    app_version=st.none() | VERSIONS | st.just("4.x"),
    events=st.lists(events(), min_size=1, max_size=5),
)
USERS = st.none() | fixed(
    attributes=ATTRIBUTES,
    consent=fixed(
        gdpr=st.dictionaries(st.sampled_from(["marketing", "analytics"]), st.booleans()),
        ccpa=st.dictionaries(st.just("data_sale_opt_out"), st.booleans()),
    ),
    logins=st.lists(st.sampled_from(["customerid", "email"]), unique=True),
)
LOGIN_IDS = ["customerid"]


def profile_of(user: dict[str, Any]) -> Profile:
    section = Section(
        1,
        1,
        user_attributes={name: AttributeValue(v, 1, 1) for name, v in user["attributes"].items()},
        consent_state={
            regulation: {name: ConsentRecord(each, 1, 1) for name, each in purposes.items()}
            for regulation, purposes in user["consent"].items()
        },
    )
    lookups = [Lookup(each, "v", 1) for each in user["logins"]]
    return Profile(1, lookups=lookups, workspaces={5: section})


@settings(deadline=None, max_examples=300)
@given(BATCHES, USERS, CONNECTIONS, st.booleans())
def test_connections_forward_what_a_plain_implementation_forwards(
    batch: dict[str, Any], user: dict[str, Any] | None, written: dict[str, Any], is_feed: bool
) -> None:
    settings = {"include_user_attribute_change_events": True}
    changes = {name: each for name, each in written.items() if each is not None}
    document = WorkspaceDocument.model_validate(
        shop(
            *(setting(f"connections.0.{name}", each) for name, each in changes.items()),
            setting("connections.0.settings", settings),
            setting("connections.0.input", "crm" if is_feed else "web"),
        )
    )
    info = connection_infos(document, assign_numbers(document, Numbers()))[0]
    made = batch_of(
        *(
            Event(each["event_type"], 1, copy.deepcopy(each["data"]), index + 1)
            for index, each in enumerate(batch["events"])
        ),
        application_info=(
            {} if batch["app_version"] is None else {"application_version": batch["app_version"]}
        ),
    )
    made = stored(made.batch, mpid=batch["mpid"])
    payloads, drops = run(info, made, None if user is None else profile_of(user))
    plain = changes | {"login_ids": LOGIN_IDS, "is_feed": is_feed}
    expected, lost = forward(batch, user, plain)
    found = [
        {"event_type": each["event_type"], "data": {**each["data"]}}
        for payload in payloads
        for each in payload["events"]
    ]
    for each in found:
        for name in ("event_id", "message_id", "message_type"):
            del each["data"][name]
    assert found == expected
    assert Counter((each.reason, each.event_index) for each in drops) == Counter(lost)
    for payload in payloads:
        assert payload["user_attributes"] == attributes(user, plain)
