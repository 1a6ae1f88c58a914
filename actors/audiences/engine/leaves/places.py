"""Criteria on where a user is: circles and boxes (spec/audiences.md, 3.2, `location`)."""

from collections.abc import Hashable

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import LocationWithin, LocationWithinBox
from actors.audiences.engine.arrays import Bools, Bytes, Floats, pack
from actors.audiences.engine.moment import Flips, Moment
from actors.audiences.engine.numbers import NumberColumn

EARTH_RADIUS_M = 6_371_008.8


class PlaceLeaf(Struct, frozen=True):
    """The location is inside an area."""

    area: LocationWithin | LocationWithinBox


class PlaceFamily:
    """The areas of a plan. `latitude` and `longitude`: the columns of the rows, in degrees."""

    def __init__(
        self, leaves: list[PlaceLeaf], latitude: NumberColumn, longitude: NumberColumn
    ) -> None:
        self._areas = [leaf.area for leaf in leaves]
        self._lines: dict[Hashable, int] = {leaf: line for line, leaf in enumerate(leaves)}
        self._latitude = latitude
        self._longitude = longitude
        self.size = len(leaves)

    def line_of(self, leaf: Hashable) -> int:
        """Return the line of a leaf."""
        return self._lines[leaf]

    def evaluate(self, moment: Moment, lines: Bytes, first_line: int, flips: Flips) -> None:
        """Compare the coordinates of the rows; a row without any is nowhere."""
        latitude = self._latitude.values[moment.rows]
        longitude = self._longitude.values[moment.rows]
        known = np.flatnonzero(~np.isnan(latitude) & ~np.isnan(longitude))
        truth = np.zeros((self.size, len(moment.rows)), np.bool_)
        for line, area in enumerate(self._areas):
            truth[line, known] = _is_inside(area, latitude[known], longitude[known])
        pack(truth, lines)

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return the coordinates of the first row."""
        row = moment.rows[0]
        latitude, longitude = self._latitude.values[row], self._longitude.values[row]
        if np.isnan(latitude) or np.isnan(longitude):
            return {}
        return {"latitude": float(latitude), "longitude": float(longitude)}


def _is_inside(
    area: LocationWithin | LocationWithinBox, latitude: Floats, longitude: Floats
) -> Bools:
    if isinstance(area, LocationWithin):
        return distance_m(area.latitude, area.longitude, latitude, longitude) <= area.distance_m
    inside: Bools = (latitude >= area.south) & (latitude <= area.north)
    if area.west <= area.east:
        return inside & (longitude >= area.west) & (longitude <= area.east)
    return inside & ((longitude >= area.west) | (longitude <= area.east))


def distance_m(latitude: float, longitude: float, latitudes: Floats, longitudes: Floats) -> Floats:
    """Return the great-circle distances of points from one point, all given in degrees."""
    one, others = np.radians(latitude), np.radians(latitudes)
    across = np.radians(longitudes - longitude)
    chord = np.sin((others - one) / 2) ** 2 + np.cos(one) * np.cos(others) * np.sin(across / 2) ** 2
    distances: Floats = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(1.0, chord)))
    return distances
