"""How many attributes a row has room for beside its other columns (spec/connections.md, 7.4)."""

from collections.abc import Iterable, Mapping

# What PostgreSQL keeps of a text in the row itself: longer ones are moved out of it, but for a
# pointer, unless they can be compressed to as little.
MOVED_BYTES = 28


class RowRoom:
    """Makes the attribute cells of rows; those for which a row has no room are null.

    Attributes:
        was_short: some row had no room for all of its attributes.
    """

    def __init__(self, max_bytes: int | None) -> None:
        """Args: `max_bytes` of the attributes of a row; `None`: there is no limit."""
        self.was_short = False
        self._max_bytes = max_bytes

    def cells(self, attributes: Mapping[str, str | None], names: Iterable[str]) -> list[str | None]:
        """Return the values of attributes in the order of their names, the first ones first."""
        found = [attributes.get(name) for name in names]
        left = self._max_bytes
        if left is None or len(attributes) * MOVED_BYTES <= left:
            return found
        for place, value in enumerate(found):
            if value is None:
                continue
            left -= min(len(value.encode()) + 1, MOVED_BYTES)
            if left < 0:
                found[place:] = [None] * (len(found) - place)
                self.was_short = True
                break
        return found
