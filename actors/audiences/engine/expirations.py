"""When definitions that hold will cease to, without new data (spec/audiences.md, 7)."""

import numpy as np

from actors.audiences.engine.arrays import FAR, Ints
from actors.audiences.engine.entries import EntryStore
from actors.audiences.engine.moment import NO_MARK, UNSURE
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
        table = current.flips.table(plan.leaf_lines, len(current.moment.rows))
        lines = plan.roots[wanted[pending]] >> 1
        marks = plan.network.marks(lines, place, current.truth, table)
        is_sure, ever = marks & 3 < UNSURE, marks < NO_MARK
        result[pending[is_sure & ever]] = marks[is_sure & ever] >> 3
        open_ = np.flatnonzero(~is_sure & ever)
        pending, ticks = pending[open_], marks[open_] >> 2
        if not len(pending):
            break
        rows = current.moment.rows[place[open_]]
        pairs, which = np.unique(np.stack([rows, ticks]), axis=1, return_inverse=True)
        families = plan.families_of(wanted[pending])
        current = plan.evaluate(entries, pairs[0], pairs[1], families)
        place = which.reshape(-1).astype(np.int64)
        holds = current.satisfies(wanted[pending], place)
        result[pending[~holds]] = ticks[~holds] >> 1
        pending, place = pending[holds], place[holds]
    return result
