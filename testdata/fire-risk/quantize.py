"""Post-training quantization of the float network in TFLite's int8 scheme.

Activations: per tensor, asymmetric, range from the calibration scenes' minimum and maximum (always
containing zero). Convolution weights: per output channel, symmetric, [-127, 127]; the dense
layer's: per tensor. Biases: int32 at scale input * weight.
"""

import numpy as np

from integer import Model, Quantized
from network import INPUT, INPUT_SCALE, INPUT_SHAPE, INPUT_ZERO_POINT, NODES, Network, Node, shapes, to_real

# These compute in their input's own units, so TFLite wants equal parameters on both sides.
_KEEPS_SCALE = ("maxpool", "avgpool", "reshape")


def _round(x: np.ndarray) -> np.ndarray:
    """Nearest integer, ties away from zero."""
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


def _activation(shape: tuple[int, ...], low: float, high: float) -> Quantized:
    """Parameters whose range covers [low, high] and zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / 255.0)
    zero_point = int(np.clip(_round(np.float64(-128.0 - low / float(scale))), -128, 127))
    return Quantized(shape, np.array([scale], np.float32), zero_point)


def _weight(values: np.ndarray, per_channel: bool) -> Quantized:
    flat = np.abs(values.astype(np.float64)).reshape(len(values), -1)
    largest = flat.max(1) if per_channel else flat.max(keepdims=True)[0]
    assert largest.all(), "a channel without weights has no scale"
    scale = (largest / 127.0).astype(np.float32)
    divisor = scale.astype(np.float64).reshape((-1,) + (1,) * (values.ndim - 1))
    data = np.clip(_round(values / divisor), -127, 127).astype(np.int8)
    return Quantized(values.shape, scale, 0, data)


def _bias(values: np.ndarray, source: Quantized, weight: Quantized) -> Quantized:
    scale = source.scale.astype(np.float64) * weight.scale.astype(np.float64)
    data = _round(values.astype(np.float64) / scale)
    assert np.abs(data).max() < 2**31
    return Quantized(values.shape, scale.astype(np.float32), 0, data.astype(np.int32))


def _ranges(network: Network, images: np.ndarray) -> dict[str, tuple[float, float]]:
    """Minimum and maximum of every tensor over the calibration images (int8)."""
    found: dict[str, tuple[float, float]] = {}
    for start in range(0, len(images), 100):
        network.forward(to_real(images[start : start + 100]))
        for name, value in network.values.items():
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return found


def quantize(network: Network, images: np.ndarray) -> Model:
    """The int8 model: the network's nodes and a softmax, calibrated on `images` (int8)."""
    ranges, shape_of = _ranges(network, images), shapes()
    tensors = {INPUT: Quantized(INPUT_SHAPE, np.array([INPUT_SCALE], np.float32), INPUT_ZERO_POINT)}
    for node in NODES:
        source = tensors[node.inputs[0]]
        if node.op in _KEEPS_SCALE:
            tensors[node.name] = Quantized(shape_of[node.name], source.scale, source.zero_point)
        else:
            tensors[node.name] = _activation(shape_of[node.name], *ranges[node.name])
        if node.op in ("conv", "dense"):
            weight = _weight(network.parameters[f"{node.name}.weight"], per_channel=node.op == "conv")
            tensors[f"{node.name}.weight"] = weight
            tensors[f"{node.name}.bias"] = _bias(network.parameters[f"{node.name}.bias"], source, weight)
    # TFLite fixes the parameters of a softmax's output.
    tensors["risk"] = Quantized(shape_of[NODES[-1].name], np.array([1.0 / 256.0], np.float32), -128)
    nodes = NODES + (Node("risk", "softmax", (NODES[-1].name,)),)
    return Model(nodes, tensors, INPUT, "risk", "forest-fire risk, 32x32 RGB + infrared, int8")
