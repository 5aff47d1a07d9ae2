"""The float network: forward and backward passes in numpy, and its description as a list of nodes.

Tensors are NHWC float32, convolution weights OHWI, as in TFLite. Padding is TFLite's SAME: the
smaller half comes first.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Node:
    """One operation; `name` is the name of its output tensor too."""

    name: str
    op: str  # conv, maxpool, add, avgpool, reshape, dense
    inputs: tuple[str, ...]
    channels: int = 0  # output channels of conv and dense
    kernel: int = 0
    stride: int = 1
    relu: bool = False


INPUT = "image"
INPUT_SHAPE = (32, 32, 4)
# Real value of an int8 sample is scale * (sample - zero point): byte 90, about the mean level of
# the scenes, is zero, so that padding with zero looks like average ground.
INPUT_SCALE = 1.0 / 64.0
INPUT_ZERO_POINT = 90 - 128
NODES = (
    Node("stem", "conv", ("image",), channels=16, kernel=3, relu=True),
    Node("stem_pool", "maxpool", ("stem",), kernel=2, stride=2),
    Node("block_a", "conv", ("stem_pool",), channels=16, kernel=3, relu=True),
    Node("block_b", "conv", ("block_a",), channels=16, kernel=3),
    Node("block_sum", "add", ("block_b", "stem_pool"), relu=True),
    Node("down", "conv", ("block_sum",), channels=32, kernel=3, stride=2, relu=True),
    Node("deep", "conv", ("down",), channels=32, kernel=3, relu=True),
    Node("mean", "avgpool", ("deep",), kernel=8, stride=8),
    Node("features", "reshape", ("mean",)),
    Node("logits", "dense", ("features",), channels=4),
)


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int, int]:
    """Output size, padding before and padding after of one axis under SAME."""
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    return out, total // 2, total - total // 2


def shapes() -> dict[str, tuple[int, ...]]:
    """Shape of every tensor, without the batch."""
    found: dict[str, tuple[int, ...]] = {INPUT: INPUT_SHAPE}
    for node in NODES:
        source = found[node.inputs[0]]
        if node.op in ("conv", "maxpool"):
            size = same_padding(source[0], node.kernel, node.stride)[0]
            found[node.name] = (size, size, node.channels or source[2])
        elif node.op == "add":
            found[node.name] = source
        elif node.op == "avgpool":
            found[node.name] = (1, 1, source[2])
        elif node.op == "reshape":
            found[node.name] = (int(np.prod(source)),)
        else:
            found[node.name] = (node.channels,)
    return found


def weight_shape(node: Node) -> tuple[int, ...]:
    """Shape of the weights of a conv (OHWI) or dense (OI) node."""
    inputs = shapes()[node.inputs[0]][-1]
    if node.op == "conv":
        return (node.channels, node.kernel, node.kernel, inputs)
    return (node.channels, inputs)


def macs(node: Node) -> int:
    """Multiply-accumulates of one inference, padding included."""
    if node.op not in ("conv", "dense"):
        return 0
    pixels = int(np.prod(shapes()[node.name][:-1]))
    return pixels * int(np.prod(weight_shape(node)))


def columns(x: np.ndarray, kernel: int, stride: int, fill: float = 0) -> np.ndarray:
    """im2col: [N, H, W, C] to [N, OH, OW, kernel * kernel * C], padding set to `fill`."""
    count, size, _, channels = x.shape
    out, before, after = same_padding(size, kernel, stride)
    padded = np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)), constant_values=fill)
    patches = np.empty((count, out, out, kernel, kernel, channels), x.dtype)
    for row in range(kernel):
        for col in range(kernel):
            patches[:, :, :, row, col] = padded[
                :, row : row + out * stride : stride, col : col + out * stride : stride
            ][:, :out, :out]
    return patches.reshape(count, out, out, kernel * kernel * channels)


def _scatter(patches: np.ndarray, size: int, channels: int, kernel: int, stride: int) -> np.ndarray:
    """Adjoint of `columns`: adds every patch back to the pixels it was read from."""
    count, out = patches.shape[:2]
    _, before, after = same_padding(size, kernel, stride)
    padded = np.zeros((count, before + size + after, before + size + after, channels), patches.dtype)
    patches = patches.reshape(count, out, out, kernel, kernel, channels)
    span = (out - 1) * stride + 1
    for row in range(kernel):
        for col in range(kernel):
            padded[:, row : row + span : stride, col : col + span : stride] += patches[:, :, :, row, col]
    return padded[:, before : before + size, before : before + size]


class Network:
    """Parameters, activations and gradients of the network."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.parameters: dict[str, np.ndarray] = {}
        for node in NODES:
            if node.op in ("conv", "dense"):
                shape = weight_shape(node)
                deviation = np.sqrt(2.0 / np.prod(shape[1:]))
                self.parameters[f"{node.name}.weight"] = (deviation * rng.standard_normal(shape)).astype(np.float32)
                self.parameters[f"{node.name}.bias"] = np.zeros(node.channels, np.float32)
        self.values: dict[str, np.ndarray] = {}
        self._saved: dict[str, np.ndarray] = {}

    def forward(self, image: np.ndarray) -> np.ndarray:
        """Logits [N, 4] of real-valued images [N, 32, 32, 4]; keeps every tensor in `values`."""
        self.values = {INPUT: image}
        for node in NODES:
            y = self._forward(node, *(self.values[name] for name in node.inputs))
            self.values[node.name] = np.maximum(y, 0) if node.relu else y
        return self.values[NODES[-1].name]

    def _forward(self, node: Node, x: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        if node.op == "conv":
            patches = self._saved[node.name] = columns(x, node.kernel, node.stride)
            weight = self.parameters[f"{node.name}.weight"].reshape(node.channels, -1)
            return patches @ weight.T + self.parameters[f"{node.name}.bias"]
        if node.op == "dense":
            return x @ self.parameters[f"{node.name}.weight"].T + self.parameters[f"{node.name}.bias"]
        if node.op == "maxpool":
            n, h, w, c = x.shape
            return x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))
        if node.op == "avgpool":
            return x.mean((1, 2), keepdims=True)
        if node.op == "reshape":
            return x.reshape(len(x), -1)
        assert node.op == "add" and other is not None
        return x + other

    def backward(self, gradient: np.ndarray) -> dict[str, np.ndarray]:
        """Gradients of all parameters, given the loss's gradient at the logits."""
        at: dict[str, np.ndarray] = {NODES[-1].name: gradient}
        found: dict[str, np.ndarray] = {}
        for node in reversed(NODES):
            dy = at.pop(node.name)
            if node.relu:
                dy = dy * (self.values[node.name] > 0)
            dx = self._backward(node, dy, found)
            for name in node.inputs:
                if name != INPUT:
                    at[name] = at[name] + dx if name in at else dx
        return found

    def _backward(self, node: Node, dy: np.ndarray, found: dict[str, np.ndarray]) -> np.ndarray:
        """Gradient at the node's inputs (the same for both inputs of an add)."""
        x = self.values[node.inputs[0]]
        if node.op in ("conv", "dense"):
            weight = self.parameters[f"{node.name}.weight"]
            seen = self._saved[node.name] if node.op == "conv" else x
            flat = dy.reshape(-1, node.channels)
            found[f"{node.name}.weight"] = (flat.T @ seen.reshape(len(flat), -1)).reshape(weight.shape)
            found[f"{node.name}.bias"] = flat.sum(0)
            if node.inputs[0] == INPUT:
                return x  # nobody asks for the gradient at the image
            back = dy @ weight.reshape(node.channels, -1)
            return back if node.op == "dense" else _scatter(back, x.shape[1], x.shape[3], node.kernel, node.stride)
        if node.op == "maxpool":
            n, h, w, c = x.shape
            windows = x.reshape(n, h // 2, 2, w // 2, 2, c)
            y = self.values[node.name].reshape(n, h // 2, 1, w // 2, 1, c)
            won = windows == y
            # Equal maxima share the gradient (after a ReLU, zeros often tie).
            share = dy.reshape(y.shape) / won.sum((2, 4), keepdims=True, dtype=dy.dtype)
            return (won * share).reshape(x.shape)
        if node.op == "avgpool":
            return np.broadcast_to(dy / (x.shape[1] * x.shape[2]), x.shape)
        return dy.reshape(x.shape)


def to_real(image: np.ndarray) -> np.ndarray:
    """int8 camera samples to the reals that the float network sees."""
    return (image.astype(np.float32) - INPUT_ZERO_POINT) * np.float32(INPUT_SCALE)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithm of the softmax over the last axis."""
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
