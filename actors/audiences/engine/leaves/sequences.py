"""Criteria on events in an order (`sequence`)."""

from collections.abc import Hashable

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Recency
from actors.audiences.engine.arrays import FAR, Bools, Bytes, Ints, pack, ranges
from actors.audiences.engine.cells import Cells, OwnSeries, Series, SeriesTable
from actors.audiences.engine.entries import Entries
from actors.audiences.engine.moment import Flips, Moment
from actors.audiences.engine.streams import UNLIKE, Stream

_BITS = 63


class SequenceStep(Struct, frozen=True):
    """One step: `before` takes what is to be the same as in the step before, `after` as after.

    Both have the filter of the step, so they have entries of the same events of every profile that
    has been filled for the sequence; of others, another audience may have made entries in one.
    """

    before: Stream
    after: Stream
    within_ms: int | None = None
    is_absent: bool = False


class SequenceLeaf(Struct, frozen=True):
    """There are events in the order of the steps; `recency` is of the first."""

    steps: tuple[SequenceStep, ...]
    recency: Recency


class _Found(Struct, frozen=True):
    """Events that a step found, or that ended a chain.

    Attributes:
        group: sequence and row in one number.
        order: place among the row's events.
        before, after: what is to be the same as in the event before, and after.
    """

    group: Ints
    order: Ints
    t_ms: Ints
    before: Ints
    after: Ints

    def only(self, which: Ints) -> "_Found":
        return _Found(
            self.group[which],
            self.order[which],
            self.t_ms[which],
            self.before[which],
            self.after[which],
        )


class SequenceFamily:
    """The sequences of a plan, all walked together, step by step.

    Args:
        leaves: with the series (before, after) of their steps.
        table: has all of them.
    """

    def __init__(
        self, leaves: dict[SequenceLeaf, list[tuple[Series, Series]]], table: SeriesTable
    ) -> None:
        self.size = len(leaves)
        self._lines: dict[Hashable, int] = {leaf: line for line, leaf in enumerate(leaves)}
        most = max(len(leaf.steps) for leaf in leaves)
        self._steps: list[_StepTable] = []
        for at in range(most):
            having = [(line, leaf) for line, leaf in enumerate(leaves) if at < len(leaf.steps)]
            self._steps.append(
                _StepTable(
                    np.array([line for line, _ in having], np.int64),
                    [leaf.steps[at] for _, leaf in having],
                    [leaves[leaf][at] for _, leaf in having],
                    table,
                    self.size,
                )
            )
        self._length = np.array([len(leaf.steps) for leaf in leaves], np.int64)

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Follow all chains; of a chain only its last event matters."""
        entries, _ = moment.seen()
        rows = len(moment.rows)
        truth = np.zeros(self.size * rows, np.bool_)
        order = _order(entries)
        ends: _Found | None = None
        has_end: Bools | None = None  # which sequences of which rows have got so far
        for at, step in enumerate(self._steps):
            found = step.find(moment, order, first_line, flips, has_end)
            has_end = np.zeros((self.size, rows), np.bool_)
            if ends is None:
                ends = found
                has_end.ravel()[ends.group] = True
                continue
            line = ends.group // rows
            absent = step.is_absent[line].nonzero()[0]
            if len(absent):
                lonely = ends.only(absent)
                ticks = 2 * (lonely.t_ms + step.within_ms[lonely.group // rows]) + 1
                lonely_now = moment.tick_of(lonely.group % rows)
                stays = ~step.is_followed(lonely, found, rows)
                truth[lonely.group[stays & (ticks <= lonely_now)]] = True
                later = (stays & (ticks > lonely_now)).nonzero()[0]
                group = lonely.group[later]
                flips.add(group // rows + first_line, group % rows, ticks[later])
            ends = step.follow(ends, found, rows)
            has_end.ravel()[ends.group] = True
            truth[ends.group[self._length[ends.group // rows] == at + 1]] = True
        pack(truth.reshape(self.size, rows), lines)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return how many events the first row has for each step."""
        entries, _ = moment.seen()
        line, order, rows = self._lines[leaf], _order(entries), len(moment.rows)
        counts = []
        for step in self._steps[: int(self._length[line])]:
            found = step.find(moment, order, 0, Flips())
            counts.append(int((found.group == line * rows).sum()))
        return {"events_by_step": counts}


class _StepTable:
    """The steps of one place in all sequences that are so long."""

    def __init__(
        self,
        lines: Ints,
        steps: list[SequenceStep],
        series: list[tuple[Series, Series]],
        table: SeriesTable,
        size: int,
    ) -> None:
        self._lines = lines
        self._before = OwnSeries([before for before, _ in series], table)
        self._after = OwnSeries([after for _, after in series], table)
        self._is_one = all(before == after for before, after in series)
        self.is_absent: Bools = np.zeros(size, np.bool_)
        self.within_ms = np.full(size, FAR // 4, np.int64)
        for line, step in zip(lines.tolist(), steps, strict=True):
            self.is_absent[line] = step.is_absent
            if step.within_ms is not None:
                self.within_ms[line] = step.within_ms

    def find(
        self,
        moment: Moment,
        order: Ints,
        first_line: int,
        flips: Flips,
        wanted: Bools | None = None,
    ) -> _Found:
        """Return the events that match, in the order (sequence, row, time, event).

        None of a row that has not been filled for the sequence, where that shows.

        Args:
            moment: rows and what they have.
            order: of the entries.
            first_line, flips: to be told of changes by time.
            wanted: for which sequences and rows, shape (sequences, rows); `None`: all.
        """
        entries, of_plan = moment.seen()
        rows = len(moment.rows)
        wanted = None if wanted is None else wanted[self._lines]
        cells = self._before.cells(of_plan, wanted)
        oldest = np.where(cells.count > 0, cells.first, -1)
        ticks = self._before.flips(moment.ticks, entries, cells, oldest)
        flips.add(self._lines[cells.series] + first_line, cells.place, ticks)
        places, streams, changes = entries.changes
        if len(places):
            which, series = self._before.of_streams(streams)
            flips.add(self._lines[series] + first_line, places[which], changes[which])
        group, inside = _in_groups(cells, self._lines, rows)
        before = after = entries.value[inside]
        if not self._is_one:
            of_after, other = _in_groups(self._after.cells(of_plan, wanted), self._lines, rows)
            if not np.array_equal(group, of_after):
                size = len(self.is_absent) * rows
                pairs = np.bincount(group, minlength=size) == np.bincount(of_after, minlength=size)
                inside, other = inside[pairs[group]], other[pairs[of_after]]
                group = group[pairs[group]]
            before, after = entries.value[inside], entries.value[other]
        return _Found(group, order[inside], entries.t_ms[inside], before, after)

    def follow(self, ends: _Found, found: _Found, rows: int) -> _Found:
        """Return those events that continue a chain: the latest end before each is near enough."""
        previous = _nearest(
            (ends.group, ends.after, ends.order), (found.group, found.before, found.order)
        )
        line = found.group // rows
        is_near = (
            found.t_ms - ends.t_ms[previous] <= self.within_ms[line]
            if len(ends.t_ms)
            else (np.zeros(len(line), np.bool_))
        )
        follows = (previous >= 0) & is_near & ~self.is_absent[line]
        return found.only(follows.nonzero()[0])

    def is_followed(self, ends: _Found, found: _Found, rows: int) -> Bools:
        """Tell of each end whether an event comes later in time, and near enough."""
        # Backwards in time, the nearest later event is the nearest earlier one.
        following = _nearest(
            (found.group, found.before, -found.t_ms), (ends.group, ends.after, -ends.t_ms)
        )
        if not len(found.t_ms):
            return np.zeros(len(ends.t_ms), np.bool_)
        near = found.t_ms[following] - ends.t_ms <= self.within_ms[ends.group // rows]
        followed: Bools = (following >= 0) & near
        return followed


def _in_groups(cells: Cells, lines: Ints, rows: int) -> tuple[Ints, Ints]:
    """Return the entries inside in the order (sequence, row, time, event), with their groups.

    A sequence has one cell of a row, for it looks at one stream; so only cells are sorted.
    """
    group = lines[cells.series] * rows + cells.place
    sort = group.argsort()
    count = cells.count[sort]
    return group[sort].repeat(count), ranges(cells.first[sort], count)


def _order(entries: Entries) -> Ints:
    """Return numbers in the order of the events of a row; entries of one event have the same."""
    if not len(entries.t_ms):
        return entries.t_ms
    earliest, bits = int(entries.t_ms.min()), int(entries.event.max()).bit_length()
    if (int(entries.t_ms.max()) - earliest).bit_length() + bits <= _BITS:
        return ((entries.t_ms - earliest) << bits) | entries.event
    sort = np.lexsort((entries.event, entries.t_ms))
    t_ms, event = entries.t_ms[sort], entries.event[sort]
    is_new = np.ones(len(sort), np.bool_)
    is_new[1:] = (t_ms[1:] != t_ms[:-1]) | (event[1:] != event[:-1])
    order = np.empty(len(sort), np.int64)
    order[sort] = is_new.cumsum()
    return order


def _nearest(sources: tuple[Ints, Ints, Ints], targets: tuple[Ints, Ints, Ints]) -> Ints:
    """Find for each target the source with the greatest place below its own.

    Args:
        sources, targets: group, value and place; group and value must be equal.

    Returns:
        For each target the index of the source, -1 if there is none, or its value is `UNLIKE`.
    """
    if not (len(sources[0]) and len(targets[0])):
        return np.full(len(targets[0]), -1, np.int64)
    keys = None if sources[1].any() or targets[1].any() else _keys(sources, targets)
    if keys is not None:
        of_sources, of_targets = keys
        sort = of_sources.argsort(kind="stable")  # they are nearly sorted
        source = sort[of_sources[sort].searchsorted(of_targets) - 1]
        same = (sources[0][source] == targets[0]) & (sources[2][source] < targets[2])
        return np.where(same, source, -1)
    of_source = len(sources[0])
    group, value, place = (np.concatenate(pair) for pair in zip(sources, targets, strict=True))
    is_source = np.arange(len(group)) < of_source
    # A target comes before the sources of its own place.
    sort = np.lexsort((is_source, place, value, group))
    index = np.where(is_source[sort], np.arange(len(sort)), -1)
    last = np.maximum.accumulate(index)
    source = np.where(last >= 0, sort[last], -1)
    same = (
        (source >= 0)
        & (group[source] == group[sort])
        & (value[source] == value[sort])
        & (value[sort] != UNLIKE)
    )
    nearest = np.full(len(group), -1, np.int64)
    nearest[sort] = np.where(same, source, -1)
    return nearest[of_source:]


def _keys(
    sources: tuple[Ints, Ints, Ints], targets: tuple[Ints, Ints, Ints]
) -> tuple[Ints, Ints] | None:
    """Return numbers in the order (group, place); `None` if they do not fit into 63 bits."""
    earliest = min(int(sources[2].min()), int(targets[2].min()))
    latest = max(int(sources[2].max()), int(targets[2].max()))
    last_group = max(int(sources[0].max()), int(targets[0].max()))
    bits = (latest - earliest).bit_length()
    if last_group.bit_length() + bits > _BITS:
        return None
    of_sources, of_targets = (
        (group << bits) | (place - earliest) for group, _, place in (sources, targets)
    )
    return of_sources, of_targets
