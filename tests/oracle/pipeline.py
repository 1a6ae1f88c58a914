"""A plain second implementation of what a connection lets through, to check the steps against.

It works on JSON values and a workspace document's own words, one event after the other, and shares
nothing with `actors.pipeline`.
"""

import copy
from hashlib import sha256
from typing import Any

Json = dict[str, Any]
# (reason, index of the event or None for the whole batch)
Lost = tuple[str, int | None]


def forward(batch: Json, user: Json | None, connection: Json) -> tuple[list[Json], list[Lost]]:
    """Return the events that go out, as they go out, and what was left out.

    Args:
        batch: `mpid`, `app_version`, `events` of `{"event_type", "data"}`.
        user: `attributes`, `consent` (regulation to purpose to bool), `logins`; `None`: nobody's.
        connection: as in a workspace document, `login_ids` and `is_feed` beside.
    """
    reason = _refused(batch, user, connection)
    if reason is not None:
        return [], [(reason, None)]
    events: list[Json] = []
    lost: list[Lost] = []
    for index, event in enumerate(batch["events"]):
        why = _why_not(event, connection)
        if why is None:
            events.append(_cut(event, connection["filters"]))
        else:
            lost.append((why, index))
    return events, lost


def attributes(user: Json | None, connection: Json) -> Json:
    """Return the user attributes that go out."""
    switches = connection["filters"]["user_attributes"]
    if user is None or not switches["all"]:
        return {}
    shown = dict(user["attributes"])
    for name in switches["disabled"]:
        shown.pop(name, None)
    return shown


def _refused(batch: Json, user: Json | None, connection: Json) -> str | None:
    sampling = connection.get("sampling")
    if sampling is not None:
        who = f"{sampling['salt']}:{batch['mpid']}".encode()
        place = int(sha256(who).hexdigest()[:16], 16) % 10_000
        if not place < round(sampling["percentage"] * 100):
            return "sampled_out"
    least = connection.get("min_app_version")
    if least is not None:
        sent = batch["app_version"]
        if sent is None or not all(part.isdigit() for part in sent.split(".")):
            if not connection["is_feed"]:
                return "min_app_version"
        else:
            have, need = ([int(part) for part in text.split(".")] for text in (sent, least))
            length = max(len(have), len(need))
            have += [0] * (length - len(have))
            need += [0] * (length - len(need))
            if have < need:
                return "min_app_version"
    for rule in connection["forwarding_rules"]:
        if rule["kind"] != "event_attribute" and not _allows(
            rule, _matches(rule, user, connection)
        ):
            return f"forwarding_rule:{rule['kind']}"
    return None


def _allows(rule: Json, is_match: bool) -> bool:
    if rule["action"] == "include":
        return is_match
    return not is_match


def _matches(rule: Json, user: Json | None, connection: Json) -> bool:
    if user is None:
        return False
    if rule["kind"] == "user_attribute":
        return bool(user["attributes"].get(rule["name"]) == rule["value"])
    if rule["kind"] == "consent":
        for purpose in rule["purposes"]:
            kept = user["consent"].get(purpose["regulation"], {})
            if kept.get(purpose["purpose"]) == purpose["has_consented"]:
                return True
        return False
    return bool(set(user["logins"]) & set(connection["login_ids"]))


def _why_not(event: Json, connection: Json) -> str | None:
    kind, data = event["event_type"], event["data"]
    if kind in ("custom_event", "screen_view", "commerce_event"):
        for rule in connection["forwarding_rules"]:
            if rule["kind"] == "event_attribute":
                value = data.get("custom_attributes", {}).get(rule["name"], "\0")
                if not _allows(rule, value == rule["value"]):
                    return "forwarding_rule:event_attribute"
    filters = connection["filters"]
    is_off = False
    if kind == "custom_event":
        event_type, name = data["custom_event_type"], data["event_name"]
        is_off = event_type in filters["event_types"]["disabled"] or any(
            (each["event_type"], each["name"]) == (event_type, name)
            for each in filters["events"]["disabled"]
        )
    elif kind == "screen_view":
        is_off = data["screen_name"] in filters["screens"]["disabled"]
    elif kind == "commerce_event":
        is_off = _commerce(data) in filters["commerce"]["disabled"]
    elif kind == "user_attribute_change":
        users = filters["user_attributes"]
        is_off = not users["all"] or data["user_attribute_name"] in users["disabled"]
    return "filtered" if is_off else None


def _commerce(data: Json) -> str:
    if "product_action" in data:
        return "product_" + str(data["product_action"]["action"])
    return "promotion_" + str(data["promotion_action"]["action"])


def _cut(event: Json, filters: Json) -> Json:
    event = copy.deepcopy(event)
    kind, data = event["event_type"], event["data"]
    hidden: list[str] = []
    if kind == "custom_event":
        hidden = [
            each["attribute"]
            for each in filters["event_attributes"]["disabled"]
            if each["event_type"] == data["custom_event_type"]
            and each["name"] == data["event_name"]
        ]
    elif kind == "screen_view":
        hidden = [
            each["attribute"]
            for each in filters["screen_attributes"]["disabled"]
            if each["name"] == data["screen_name"]
        ]
    elif kind == "commerce_event":
        hidden = [
            each["attribute"]
            for each in filters["commerce_attributes"]["disabled"]
            if each["event_type"] == _commerce(data)
        ]
    holders = [data, *data.get("product_action", {}).get("products", [])]
    for holder in holders:
        for name in hidden:
            holder.get("custom_attributes", {}).pop(name, None)
    return event
