"""Sets of instants, for conditions on events that hold only for some time.

A set is a list of spans of ticks, first and last included, ascending and apart. It says at which
instants of evaluation a condition such as `within_last` holds of a date that an event carries.
"""

from actors.audiences.engine.arrays import FAR

Span = tuple[int, int]
Spans = list[Span]

ALWAYS: Spans = [(-FAR, FAR)]
NEVER: Spans = []


def union(sets: list[Spans]) -> Spans:
    """Return the instants that are in any of the sets."""
    merged: Spans = []
    for first, last in sorted(span for spans in sets for span in spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(last, merged[-1][1])
        else:
            merged.append((first, last))
    return merged


def complement(spans: Spans) -> Spans:
    """Return the instants that are not in a set."""
    result: Spans = []
    at = -FAR
    for first, last in spans:
        if at < first:
            result.append((at, first - 1))
        at = last + 1
    if at <= FAR:
        result.append((at, FAR))
    return result


def intersection(sets: list[Spans]) -> Spans:
    """Return the instants that are in all of the sets."""
    return complement(union([complement(spans) for spans in sets]))
