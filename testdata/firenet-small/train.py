"""Trains `firenet-small` on generated observations and writes its weights, test set and calibration set.

    pip install -r requirements.txt
    python3 train.py

Every random choice is seeded; another version of JAX or another CPU may round differently and end at
slightly other weights.
"""

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from network import forward, initial
from observations import dataset

HERE = Path(__file__).parent
TRAIN_SEED, VALIDATION_SEED, TEST_SEED, CALIBRATION_SEED = 101, 102, 103, 104
TRAIN_COUNT, VALIDATION_COUNT, TEST_COUNT, CALIBRATION_COUNT = 20_000, 1000, 400, 64
WEIGHT_SEED, ORDER_SEED = 110, 111
EPOCHS, BATCH = 24, 64
PEAK_RATE, WEIGHT_DECAY, SMOOTHING = 3e-3, 1e-3, 0.02


def inputs(data: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the network reads: image bytes become 0..1, channels first."""
    image = data["image"].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(image), data["environment"], data["history"]


def loss(p: dict, batch: tuple, labels: jax.Array) -> jax.Array:
    """Cross entropy with smoothed labels, mean of the batch."""
    target = jax.nn.one_hot(labels, 4) * (1 - SMOOTHING) + SMOOTHING / 4
    return -(target * jax.nn.log_softmax(forward(p, *batch))).sum(-1).mean()


@jax.jit
def update(p: dict, moments: tuple[dict, dict], step: jax.Array, rate: jax.Array, batch: tuple, labels: jax.Array):
    """One step of Adam with decoupled weight decay on weights."""
    value, gradients = jax.value_and_grad(loss)(p, batch, labels)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradients)
    second = jax.tree.map(lambda m, g: 0.999 * m + 0.001 * g * g, moments[1], gradients)

    def moved(name: str) -> jax.Array:
        direction = (first[name] / (1 - 0.9**step)) / (jnp.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)
        decay = 0.0 if name.endswith(".bias") else WEIGHT_DECAY
        return p[name] - rate * (direction + decay * p[name])

    return {name: moved(name) for name in p}, (first, second), value


def augmented(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of the eight symmetries of the square for the whole batch."""
    if rng.random() < 0.5:
        image = image[:, :, ::-1]
    if rng.random() < 0.5:
        image = image[:, :, :, ::-1]
    if rng.random() < 0.5:
        image = image.transpose(0, 1, 3, 2)
    return np.ascontiguousarray(image)


def rate_at(progress: float) -> float:
    """Learning rate: 5 % warm-up, then a half cosine to zero."""
    if progress < 0.05:
        return PEAK_RATE * progress / 0.05
    return PEAK_RATE * 0.5 * (1.0 + np.cos(np.pi * (progress - 0.05) / 0.95))


def scores(p: dict, data: dict[str, np.ndarray]) -> np.ndarray:
    """Float outputs [N, 4]."""
    parts = inputs(data)
    run = jax.jit(forward)
    return np.concatenate([np.asarray(run(p, *(x[i : i + 100] for x in parts))) for i in range(0, len(parts[0]), 100)])


def accuracy(p: dict, data: dict[str, np.ndarray]) -> float:
    """Share of right answers."""
    return float((scores(p, data).argmax(-1) == data["label"]).mean())


def train() -> dict[str, np.ndarray]:
    """The trained parameters; prints one line per epoch."""
    data, held = dataset(TRAIN_SEED, TRAIN_COUNT), dataset(VALIDATION_SEED, VALIDATION_COUNT)
    image, environment, history = inputs(data)
    p = {name: jnp.asarray(value) for name, value in initial(WEIGHT_SEED).items()}
    moments = (jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p))
    rng = np.random.default_rng(ORDER_SEED)
    per_epoch = TRAIN_COUNT // BATCH
    done = 0
    for epoch in range(EPOCHS):
        order = rng.permutation(TRAIN_COUNT)
        total = 0.0
        for step in range(per_epoch):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            done += 1
            batch = (augmented(image[chosen], rng), environment[chosen], history[chosen])
            rate = rate_at(done / (EPOCHS * per_epoch))
            p, moments, value = update(p, moments, float(done), rate, batch, data["label"][chosen])
            total += float(value)
        print(f"epoch {epoch + 1:2}  loss {total / per_epoch:.4f}  validation {100 * accuracy(p, held):.1f} %", flush=True)
    return {name: np.asarray(value) for name, value in p.items()}


def main() -> None:
    """Trains and writes all files; prints the accuracy on the test set."""
    start = time.monotonic()
    p = train()
    np.savez_compressed(HERE / "weights.npz", **p)
    test, calibration = dataset(TEST_SEED, TEST_COUNT), dataset(CALIBRATION_SEED, CALIBRATION_COUNT)
    np.savez_compressed(HERE / "test.npz", **test, scores=scores(p, test))
    np.savez_compressed(HERE / "calibration.npz", **calibration)
    count = sum(value.size for value in p.values())
    print(f"test {100 * accuracy(p, test):.2f} %, {count} parameters, {time.monotonic() - start:.0f} s in all")


if __name__ == "__main__":
    main()
