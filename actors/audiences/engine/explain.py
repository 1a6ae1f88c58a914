"""Why somebody is, or is not, in an audience: criterion by criterion."""

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import Node
from actors.audiences.engine.arrays import FAR
from actors.audiences.engine.engine import Engine
from actors.audiences.engine.plan import leaves_of
from actors.audiences.engine.terms import criterion_term, named_criteria
from actors.model import Environment, ProfileKey


class ExplainedCriterion(Struct, frozen=True):
    """One criterion of a definition.

    Attributes:
        index: its place among the criteria, in the order in which they are written.
        id: as in the definition.
        holds: whether it is true of the user.
        values: what decided: a stored value (an empty object if it is missing), a count, ...
    """

    index: int
    id: str | None
    holds: bool
    values: list[object]


class Explained(Struct, frozen=True):
    """One user and one definition.

    Attributes:
        is_member: whether the definition holds, and the user belongs to the population.
        is_in_population: see spec/audiences.md, 5, rule 10; and of the right environment.
        criteria: of the definition.
        expiration_ms: when the definition will cease to hold; `None` if never, or it does not.
    """

    is_member: bool
    is_in_population: bool
    criteria: list[ExplainedCriterion]
    expiration_ms: int | None


def explain(
    engine: Engine,
    key: ProfileKey,
    audience: int,
    environment: Environment,
    node: Node,
    now_ms: int,
) -> Explained | None:
    """Explain an audience that the engine has, for a profile; `None` for one that it has not.

    Args:
        engine: is not changed.
        key: whose.
        audience: its number.
        environment: of the audience.
        node: its definition, as activated.
        now_ms: the instant.
    """
    rows = engine.rows_of([key])
    if not len(rows):
        return None
    first = np.zeros(1, np.int64)
    found, alive = engine.look(engine.plan([audience]), rows, now_ms)
    plan, moment = found.plan, found.moment
    criteria = []
    for index, named in enumerate(named_criteria(node)):
        term = criterion_term(named.criterion)
        values = [plan.explain(leaf, moment) for leaf in leaves_of(term) if plan.has(leaf)]
        holds = bool(found.term_holds(term, environment, first)[0])
        criteria.append(ExplainedCriterion(index, named.id, holds, values))
    is_in = bool(alive[0]) and key.environment == environment
    holds = bool(found.satisfies(first, first)[0])
    expiration = int(engine.expirations_ms(found, first, first)[0]) if holds else FAR
    return Explained(is_in and holds, is_in, criteria, None if expiration >= FAR else expiration)
