"""Trains the float network on generated scenes and writes `fire_risk_float.npz`.

    python3 train.py

Deterministic for one build of numpy on one kind of CPU: every random choice is seeded and BLAS
runs on one thread. Another BLAS may round sums differently and end at slightly other weights.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from pathlib import Path

import numpy as np

from network import Network, log_softmax, to_real
from scenes import CLASSES, dataset

HERE = Path(__file__).parent
FLOAT_MODEL = HERE / "fire_risk_float.npz"

TRAIN_SEED, VALIDATION_SEED, TEST_SEED = 1, 2, 3
TRAIN_COUNT, VALIDATION_COUNT, TEST_COUNT = 8000, 1000, 2000
WEIGHT_SEED, ORDER_SEED = 10, 11
EPOCHS, BATCH = 20, 64
PEAK_RATE, WEIGHT_DECAY, SMOOTHING = 6e-3, 1e-3, 0.02


class Adam:
    """Adam with decoupled weight decay on weights (not on biases)."""

    def __init__(self, parameters: dict[str, np.ndarray]) -> None:
        self.parameters = parameters
        self.first = {name: np.zeros_like(p) for name, p in parameters.items()}
        self.second = {name: np.zeros_like(p) for name, p in parameters.items()}
        self.steps = 0

    def step(self, gradients: dict[str, np.ndarray], rate: float) -> None:
        """One update."""
        self.steps += 1
        for name, gradient in gradients.items():
            first, second, p = self.first[name], self.second[name], self.parameters[name]
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            direction = (first / (1 - 0.9**self.steps)) / (np.sqrt(second / (1 - 0.999**self.steps)) + 1e-8)
            decay = WEIGHT_DECAY if name.endswith(".weight") else 0.0
            p -= np.float32(rate) * (direction + decay * p)


def rate_at(progress: float) -> float:
    """Learning rate: 5 % warm-up, then a half cosine to zero."""
    if progress < 0.05:
        return PEAK_RATE * progress / 0.05
    return PEAK_RATE * 0.5 * (1.0 + np.cos(np.pi * (progress - 0.05) / 0.95))


def loss_gradient(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cross entropy with smoothed labels, and its gradient at the logits."""
    log_p = log_softmax(logits)
    target = np.full(logits.shape, SMOOTHING / len(CLASSES), np.float32)
    target[np.arange(len(labels)), labels] += 1.0 - SMOOTHING
    loss = -(target * log_p).sum(-1).mean()
    return float(loss), ((np.exp(log_p) - target) / len(labels)).astype(np.float32)


def augment(batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One of the eight symmetries of the square for the whole batch: no class has a direction."""
    if rng.random() < 0.5:
        batch = batch[:, ::-1]
    if rng.random() < 0.5:
        batch = batch[:, :, ::-1]
    if rng.random() < 0.5:
        batch = batch.transpose(0, 2, 1, 3)
    return np.ascontiguousarray(batch)


def predict(network: Network, images: np.ndarray) -> np.ndarray:
    """Class of every int8 image."""
    parts = [network.forward(to_real(images[i : i + 100])).argmax(-1) for i in range(0, len(images), 100)]
    return np.concatenate(parts)


def train() -> Network:
    """The trained network; prints one line per epoch."""
    images, labels = dataset(TRAIN_SEED, TRAIN_COUNT)
    held_images, held_labels = dataset(VALIDATION_SEED, VALIDATION_COUNT)
    network = Network(WEIGHT_SEED)
    adam = Adam(network.parameters)
    rng = np.random.default_rng(ORDER_SEED)
    per_epoch = TRAIN_COUNT // BATCH
    for epoch in range(EPOCHS):
        order = rng.permutation(TRAIN_COUNT)
        total = 0.0
        for step in range(per_epoch):
            chosen = order[step * BATCH : (step + 1) * BATCH]
            logits = network.forward(to_real(augment(images[chosen], rng)))
            loss, gradient = loss_gradient(logits, labels[chosen])
            adam.step(network.backward(gradient), rate_at((epoch * per_epoch + step + 1) / (EPOCHS * per_epoch)))
            total += loss
        right = (predict(network, held_images) == held_labels).mean()
        print(f"epoch {epoch + 1:2}  loss {total / per_epoch:.4f}  validation {100 * right:.1f} %", flush=True)
    return network


def main() -> None:
    """Trains, writes the weights, prints the accuracy on the test scenes."""
    start = time.monotonic()
    network = train()
    np.savez(FLOAT_MODEL, **network.parameters)
    images, labels = dataset(TEST_SEED, TEST_COUNT)
    right = (predict(network, images) == labels).mean()
    print(f"test {100 * right:.2f} %  ({TEST_COUNT} scenes), {time.monotonic() - start:.0f} s in all")


if __name__ == "__main__":
    main()
