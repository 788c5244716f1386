"""Weight and height by age and sex: an invented curve, about the median of Western children; not a growth reference."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aih_outcomes.simulate.children import Children
from aih_outcomes.simulate.parameters import DAYS_PER_YEAR
from aih_outcomes.simulate.streams import open_stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

AGES = (0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 45)
HEIGHT = (
    (50.0, 76, 87, 96, 103, 110, 116, 122, 128, 133, 139, 144, 149, 156, 164, 170, 174, 176, 177, 177),  # boys, cm
    (50.0, 74, 86, 95, 102, 109, 115, 121, 127, 133, 139, 145, 151, 157, 160, 162, 163, 163, 164, 164),  # girls
)
WEIGHT = (
    (3.5, 9.8, 12.4, 14.5, 16.5, 18.5, 20.8, 23, 25.5, 28.5, 31.5, 35, 39, 44.5, 50.5, 56, 61, 65, 67, 74),  # boys, kg
    (3.4, 9.2, 11.8, 14, 16, 18, 20.3, 23, 26, 29, 32.5, 36.5, 41, 46, 50, 53, 55, 56.5, 57.5, 63),  # girls
)


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """Each child's size relative to the curve, and how far treatment and disease have set height back."""

    age: Floats  # at day 0, years
    female: Flags
    relative_weight: Floats
    relative_height: Floats

    def _curve(self, curve: tuple[tuple[float, ...], ...], child: Ints, day: Floats) -> Floats:
        age = self.age[child] + day / DAYS_PER_YEAR
        return np.where(self.female[child], np.interp(age, AGES, curve[1]), np.interp(age, AGES, curve[0]))

    def weight(self, child: Ints, day: Floats) -> Floats:
        """Return weight in kg, to 0.1."""
        return np.round(self._curve(WEIGHT, child, day) * self.relative_weight[child], 1)

    def height(self, child: Ints, day: Floats) -> Floats:
        """Return height in cm, to 0.1; a slight loss in the first year of treatment: project."""
        loss = 0.008 * np.clip(day / DAYS_PER_YEAR, 0, 1)
        return np.round(self._curve(HEIGHT, child, day) * self.relative_height[child] * (1 - loss), 1)


def draw_growth(seed: int, children: Children, *, chunk: int = 0) -> Growth:
    """Draw each child's place on the curves."""
    z = open_stream("growth", seed, chunk).standard_normal((2, children.n))
    height = np.exp(0.04 * z[0])
    return Growth(
        age=children.age + children.lag / DAYS_PER_YEAR, female=children.female, relative_height=height,
        relative_weight=np.exp(0.13 * z[1]) * height,
    )  # fmt: skip
