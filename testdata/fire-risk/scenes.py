"""Procedural aerial scenes of forest seen by a four-channel camera (red, green, blue, infrared).

Every scene is a function of `(seed, index)` alone: the same pair gives the same bytes, whatever
else was generated before. A scene is 32x32 pixels of 8-bit samples; the network reads them as
int8 (`byte - 128`).

Classes, and what decides them:

    0 none     too little fuel: under 25 % of the ground is vegetation
    1 low      vegetation, moist (dryness under 0.45)
    2 high     vegetation, dry (dryness over 0.55)
    3 burning  at least one fire, whatever the dryness

What keeps the task from being a matter of mean colour: bare soil is as brown as dry vegetation and
as warm (only the texture differs), sunlit rock is warm in infrared, sun glints and hot roofs are
small bright spots, dust plumes look like smoke, fires can be hidden by smoke or cloud in the
visible channels, clouds and haze cover part of the ground, and the illumination, its colour and
the camera's thermal offset vary from scene to scene.
"""

import numpy as np

SIZE = 32
CLASSES = ("none", "low", "high", "burning")

_ROWS, _COLS = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)

# Reflectance in red, green, blue and signal in infrared (hotter is brighter).
_MOIST = np.array([0.13, 0.32, 0.11, 0.30])
_DRY = np.array([0.50, 0.41, 0.20, 0.46])
_GROUND = {
    "soil": np.array([0.46, 0.37, 0.24, 0.46]),
    "rock": np.array([0.44, 0.43, 0.41, 0.52]),
    "water": np.array([0.07, 0.15, 0.24, 0.19]),
    "settlement": np.array([0.42, 0.41, 0.40, 0.47]),
    "moor": np.array([0.17, 0.25, 0.14, 0.28]),
}
_SMOKE = np.array([0.62, 0.61, 0.62, 0.40])
_DUST = np.array([0.60, 0.53, 0.42, 0.44])
_CLOUD = np.array([0.90, 0.91, 0.94, 0.12])
_HAZE = np.array([0.66, 0.69, 0.75, 0.38])


def _interpolation(knots: int) -> np.ndarray:
    """Matrix [SIZE, knots] that interpolates knots along one axis with a smooth step."""
    position = np.linspace(0.0, knots - 1.0, SIZE)
    left = np.minimum(position.astype(int), knots - 2)
    fraction = position - left
    fraction = fraction * fraction * (3.0 - 2.0 * fraction)
    matrix = np.zeros((SIZE, knots))
    matrix[np.arange(SIZE), left] = 1.0 - fraction
    matrix[np.arange(SIZE), left + 1] += fraction
    return matrix


_INTERPOLATION = {knots: _interpolation(knots) for knots in (2, 3, 5, 9, 17)}


def _field(rng: np.random.Generator, knots: tuple[int, ...]) -> np.ndarray:
    """Value noise: octaves of halving amplitude, scaled to zero mean and unit deviation."""
    total = np.zeros((SIZE, SIZE))
    amplitude = 1.0
    for count in knots:
        matrix = _INTERPOLATION[count]
        total += amplitude * (matrix @ rng.standard_normal((count, count)) @ matrix.T)
        amplitude *= 0.5
    return (total - total.mean()) / (total.std() + 1e-9)


def _mask(rng: np.random.Generator, share: float, knots: tuple[int, ...], edge: float) -> np.ndarray:
    """Soft mask in [0, 1] whose upper half covers `share` of the scene."""
    field = _field(rng, knots)
    level = np.quantile(field, 1.0 - share)
    return 1.0 / (1.0 + np.exp(-np.clip((field - level) / edge, -40.0, 40.0)))


def _blend(image: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """`colour` over `image`; alpha is [H, W] or [H, W, 4]."""
    if alpha.ndim == 2:
        alpha = alpha[..., None]
    return image * (1.0 - alpha) + colour * alpha


def _ground(rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """What lies where nothing grows: one kind, gently varied."""
    kind = str(rng.choice(sorted(_GROUND)))
    image = np.ones((SIZE, SIZE, 1)) * _GROUND[kind]
    image = image * (1.0 + 0.09 * _field(rng, (3, 5, 9)))[..., None]
    if kind == "rock":
        # Sunlit faces are warm, shaded ones cold.
        image[..., 3] += 0.07 * _field(rng, (5, 9))
    if kind == "settlement":
        for _ in range(rng.integers(4, 12)):
            top, left = rng.integers(0, SIZE - 4, 2)
            height, width = rng.integers(2, 6, 2)
            roof = np.array([0.40, 0.34, 0.32, 0.50]) * rng.uniform(0.6, 1.5)
            image[top : top + height, left : left + width] = roof
    return image, kind


def _vegetation(rng: np.random.Generator, dryness: float) -> np.ndarray:
    """Canopy or grass: colour by local dryness, and the crowns' light-and-shade texture."""
    local = np.clip(dryness + 0.10 * _field(rng, (3, 5)), 0.0, 1.0)[..., None]
    image = _MOIST * (1.0 - local) + _DRY * local
    grain = rng.uniform(0.08, 0.20)
    crowns = 0.75 * _field(rng, (17,)) + 0.45 * rng.standard_normal((SIZE, SIZE))
    texture = grain * crowns[..., None] * np.array([1.0, 1.0, 1.0, 0.35])
    return image * (1.0 + texture)


def _blob(row: float, col: float, sigma: float) -> np.ndarray:
    """Gaussian spot of height one."""
    return np.exp(-((_ROWS - row) ** 2 + (_COLS - col) ** 2) / (2.0 * sigma * sigma))


def _plume(rng: np.random.Generator, row: float, col: float) -> np.ndarray:
    """Opacity of a plume that starts at (row, col), drifts with the wind, widens and thins."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    along = (_ROWS - row) * np.sin(angle) + (_COLS - col) * np.cos(angle)
    across = (_COLS - col) * np.sin(angle) - (_ROWS - row) * np.cos(angle)
    width = 1.0 + np.maximum(along, 0.0) * rng.uniform(0.15, 0.35)
    ahead = 1.0 / (1.0 + np.exp(-np.clip(along * 2.0, -40.0, 40.0)))
    shape = np.exp(-(across**2) / (2.0 * width**2)) * ahead / (1.0 + np.maximum(along, 0.0) * 0.05)
    billows = np.clip(1.0 + 0.35 * _field(rng, (5, 9)), 0.0, 2.0)
    return np.clip(rng.uniform(0.25, 0.95) * shape * billows, 0.0, 1.0)


def _burn(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """One to three fires: heat in infrared, flame in red, a charred edge, usually smoke."""
    for _ in range(rng.integers(1, 4)):
        row, col = rng.uniform(3.0, SIZE - 3.0, 2)
        sigma = rng.uniform(0.6, 1.9)
        image = _blend(image, np.array([0.08, 0.07, 0.06, 0.55]), 0.6 * _blob(row, col, 1.6 * sigma))
        flame = rng.uniform(0.1, 0.9) * np.array([0.75, 0.33, 0.06, 0.0])
        flame[3] = rng.uniform(0.25, 0.65)
        image = image + _blob(row, col, sigma)[..., None] * flame
        if rng.random() < 0.75:
            # Smoke hides the flame from the eye; thermal infrared passes for the most part.
            image = _blend(image, _SMOKE, _plume(rng, row, col)[..., None] * np.array([1.0, 1.0, 1.0, 0.22]))
    return image


def _distract(rng: np.random.Generator, image: np.ndarray, kind: str) -> np.ndarray:
    """Things that look like fire or smoke and are not."""
    if rng.random() < (0.6 if kind == "water" else 0.25):
        # Sun glints: white rather than orange, and bright in infrared too.
        for _ in range(rng.integers(1, 5)):
            row, col = rng.uniform(1.0, SIZE - 1.0, 2)
            glint = rng.uniform(0.3, 0.8) * np.array([1.0, 1.0, 0.95, rng.uniform(0.2, 0.6)])
            image = image + _blob(row, col, rng.uniform(0.5, 1.1))[..., None] * glint
    if rng.random() < 0.2:
        # A sun-heated roof, or a vehicle.
        top, left = rng.integers(1, SIZE - 5, 2)
        height, width = rng.integers(2, 5, 2)
        image[top : top + height, left : left + width] = rng.uniform(0.3, 0.7) * np.array([1.0, 0.95, 0.9, 0.0])
        image[top : top + height, left : left + width, 3] = rng.uniform(0.5, 0.68)
    if rng.random() < 0.2:
        row, col = rng.uniform(4.0, SIZE - 4.0, 2)
        tint = _DUST if rng.random() < 0.6 else _HAZE
        image = _blend(image, tint, _plume(rng, row, col)[..., None] * np.array([1.0, 1.0, 1.0, 0.3]))
    return image


def _atmosphere(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Light, shadows, haze and clouds."""
    light = rng.uniform(0.6, 1.2) * (
        1.0 + 0.08 * (_INTERPOLATION[2] @ rng.standard_normal((2, 2)) @ _INTERPOLATION[2].T)
    )
    warmth = rng.normal(0.0, 0.05)
    image = image.copy()
    image[..., :3] *= light[..., None] * np.array([1.0 + warmth, 1.0, 1.0 - warmth])
    image[..., 3] += rng.normal(0.0, 0.03)
    if rng.random() < 0.3:
        image = _blend(image, _HAZE, np.full((SIZE, SIZE), rng.uniform(0.05, 0.3)))
    if rng.random() < 0.35:
        cover = _mask(rng, rng.uniform(0.05, 0.35), (3, 5, 9), 0.25) * rng.uniform(0.6, 1.0)
        image = _blend(image * (1.0 - 0.35 * np.roll(cover, (3, 3), (0, 1)))[..., None], _CLOUD, cover)
    return image


def _sensor(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Optical blur, row pattern, shot and read noise, dead pixels, 8-bit conversion."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    blur = rng.uniform(0.0, 0.12)
    image = (1.0 - 4.0 * blur) * image + blur * (
        padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
    )
    image = np.clip(image, 0.0, None)
    deviation = np.sqrt(0.012**2 + 0.0009 * image) * rng.uniform(0.6, 1.6)
    image = image + deviation * rng.standard_normal(image.shape)
    image[..., 3] += 0.008 * rng.standard_normal((SIZE, 1))
    if rng.random() < 0.15:
        row, col, channel = rng.integers(0, SIZE), rng.integers(0, SIZE), rng.integers(0, 4)
        image[row, col, channel] = rng.integers(0, 2)
    return np.clip(np.rint(image * 255.0), 0, 255).astype(np.uint8)


def scene(seed: int, index: int) -> tuple[np.ndarray, int]:
    """One scene: bytes [32, 32, 4] and its class. Classes are equally likely."""
    rng = np.random.default_rng([seed, index])
    label = int(rng.integers(0, len(CLASSES)))
    cover = rng.uniform(0.0, 0.25) if label == 0 else rng.uniform(0.45, 1.0)
    dryness = rng.uniform(0.0, 0.45) if label == 1 else rng.uniform(0.55, 1.0) if label == 2 else rng.uniform(0.0, 1.0)
    image, kind = _ground(rng)
    image = _blend(image, _vegetation(rng, dryness), _mask(rng, cover, (3, 5, 9), rng.uniform(0.05, 0.3)))
    image = _distract(rng, image, kind)
    if label == 3:
        image = _burn(rng, image)
    return _sensor(rng, _atmosphere(rng, image)), label


def dataset(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Scenes 0..count of a seed: int8 inputs [count, 32, 32, 4] and int32 labels [count]."""
    images = np.empty((count, SIZE, SIZE, 4), np.int8)
    labels = np.empty(count, np.int32)
    for index in range(count):
        pixels, labels[index] = scene(seed, index)
        images[index] = (pixels.astype(np.int16) - 128).astype(np.int8)
    return images, labels
