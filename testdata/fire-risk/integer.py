"""An integer implementation of the quantized network, written from TFLite's int8 specification.

It shares no code with the rest of the project on purpose: it is one of the witnesses that the
golden outputs are right (the other is TFLite's own interpreter). Rounding follows TFLite 2.14's
reference kernels, that is gemmlowp's "double rounding". Plain int64 arithmetic throughout; speed
is not a goal.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from network import Node, columns

INT32_MAX = (1 << 31) - 1


@dataclass
class Quantized:
    """A tensor: affine parameters and, for constants, the integers."""

    shape: tuple[int, ...]  # without batch for activations
    scale: np.ndarray  # float32, one or one per output channel
    zero_point: int
    data: np.ndarray | None = None  # int8 weights or int32 biases


@dataclass
class Model:
    """Nodes in execution order and all tensors by name (`X.weight`, `X.bias` for constants)."""

    nodes: tuple[Node, ...]
    tensors: dict[str, Quantized]
    input: str
    output: str
    description: str = field(default="")


def quantize_multiplier(real: float) -> tuple[int, int]:
    """`real` as `multiplier * 2^(shift - 31)` with multiplier in [2^30, 2^31)."""
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def _divide_truncating(x: np.ndarray, divisor: int) -> np.ndarray:
    """C's integer division (towards zero)."""
    return np.sign(x) * (np.abs(x) // divisor)


def doubling_high_multiply(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """gemmlowp SaturatingRoundingDoublingHighMul: (a * b) / 2^31, ties away from minus infinity."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    # -2^31 * -2^31 is the one product that saturates.
    return np.minimum(_divide_truncating(nudged, 1 << 31), INT32_MAX)


def divide_by_power_of_two(x: np.ndarray, exponent: np.ndarray | int) -> np.ndarray:
    """gemmlowp RoundingDivideByPOT: x / 2^exponent, ties away from zero."""
    x = np.asarray(x, np.int64)
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def rescale(acc: np.ndarray, multiplier: np.ndarray | int, shift: np.ndarray | int) -> np.ndarray:
    """TFLite MultiplyByQuantizedMultiplier with double rounding."""
    left, right = np.maximum(shift, 0), np.maximum(np.negative(shift), 0)
    return divide_by_power_of_two(doubling_high_multiply(np.asarray(acc, np.int64) << left, multiplier), right)


def _clamp(values: np.ndarray, out: Quantized, relu: bool) -> np.ndarray:
    return np.clip(values, max(-128, out.zero_point) if relu else -128, 127).astype(np.int8)


def _requantize(acc: np.ndarray, real: np.ndarray, out: Quantized, relu: bool) -> np.ndarray:
    pairs = np.array([quantize_multiplier(float(value)) for value in real], np.int64)
    return _clamp(rescale(acc, pairs[:, 0], pairs[:, 1]) + out.zero_point, out, relu)


def _conv(model: Model, node: Node, x: np.ndarray) -> np.ndarray:
    source, out = model.tensors[node.inputs[0]], model.tensors[node.name]
    weight, bias = model.tensors[f"{node.name}.weight"], model.tensors[f"{node.name}.bias"]
    # Padding with the zero point is padding with real zero.
    patches = columns(x.astype(np.int64), node.kernel, node.stride, fill=source.zero_point) - source.zero_point
    acc = patches @ weight.data.reshape(node.channels, -1).T.astype(np.int64) + bias.data
    real = source.scale.astype(np.float64) * weight.scale.astype(np.float64) / out.scale.astype(np.float64)
    return _requantize(acc, real, out, node.relu)


def _dense(model: Model, node: Node, x: np.ndarray) -> np.ndarray:
    source, out = model.tensors[node.inputs[0]], model.tensors[node.name]
    weight, bias = model.tensors[f"{node.name}.weight"], model.tensors[f"{node.name}.bias"]
    acc = (x.astype(np.int64) - source.zero_point) @ weight.data.T.astype(np.int64) + bias.data
    # Unlike CONV_2D, FULLY_CONNECTED multiplies the two scales in float32.
    product = (source.scale.astype(np.float32) * weight.scale.astype(np.float32)).astype(np.float64)
    return _requantize(acc, product / out.scale.astype(np.float64), out, node.relu)


def _add(model: Model, node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    first, second = (model.tensors[name] for name in node.inputs)
    out = model.tensors[node.name]
    twice_max = 2.0 * max(float(first.scale[0]), float(second.scale[0]))
    total = np.zeros(a.shape, np.int64)
    for values, tensor in ((a, first), (b, second)):
        multiplier, shift = quantize_multiplier(float(tensor.scale[0]) / twice_max)
        total += rescale((values.astype(np.int64) - tensor.zero_point) << 20, multiplier, shift)
    multiplier, shift = quantize_multiplier(twice_max / ((1 << 20) * float(out.scale[0])))
    return _clamp(rescale(total, multiplier, shift) + out.zero_point, out, node.relu)


def _average(x: np.ndarray) -> np.ndarray:
    """Mean over height and width, ties away from zero; scale and zero point stay."""
    count = x.shape[1] * x.shape[2]
    total = x.astype(np.int64).sum((1, 2), keepdims=True)
    return _divide_truncating(total + np.where(total > 0, count // 2, -(count // 2)), count).astype(np.int8)


def _high(a: int, b: int) -> int:
    return int(doubling_high_multiply(np.int64(a), b))


def _left(x: int, bits: int) -> int:
    """Saturating multiplication by a power of two."""
    return max(-INT32_MAX - 1, min(INT32_MAX, x << bits))


def _exp_near_zero(a: int) -> int:
    """exp of a Q0.31 number in [-1/4, 0): Taylor series to the fourth order around -1/8."""
    x = a + (1 << 28)
    x2 = _high(x, x)
    x3, x4 = _high(x2, x), _high(x2, x2)
    quarter = int(divide_by_power_of_two(np.int64(x4), 2))
    tail = int(divide_by_power_of_two(np.int64(_high(quarter + x3, 715827883) + x2), 1))
    constant = 1895147668  # exp(-1/8)
    return constant + _high(constant, x + tail)


# exp(-2^k) in Q0.31 for k = -2 .. 4.
_EXP_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def exp_on_negative(a: int) -> int:
    """exp of a Q5.26 number <= 0, in Q0.31 (gemmlowp exp_on_negative_values)."""
    if a == 0:
        return INT32_MAX
    near = (a & ((1 << 24) - 1)) - (1 << 24)
    result = _exp_near_zero(_left(near, 5))
    remainder = near - a
    for index, power in enumerate(_EXP_POWERS):
        if remainder & (1 << (24 + index)):
            result = _high(result, power)
    return result


def _one_over_one_plus(a: int) -> int:
    """1 / (1 + a) for a in [0, 1), Q0.31: three Newton steps in Q2.29."""
    half = (a + INT32_MAX + 1) // 2
    x = 1515870810 + _high(half, -1010580540)  # 48/17 - 32/17 * half
    for _ in range(3):
        x += _left(_high(x, (1 << 29) - _high(half, x)), 2)
    return _left(x, 1)


def _softmax_row(row: np.ndarray, multiplier: int, shift: int, least: int) -> list[int]:
    top = int(row.max())
    exps: list[int | None] = []
    for value in row:
        difference = int(value) - top
        scaled = int(rescale(np.int64(difference), multiplier, shift))
        exps.append(exp_on_negative(scaled) if difference >= least else None)
    # The sum is kept in Q12.19, then normalised to [1, 2).
    total = sum(int(divide_by_power_of_two(np.int64(e), 12)) for e in exps if e is not None)
    headroom = 32 - total.bit_length()
    reciprocal = _one_over_one_plus((total << headroom) - (1 << 31))
    exponent = (12 - headroom) + 31 - 8
    result = []
    for e in exps:
        value = 0 if e is None else int(divide_by_power_of_two(np.int64(_high(reciprocal, e)), exponent))
        result.append(max(-128, min(127, value - 128)))
    return result


def _softmax(model: Model, node: Node, x: np.ndarray) -> np.ndarray:
    scale = float(model.tensors[node.inputs[0]].scale[0])
    multiplier, shift = quantize_multiplier(min(scale * (1 << 26), float(INT32_MAX)))
    # Differences below this underflow the five integer bits.
    least = -math.floor(31 * (1 << 26) / (1 << shift))
    return np.array([_softmax_row(row, multiplier, shift, least) for row in x], np.int8)


def run(model: Model, images: np.ndarray) -> dict[str, np.ndarray]:
    """Every activation, by name, of int8 images [N, 32, 32, 4]."""
    values = {model.input: images}
    for node in model.nodes:
        x = values[node.inputs[0]]
        if node.op == "conv":
            y = _conv(model, node, x)
        elif node.op == "dense":
            y = _dense(model, node, x)
        elif node.op == "add":
            y = _add(model, node, x, values[node.inputs[1]])
        elif node.op == "maxpool":
            n, h, w, c = x.shape
            y = x.reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))
        elif node.op == "avgpool":
            y = _average(x)
        elif node.op == "reshape":
            y = x.reshape(len(x), -1)
        else:
            assert node.op == "softmax", node.op
            y = _softmax(model, node, x)
        values[node.name] = y
    return values
