"""Attributes in force that an earlier version took though a shard cannot read them again.

Their definitions have something else where a text belongs. Nothing else is to suffer from it.
"""

import logging
from collections.abc import Iterable
from typing import Any

from msgspec import ValidationError, convert

from actors.calculated.definition import Attribute

logger = logging.getLogger("headwater.calculated")


def readable(encoded: Iterable[list[Any]]) -> tuple[tuple[Attribute, ...], frozenset[int]]:
    """Read attributes from their plain form; those that cannot be read are logged.

    Returns:
        The attributes, and the numbers of those that are left out.
    """
    found, left_out = [], set()
    for each in encoded:
        try:
            found.append(convert(each, Attribute))
        except ValidationError as error:
            left_out.add(each[0])
            logger.error(
                "a calculated attribute cannot be read, and is not calculated: define it anew",
                extra={
                    "event": "calculated_unreadable",
                    "calculated": each[0],
                    "problem": str(error),
                },
            )
    return tuple(found), frozenset(left_out)
