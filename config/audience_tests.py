"""Runs the tests of the document's audiences (`headwater config validate`)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from actors.audiences.language.dependencies import criteria_of
from actors.audiences.trial import SentBatch, try_user
from actors.errors import BatchRejected
from config.audience_definitions import Definitions
from config.audiences import Audience, AudienceTest
from config.errors import Found
from config.workspace import WorkspaceDocument

# The instant of a test that says nothing of time: it is always the same.
DEFAULT_NOW = "2026-01-01T00:00:00Z"


def failed_tests(document: WorkspaceDocument) -> Iterator[Found]:
    """Run all tests of a valid document; list those that do not come out as they say."""
    if not any(each.tests for each in document.audiences):
        return
    bench = _Bench(document)
    for index, audience in enumerate(document.audiences):
        for place, test in enumerate(audience.tests):
            problem = bench.run(audience, test)
            if problem is not None:
                yield ("audiences", index, "tests", place), problem


class _Bench(Definitions):
    """What all tests of a document have in common."""

    def run(self, audience: Audience, test: AudienceTest) -> str | None:
        """Return what is wrong with a test, `None` if it comes out as it says."""
        number = self.numbers.audiences[audience.id]
        node = self.nodes[number]
        targets = {
            each: found
            for each, found in self.nodes.items()
            if each in self.active and each != number
        }
        now_ms = _now_ms(test)
        sent = self._batches(test, now_ms)
        try:
            outcome = try_user(node, targets, self.attributes, sent, now_ms, self.workspace)
        except BatchRejected as error:
            problem = error.problems[0]
            return f"the Events API would refuse {problem.path}: {problem.message}"
        if outcome.is_member == (test.expect == "member"):
            return None
        parts = zip(criteria_of(node), outcome.criteria, strict=True)
        shown = ", ".join(
            f"{named.id or place} is {str(holds).lower()}"
            for place, (named, holds) in enumerate(parts, 1)
        )
        verdict = "is a member" if outcome.is_member else "is no member"
        return f"'{test.name}': the user {verdict}; criteria in their order: {shown}"

    def _batches(self, test: AudienceTest, now_ms: int) -> list[SentBatch]:
        """Return what the user sends: first what is known of the user, then events in order."""
        inputs = self.numbers.inputs
        first_input = next(iter(self.workspace.inputs))
        events = sorted(
            (
                (now_ms if each.at is None else _instant_ms(each.at), place, each)
                for place, each in enumerate(test.events)
            ),
            key=lambda entry: entry[:2],
        )
        about: dict[str, Any] = {
            "user_attributes": test.attributes,
            "user_identities": test.identities,
            "consent_state": test.consent,
            "device_info": test.device,
        }
        start_ms = min([now_ms, *(at_ms for at_ms, _, _ in events)])
        batches = [SentBatch({"events": [], **about}, first_input, start_ms)]
        for at_ms, _, each in events:
            data = {"timestamp_unixtime_ms": at_ms, **each.data}
            body = {"events": [{"event_type": each.event_type, "data": data}]}
            source = first_input if each.input is None else inputs[each.input]
            batches.append(SentBatch(body, source, at_ms))
        return batches


def _now_ms(test: AudienceTest) -> int:
    """Return the instant of a test: as it says, else that of its last event."""
    if test.now is not None:
        return _instant_ms(test.now)
    times = [_instant_ms(each.at) for each in test.events if each.at is not None]
    return max(times, default=_instant_ms(DEFAULT_NOW))


def _instant_ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
