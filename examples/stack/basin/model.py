"""The model: hillslopes, weather, fire, runoff."""

from __future__ import annotations

from typing import Any


def delineate(cells: int) -> list[int]:
    """The areas of the hillslopes of a catchment with that many cells."""
    return [_area(slope, cells) for slope in range(1, 4)]


def _area(slope: int, cells: int) -> int:
    return cells // slope


def weather(source: str, days: int = 3) -> list[int]:
    """The rain of each day, in mm, by ``observed`` or ``generated`` weather.

    Raises:
        ValueError: no such source.
    """
    if source == "observed":
        return _observed(days)
    if source == "generated":
        return _generated(days)
    raise ValueError(f"weather {source!r}: expected observed or generated")


def _observed(days: int) -> list[int]:
    return [12, 0, 7][:days]


def _generated(days: int) -> list[int]:
    return [(day * 7919) % 23 for day in range(days)]


class Soil:
    """How much of the rain a soil takes up."""

    def __init__(self, uptake: int) -> None:
        self.uptake = uptake

    def burned(self, severity: int) -> Soil:
        """The soil after a fire."""
        return Soil(max(self.uptake - 2 * severity, 0))

    def runs_off(self, rain: int) -> int:
        """What it does not take up, in mm."""
        return max(rain - self.uptake, 0)


def runoff(results: dict[str, Any]) -> list[int]:
    """The runoff of each day, in mm."""
    soil = Soil(5)
    if "severity" in results:
        soil = soil.burned(results["severity"])
    return [soil.runs_off(rain) for rain in results["rain"]]


def erosion(depth: int) -> int:
    """Soil lost, in kg. Nothing calls it: a gap in every report."""
    return depth * depth
