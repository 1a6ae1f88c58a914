"""From what a plan found to memberships, and to what is told of them."""

from collections.abc import Iterable
from itertools import repeat

import numpy as np

from actors.audiences.engine.arrays import FAR, Bools, Bytes, Ints, line_bytes, pack
from actors.audiences.engine.plan import Evaluation
from actors.audiences.engine.records import Change
from actors.audiences.engine.rows import Rows
from actors.model.workspaces import ENVIRONMENTS


def members_of(found: Evaluation, rows: Rows, alive: Bools) -> Bytes:
    """Return packed who is in each wanted audience.

    That is whoever satisfies its definition, belongs to the population (`alive`) and is of its
    environment.
    """
    evaluated = found.moment.rows
    environments = rows.environment.array[evaluated]
    live = np.zeros((len(ENVIRONMENTS), line_bytes(len(evaluated))), np.uint8)
    for number in range(len(ENVIRONMENTS)):
        pack((alive & (environments == number))[None], live[number : number + 1])
    members: Bytes = found.roots().view(np.uint8)
    members &= live[found.plan.environments]
    return members


def settable(found: Evaluation, rows: Rows, alive: Bools) -> Bytes | None:
    """Return packed where memberships may be set; `None`: everywhere.

    A row that has not been filled for a definition keeps the membership that it has; but whoever
    is not in the population may leave.
    """
    plan, of_rows = found.plan, rows.revision.array[found.moment.rows]
    if of_rows.min() >= plan.revisions.max(initial=0):
        return None
    ready = np.zeros((len(plan.revisions), line_bytes(len(of_rows))), np.uint8)
    pack((of_rows[None] >= plan.revisions[:, None]) | ~alive[None], ready)
    return ready


def changes_of(
    found: Evaluation,
    rows: Rows,
    audience: Ints,
    place: Ints,
    entered: Bools,
    expirations: Ints,
) -> list[Change]:
    """Return changes by row and audience.

    Args:
        found: by what.
        rows: whose keys they have.
        audience, place, entered: see `Memberships.change`.
        expirations: of each, `FAR` for none.
    """
    places = place.tolist()
    changed = list(set(places))
    keys = dict(zip(changed, rows.keys(found.moment.rows[changed]), strict=True))
    expires: Iterable[int | None] = repeat(None)
    if (expirations < FAR).any():
        expires = (None if at_ms >= FAR else at_ms for at_ms in expirations.tolist())
    of_keys = map(keys.__getitem__, places)
    numbers = map(found.plan.wanted.__getitem__, audience.tolist())
    return list(map(Change, of_keys, numbers, entered.tolist(), expires))
