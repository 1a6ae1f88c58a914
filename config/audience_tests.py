"""Runs the tests of the document's audiences (`headwater config validate`)."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from actors.audiences.language.dependencies import criteria_of
from actors.audiences.trial import SentBatch, Tried, try_user
from actors.errors import BatchRejected
from config.audience_definitions import Definitions
from config.audiences import Audience, AudienceTest, KnownUser
from config.errors import Found
from config.workspace import WorkspaceDocument

# The instant of a test that says nothing of time: it is always the same.
DEFAULT_NOW = "2026-01-01T00:00:00Z"


def failed_tests(
    document: WorkspaceDocument, others: Sequence[WorkspaceDocument] = ()
) -> Iterator[Found]:
    """Run all tests of a valid document; list those that do not come out as they say.

    `others`: the other documents of the deployment; without one that an audience over several
    workspaces needs, its tests are not run.
    """
    if not any(each.tests for each in document.audiences):
        return
    bench = _Bench(document, others)
    for index, audience in enumerate(document.audiences):
        if bench.numbers.audiences[audience.id] not in bench.nodes:
            continue
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
        targets = {each: self._tried(each) for each in self.active if each != number}
        now_ms = _now_ms(test)
        sent = self._batches(test, now_ms)
        places = list(self.places.values())
        try:
            outcome = try_user(self._tried(number), targets, places, sent, now_ms)
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

    def _tried(self, number: int) -> Tried:
        return Tried(self.nodes[number], self.over.get(number, ()))

    def _batches(self, test: AudienceTest, now_ms: int) -> list[SentBatch]:
        """Return what the user sends: first what is known of the user, then events in order."""
        events = sorted(
            (
                (now_ms if each.at is None else _instant_ms(each.at), place, each)
                for place, each in enumerate(test.events)
            ),
            key=lambda entry: entry[:2],
        )
        start_ms = min([now_ms, *(at_ms for at_ms, _, _ in events)])
        known = {self.numbers.workspaces[name]: each for name, each in test.workspaces.items()}
        if test.is_known or not (known or events):
            known = {self.workspace.number: test} | known
        batches = [
            SentBatch(_about(each), number, self._first_input(number), start_ms)
            for number, each in known.items()
        ]
        for at_ms, _, each in events:
            data = {"timestamp_unixtime_ms": at_ms, **each.data}
            body = {"events": [{"event_type": each.event_type, "data": data}]}
            source = self._input(each.input)
            batches.append(SentBatch(body, self._workspace_of(source), source, at_ms))
        return batches

    def _input(self, name: str | None) -> int:
        if name is None:
            return self._first_input(self.workspace.number)
        numbers = self.numbers
        return numbers.inputs[name] if name in numbers.inputs else numbers.all_inputs[name]

    def _first_input(self, workspace: int) -> int:
        return next(iter(self.places[workspace].workspace.inputs))

    def _workspace_of(self, source: int) -> int:
        return next(
            number for number, each in self.places.items() if source in each.workspace.inputs
        )


def _about(known: KnownUser) -> dict[str, Any]:
    return {
        "events": [],
        "user_attributes": known.attributes,
        "user_identities": known.identities,
        "consent_state": known.consent,
        "device_info": known.device,
    }


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
