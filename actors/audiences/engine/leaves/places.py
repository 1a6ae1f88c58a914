"""Criteria on where a user is: circles and boxes (spec/audiences.md, 3.2, `location`)."""

from collections.abc import Hashable
from math import asin, cos, radians, sin, sqrt

import numpy as np
from msgspec import Struct

from actors.audiences.criteria import LocationWithin, LocationWithinBox
from actors.audiences.engine.arrays import Bools, Bytes, Floats, pack
from actors.audiences.engine.moment import Flips, Moment
from actors.audiences.engine.numbers import NumberColumn

EARTH_RADIUS_M = 6_371_008.8

_UNSURE = 1e-7


class PlaceLeaf(Struct, frozen=True):
    """The location is inside an area; `workspace`: whose section has it, 0 if there is one."""

    area: LocationWithin | LocationWithinBox
    workspace: int = 0


class PlaceFamily:
    """The areas of a plan. `latitude` and `longitude`: the columns of the rows, in degrees."""

    def __init__(
        self, leaves: list[PlaceLeaf], latitude: NumberColumn, longitude: NumberColumn
    ) -> None:
        self._areas = [leaf.area for leaf in leaves]
        circles = [
            (line, area)
            for line, area in enumerate(self._areas)
            if isinstance(area, LocationWithin)
        ]
        self._circles = np.array([line for line, _ in circles], np.intp)
        self._centers = _points(
            np.array([area.latitude for _, area in circles]),
            np.array([area.longitude for _, area in circles]),
        )
        angles = np.array([area.distance_m for _, area in circles]) / EARTH_RADIUS_M
        self._chords = np.where(angles < np.pi, 2 * np.sin(np.minimum(angles, np.pi) / 2), 3.0) ** 2
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
        truth = np.zeros((self.size, len(moment.rows)), np.bool_)
        truth[self._circles] = self._in_circles(latitude, longitude)
        for line, area in enumerate(self._areas):
            if isinstance(area, LocationWithinBox):
                truth[line] = _is_in_box(area, latitude, longitude)
        pack(truth, lines)

    def _in_circles(self, latitude: Floats, longitude: Floats) -> Bools:
        """Compare straight lines through the earth in place of arcs: they need no functions.

        What is so near to a border that rounding could decide is computed along the arc.
        """
        points, squares = _points(latitude, longitude), 0.0
        for centers, coordinates in zip(self._centers, points, strict=True):
            squares = squares + (centers[:, None] - coordinates) ** 2
        limits = self._chords[:, None]
        inside: Bools = squares <= limits
        unsure = np.abs(squares - limits) <= _UNSURE * limits + _UNSURE**2
        for circle, place in zip(*np.nonzero(unsure), strict=True):
            area = self._areas[self._circles[circle]]
            assert isinstance(area, LocationWithin)
            there = float(latitude[place]), float(longitude[place])
            away = distance_m(area.latitude, area.longitude, *there)
            inside[circle, place] = away <= area.distance_m
        return inside

    def explain(self, leaf: Hashable, moment: Moment) -> object:
        """Return the coordinates of the first row."""
        row = moment.rows[0]
        latitude, longitude = self._latitude.values[row], self._longitude.values[row]
        if np.isnan(latitude) or np.isnan(longitude):
            return {}
        return {"latitude": float(latitude), "longitude": float(longitude)}


def _is_in_box(area: LocationWithinBox, latitude: Floats, longitude: Floats) -> Bools:
    inside: Bools = (latitude >= area.south) & (latitude <= area.north)
    if area.west <= area.east:
        return inside & (longitude >= area.west) & (longitude <= area.east)
    return inside & ((longitude >= area.west) | (longitude <= area.east))


def _points(latitude: Floats, longitude: Floats) -> Floats:
    """Return points on a sphere of radius 1, shape (3, n)."""
    across, along = np.radians(longitude), np.radians(latitude)
    return np.stack([np.cos(along) * np.cos(across), np.cos(along) * np.sin(across), np.sin(along)])


def distance_m(
    latitude: float, longitude: float, other_latitude: float, other_longitude: float
) -> float:
    """Return the great-circle distance of two points given in degrees."""
    one, other = radians(latitude), radians(other_latitude)
    across = radians(other_longitude - longitude)
    chord = sin((other - one) / 2) ** 2 + cos(one) * cos(other) * sin(across / 2) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, chord)))
