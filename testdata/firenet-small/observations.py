"""Observations of a forest: an image, the weather now, the weather of the last 24 hours, and the fire risk.

Every observation is a function of `(seed, index)` alone. The image is a scene of `../fire-risk`, whose
class tells what grows there (nothing, moist or dry vegetation, or something burns). The weather does not
show in the image, so that no branch of the network can do without the others:

    risk 0  nothing to burn, or moist vegetation in moist weather
    risk 1  moist vegetation in dry weather, dry vegetation after rain
    risk 2  dry vegetation, no rain for long
    risk 3  the same in hot, dry or windy weather; or a fire

`environment` is the weather now: temperature, humidity, wind, latitude, longitude. `history` is hourly:
temperature, humidity, wind, rain, pressure. All are scaled to about -1 to 1. Latitude and longitude shift
the temperature that is usual; pressure only accompanies rain.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "fire-risk"))

from scenes import scene  # noqa: E402

HOURS = 24
RISKS = ("none", "low", "medium", "high")
NO_FUEL, MOIST, DRY, BURNING = range(4)


def _walk(rng: np.random.Generator, start: float, step: float, pull: float) -> np.ndarray:
    """A series of `HOURS` values that wanders around `start`."""
    values = np.empty(HOURS)
    value = start + step * rng.standard_normal()
    for hour in range(HOURS):
        value += step * rng.standard_normal() + pull * (start - value)
        values[hour] = value
    return values


def _rain(rng: np.random.Generator) -> np.ndarray:
    """Rain per hour: none at all, or one or two showers at any time of the day."""
    rain = np.zeros(HOURS)
    if rng.random() < 0.6:
        for _ in range(rng.integers(1, 3)):
            begin = rng.integers(0, HOURS)
            rain[begin : begin + rng.integers(1, 5)] += rng.uniform(0.3, 1.0)
    return np.clip(rain, 0.0, 1.0)


def wetness(history: np.ndarray) -> float:
    """What rain has left in the ground: every hour adds its rain, and a tenth dries."""
    left = 0.0
    for rain in history[:, 3]:
        left = 0.9 * left + rain
    return left


def danger(environment: np.ndarray) -> float:
    """How fast a fire would spread now: heat beyond what is usual here, dry air, wind."""
    temperature, humidity, wind, latitude, _ = environment
    usual = -0.4 * latitude
    return 0.5 * (temperature - usual) - 0.6 * humidity + 0.5 * wind


def risk(kind: int, environment: np.ndarray, history: np.ndarray) -> tuple[int, float]:
    """The risk, and how far the nearest limit is."""
    wet = wetness(history) - 1.0
    spread = danger(environment)
    if kind == NO_FUEL:
        return 0, np.inf
    if kind == BURNING:
        return 3, np.inf
    if kind == MOIST:
        moist_weather = 0.5 * wet - spread
        return (0 if moist_weather > 0 else 1), abs(moist_weather)
    if wet > 0:
        return 1, abs(wet)
    return (3 if spread > 0 else 2), min(abs(spread), abs(wet))


def _weather(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`environment` [5] and `history` [24, 5]; now is what the last hour was, but for gusts."""
    latitude, longitude = rng.uniform(-1.0, 1.0, 2)
    rain = _rain(rng)
    temperature = _walk(rng, rng.uniform(-0.8, 0.8) - 0.2 * latitude, 0.06, 0.1)
    humidity = _walk(rng, rng.uniform(-0.8, 0.6), 0.06, 0.1) + 0.3 * rain
    wind = _walk(rng, rng.uniform(-0.8, 0.8), 0.1, 0.2)
    pressure = _walk(rng, rng.uniform(-0.5, 0.5), 0.05, 0.1) - 0.3 * rain
    history = np.stack([temperature, humidity, wind, rain, pressure], axis=1)
    now = history[-1, :3] + 0.1 * rng.standard_normal(3)
    return np.array([*now, latitude, longitude]), np.clip(history, -1.0, 1.0)


def observation(seed: int, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """One observation: image bytes [32, 32, 4], environment [5], history [24, 5], risk.

    Weather within 0.1 of a limit is drawn again: a sensor could not tell it either."""
    image, kind = scene(seed, index)
    rng = np.random.default_rng([seed, index, 1])
    while True:
        environment, history = _weather(rng)
        label, distance = risk(kind, environment, history)
        if distance > 0.1:
            return image, environment.astype(np.float32), history.astype(np.float32), label


def dataset(seed: int, count: int) -> dict[str, np.ndarray]:
    """Observations 0..count: `image` uint8, `environment` and `history` float32, `label` int32."""
    drawn = [observation(seed, index) for index in range(count)]
    image, environment, history, label = (np.stack(part) for part in zip(*drawn))
    return {
        "image": image,
        "environment": environment,
        "history": history,
        "label": label.astype(np.int32),
    }
