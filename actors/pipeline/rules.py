"""Steps 6 and 7: forwarding rules (spec/connections.md, 2.3; spec/rules.md, 6).

A rule that includes lets through what matches, one that excludes what does not; all have to.
"""

from collections.abc import Callable

from actors.model.batches import Event
from actors.pipeline.candidate import Candidate, Step
from actors.pipeline.settings import (
    AttributionRule,
    ConsentRule,
    EventAttributeRule,
    IdSyncRule,
    Rule,
    UserAttributeRule,
)

EVENT_TYPES_WITH_ATTRIBUTES = frozenset({"custom_event", "screen_view", "commerce_event"})

BatchRule = UserAttributeRule | AttributionRule | ConsentRule | IdSyncRule


def rule_step(rule: Rule) -> Step:
    """Make the step of one rule."""
    reason = f"forwarding_rule:{rule.__struct_config__.tag}"
    if isinstance(rule, EventAttributeRule):
        return _of_events(rule, reason)
    matches = _matcher(rule)
    includes = rule.includes

    def check_rule(candidate: Candidate) -> str | None:
        return None if matches(candidate) is includes else reason

    return check_rule


def _of_events(rule: EventAttributeRule, reason: str) -> Step:
    name, value, includes = rule.name, rule.value, rule.includes

    def is_kept(event: Event) -> bool:
        if event.event_type not in EVENT_TYPES_WITH_ATTRIBUTES:
            return True
        attributes = event.get("custom_attributes")
        # Values are texts already, in the string form that rules compare.
        return (attributes is not None and attributes.get(name) == value) is includes

    def check_events(candidate: Candidate) -> None:
        candidate.keep(is_kept, reason)

    return check_events


def _matcher(rule: BatchRule) -> Callable[[Candidate], bool]:
    match rule:
        case UserAttributeRule():
            return lambda candidate: _has_attribute(candidate, rule.name, rule.value)
        case AttributionRule():
            return lambda candidate: _is_attributed(candidate, rule)
        case ConsentRule():
            return lambda candidate: _has_consent(candidate, rule.purposes)
        case IdSyncRule():
            return lambda candidate: _has_login(candidate, rule.login_ids)


def _has_attribute(candidate: Candidate, name: str, value: str) -> bool:
    if candidate.profile is None:
        return False
    attributes = candidate.outgoing["user_attributes"]
    if name in attributes:
        return bool(attributes[name] == value)
    # The feed of calculated attributes shows only what has changed.
    section = candidate.section
    kept = None if section is None else section.user_attributes.get(name)
    return kept is not None and kept.value == value


def _is_attributed(candidate: Candidate, rule: AttributionRule) -> bool:
    """Look at the batch's attribution, else at the last one that is kept of the user."""
    sent = candidate.stored.batch.attribution_info
    if any(sent.values()):
        found = (sent.get("publisher"), sent.get("service_provider"), sent.get("campaign"))
    else:
        section = candidate.section
        installs = (
            []
            if section is None
            else [each for each in section.attribution if each.event == "install"]
        )
        if not installs:
            return False
        last = max(installs, key=lambda each: each.timestamp_ms)
        found = (last.publisher, last.service_provider, last.campaign)
    wanted = (rule.publisher, rule.service_provider, rule.campaign)
    return all(each is None or each == value for each, value in zip(wanted, found, strict=True))


def _has_consent(candidate: Candidate, purposes: tuple[tuple[str, str, bool], ...]) -> bool:
    section = candidate.section
    if section is None:
        return False
    for regulation, purpose, has_consented in purposes:
        record = section.consent_state.get(regulation, {}).get(purpose)
        if record is not None and record.consented is has_consented:
            return True
    return False


def _has_login(candidate: Candidate, login_ids: frozenset[str]) -> bool:
    profile = candidate.profile
    return profile is not None and any(each.type in login_ids for each in profile.lookups)
