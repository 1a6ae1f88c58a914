"""When definitions that hold will cease to, without new data (spec/audiences.md, 7)."""

import numpy as np

from actors.audiences.engine.arrays import FAR, Ints
from actors.audiences.engine.entries import EntryStore
from actors.audiences.engine.plan import Evaluation


def expirations_ms(evaluation: Evaluation, entries: EntryStore, wanted: Ints, places: Ints) -> Ints:
    """Return the instant for each of some pairs of audience and row; `FAR`: never.

    Before the mark of a definition nothing has to be looked at. If it is not sure that the
    definition changes then, it is evaluated, each row at its own tick; where it still holds, the
    search goes on from there.

    Args:
        evaluation: by which the definitions hold.
        entries: of all rows, as for the evaluation.
        wanted: indexes into the plan's wanted audiences.
        places: indexes into the evaluation's rows.
    """
    plan = evaluation.plan
    result = np.full(len(wanted), FAR, np.int64)
    pending = np.flatnonzero(plan.is_timed[wanted])
    current, place = evaluation, places[pending]
    while len(pending):
        marks = _marks(current, wanted[pending], place)
        sure = (marks & 1 == 0) & (marks < 2 * FAR)
        result[pending[sure]] = marks[sure] >> 2
        open_ = np.flatnonzero((marks & 1 == 1) & (marks < 2 * FAR))
        pending, ticks = pending[open_], marks[open_] >> 1
        if not len(pending):
            break
        rows = current.moment.rows[place[open_]]
        pairs, which = np.unique(np.stack([rows, ticks]), axis=1, return_inverse=True)
        current = plan.evaluate(entries, pairs[0], pairs[1])
        place = which.reshape(-1).astype(np.int64)
        holds = current.satisfies(wanted[pending], place)
        result[pending[~holds]] = ticks[~holds] >> 1
        pending, place = pending[holds], place[holds]
    return result


def _marks(evaluation: Evaluation, wanted: Ints, places: Ints) -> Ints:
    """Return for each pair a mark before which the definition does not change."""
    plan = evaluation.plan
    table = evaluation.flips.table(plan.leaf_lines, len(evaluation.moment.rows))
    marks = np.full(len(wanted), 2 * FAR, np.int64)
    plain = np.flatnonzero(plan.is_plain[wanted])
    if len(plain):
        # All leaves are as they have to be: the first change of any of them ends it.
        of_pair, lines = plan.plain_lines(wanted[plain])
        found = table[lines, places[plain][of_pair]]
        marks[plain] = np.minimum.reduceat(found, np.flatnonzero(np.diff(of_pair, prepend=-1)))
    others = np.flatnonzero(~plan.is_plain[wanted])
    others = others[np.argsort(wanted[others], kind="stable")]
    starts = np.flatnonzero(np.diff(wanted[others], prepend=-1))
    for which in np.split(others, starts[1:]) if len(others) else []:
        where = places[which]
        marks[which] = plan.network.stable_until(
            int(plan.roots[wanted[which[0]]]),
            lambda line, where=where: evaluation.holds(2 * line, where),  # type: ignore[misc]
            lambda line, where=where: table[line, where],  # type: ignore[misc]
        )
    return marks
