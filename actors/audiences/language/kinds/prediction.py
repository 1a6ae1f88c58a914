"""`prediction` (spec/audiences.md, 3.2; spec/predictions.md, 6)."""

from typing import Literal, get_args

from actors.audiences.criteria import Prediction
from actors.audiences.language.members import Members, any_integer
from actors.audiences.language.scope import Scope
from actors.audiences.language.value_tests import read_fixed_test

PredictionOutput = Literal["score", "percentile", "uplift"]

_OUTPUTS: tuple[PredictionOutput, ...] = get_args(PredictionOutput)


def read_prediction(members: Members, _: Scope) -> Prediction:
    """Read a test of what a prediction gives."""
    number = members.integer("prediction_id", any_integer)
    if "prediction_id" in members.canonical:
        members.context.check_prediction(members.at("prediction_id"), number)
    return Prediction(number, members.word("output", _OUTPUTS), read_fixed_test(members, "number"))
