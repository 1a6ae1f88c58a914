"""When definitions that hold will cease to, without new data (spec/audiences.md, 7)."""

import numpy as np

from actors.audiences.engine.arrays import FAR, Bools, Ints
from actors.audiences.engine.entries import EntryStore
from actors.audiences.engine.plan import Evaluation


def expirations_ms(evaluation: Evaluation, entries: EntryStore, wanted: Ints, places: Ints) -> Ints:
    """Return the instant for each of some pairs of audience and row; `FAR`: never.

    Until the first tick at which a definition may change nothing is to be looked at. At that tick
    it is evaluated, each row at its own; where it still holds, the search goes on from there.

    Args:
        evaluation: by which the definitions hold.
        entries: of all rows, as for the evaluation.
        wanted: indexes into the plan's wanted audiences.
        places: indexes into the evaluation's rows.
    """
    plan = evaluation.plan
    result = np.full(len(wanted), FAR, np.int64)
    pending = np.arange(len(wanted))
    current, place = evaluation, places
    while len(pending):
        ticks = _stable_until(current, wanted[pending], place)
        comes = np.flatnonzero(ticks < FAR)
        pending, ticks, place = pending[comes], ticks[comes], place[comes]
        if not len(pending):
            break
        rows = current.moment.rows[place]
        pairs, which = np.unique(np.stack([rows, ticks]), axis=1, return_inverse=True)
        which = which.reshape(-1)
        current = plan.evaluate(entries, pairs[0], pairs[1])
        place = which.astype(np.int64)
        holds = _holds(current, wanted[pending], place)
        result[pending[~holds]] = ticks[~holds] >> 1
        pending, place = pending[holds], place[holds]
    return result


def _holds(evaluation: Evaluation, wanted: Ints, places: Ints) -> Bools:
    holds = np.zeros(len(wanted), np.bool_)
    for audience in np.unique(wanted).tolist():
        which = np.flatnonzero(wanted == audience)
        holds[which] = evaluation.holds(int(evaluation.plan.roots[audience]), places[which])
    return holds


def _stable_until(evaluation: Evaluation, wanted: Ints, places: Ints) -> Ints:
    """Return for each pair a tick before which the definition does not change."""
    network = evaluation.plan.network
    rows = np.unique(places)
    table = evaluation.flips.table(evaluation.plan.leaf_lines, rows, len(evaluation.moment.rows))
    column = np.searchsorted(rows, places)
    ticks = np.full(len(wanted), FAR, np.int64)
    order = np.argsort(wanted, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(wanted[order]) != 0))
    for which in np.split(order, starts[1:]):
        literal = int(evaluation.plan.roots[wanted[which[0]]])
        at, where = column[which], places[which]
        ticks[which] = network.stable_until(
            literal,
            lambda line, where=where: evaluation.holds(2 * line, where),  # type: ignore[misc]
            lambda line, at=at: table[line, at],  # type: ignore[misc]
        )
    return ticks
