"""What audiences compare the values of predictions with (spec/predictions.md, 6)."""

from collections.abc import Iterable, Iterator

from actors.audiences.criteria import Node, Prediction, Test, UserAttribute
from actors.audiences.language.dependencies import criteria_of
from actors.predictions.objects import attributes_of


class Thresholds:
    """Those of some audiences, of all predictions."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        """Args: `nodes`: what the audiences' definitions mean."""
        self._by_prediction: dict[int, set[float]] = {}
        self._by_attribute: dict[str, set[float]] = {}
        self._untold: set[str] = set()  # attributes compared with what no definition says
        for named in (each for node in nodes for each in criteria_of(node)):
            match named.criterion:
                case Prediction(number, _, test):
                    self._by_prediction.setdefault(number, set()).update(_constants_of(test))
                case UserAttribute(name, test):
                    if test.type != "number" or test.value_ref is not None:
                        self._untold.add(name)
                    else:
                        self._by_attribute.setdefault(name, set()).update(_constants_of(test))

    def of(self, number: int, slug: str) -> frozenset[float] | None:
        """Return those of one prediction; `None` where that cannot be told."""
        names = attributes_of(slug)
        if not self._untold.isdisjoint(names):
            return None
        named = (self._by_attribute.get(name, ()) for name in names)
        return frozenset(self._by_prediction.get(number, ())).union(*named)


def _constants_of(test: Test) -> Iterator[float]:
    for each in (test.value, test.min_value, test.max_value, *test.values):
        if isinstance(each, int | float) and not isinstance(each, bool):
            yield float(each)
