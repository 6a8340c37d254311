"""Contents of products: an asteroid seen by a camera, a reflectance spectrum. Integers only, so that every
machine computes the same bytes."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Image:
    """A grey image, rows from the top, values 0 .. 4095 (12 bits, as a camera's digital numbers)."""

    lines: int
    samples: int
    values: list[int]

    @property
    def mean(self) -> float:
        """Mean digital number."""
        return sum(self.values) / len(self.values)


def asteroid(seed: str, lines: int = 96, samples: int = 128) -> Image:
    """A lit disc with craters on a noisy sky; ``seed`` decides everything."""
    rng = random.Random(seed)  # noqa: S311  (pictures, not secrets)
    radius = min(lines, samples) * rng.randrange(30, 45) // 100
    middle_y, middle_x = lines // 2 + rng.randrange(-6, 7), samples // 2 + rng.randrange(-6, 7)
    craters = [
        (middle_y + rng.randrange(-radius, radius), middle_x + rng.randrange(-radius, radius), rng.randrange(4, 14))
        for _ in range(7)
    ]
    noise = rng.randbytes(lines * samples)
    square = radius * radius
    values: list[int] = []
    for y in range(lines):
        dy = y - middle_y
        for x in range(samples):
            dx = x - middle_x
            value = 60 + noise[len(values)] % 32
            distance = dx * dx + dy * dy
            if distance < square:
                value += 800 + 1800 * (square - distance) // square - 500 * (dx + dy) // radius
                for cy, cx, size in craters:
                    away = (y - cy) ** 2 + (x - cx) ** 2
                    if away < size * size:
                        value -= 500 * (size * size - away) // (size * size)
            values.append(max(0, min(4095, value)))
    return Image(lines, samples, values)


@dataclass(frozen=True)
class Spectrum:
    """Reflectance against wavelength: (nanometres, thousandths of reflectance, thousandths of error)."""

    rows: list[tuple[int, int, int]]

    @property
    def mean(self) -> float:
        """Mean reflectance, 0 .. 1."""
        return sum(value for _, value, _ in self.rows) / len(self.rows) / 1000


def spectrum(seed: str, rows: int = 120) -> Spectrum:
    """A spectrum with one absorption band near a micrometre."""
    rng = random.Random(seed)  # noqa: S311
    depth, middle = rng.randrange(80, 260), rng.randrange(900, 1050)
    found = []
    for n in range(rows):
        wavelength = 400 + 10 * n
        away = (wavelength - middle) ** 2
        band = depth * 10000 // (10000 + away)
        found.append((wavelength, 1000 - band + rng.randrange(-6, 7), rng.randrange(2, 9)))
    return Spectrum(found)
