"""Tests of the generator, the gradients and the integer arithmetic; numpy is all they need.

    python3 -m unittest test_fire_risk
"""

import math
import unittest
from fractions import Fraction

import numpy as np

import integer
from network import NODES, Network, log_softmax, macs, same_padding, shapes
from quantize import quantize
from scenes import CLASSES, dataset, scene
from train import loss_gradient


def _nearest(x: Fraction) -> int:
    """Nearest integer, ties away from zero, in exact arithmetic."""
    return int(math.copysign(1, x)) * int(abs(x) + Fraction(1, 2)) if x else 0


class Scenes(unittest.TestCase):
    def test_a_scene_depends_on_its_seed_and_index_only(self) -> None:
        images, labels = dataset(9, 12)
        pixels, label = scene(9, 7)
        self.assertTrue(np.array_equal(images[7], pixels.astype(np.int16) - 128))
        self.assertEqual(labels[7], label)
        self.assertFalse(np.array_equal(scene(10, 7)[0], pixels))

    def test_classes_are_about_equally_frequent(self) -> None:
        counts = np.bincount(dataset(9, 800)[1], minlength=len(CLASSES))
        self.assertTrue(np.all(np.abs(counts - 200) < 60), counts)


class Gradients(unittest.TestCase):
    def test_gradients_equal_central_differences(self) -> None:
        """In float64, where a step of 1e-6 leaves the ReLUs and maxima as they are."""
        rng = np.random.default_rng(5)
        network = Network(3)
        network.parameters = {name: p.astype(np.float64) for name, p in network.parameters.items()}
        images, labels = rng.standard_normal((2, 32, 32, 4)), np.array([1, 3])

        def loss() -> float:
            target = np.full((2, 4), 0.02 / 4)
            target[[0, 1], labels] += 0.98
            return float(-(target * log_softmax(network.forward(images))).sum(-1).mean())

        gradients = network.backward(loss_gradient(network.forward(images), labels)[1].astype(np.float64))
        for name, parameter in network.parameters.items():
            flat, found = parameter.reshape(-1), gradients[name].reshape(-1)
            for at in rng.choice(flat.size, min(4, flat.size), replace=False):
                kept = flat[at]
                flat[at] = kept + 1e-6
                above = loss()
                flat[at] = kept - 1e-6
                below = loss()
                flat[at] = kept
                self.assertAlmostEqual((above - below) / 2e-6, found[at], delta=1e-6 + 1e-4 * abs(found[at]), msg=name)


class Shapes(unittest.TestCase):
    def test_same_padding_puts_the_smaller_half_first(self) -> None:
        self.assertEqual(same_padding(32, 3, 1), (32, 1, 1))
        self.assertEqual(same_padding(16, 3, 2), (8, 0, 1))
        self.assertEqual(same_padding(15, 3, 2), (8, 1, 1))

    def test_network_size_is_as_stated(self) -> None:
        self.assertEqual(shapes()["logits"], (4,))
        self.assertEqual(sum(map(macs, NODES)), 2_654_336)


class Integers(unittest.TestCase):
    def test_divide_by_power_of_two_rounds_half_away_from_zero(self) -> None:
        for x in [*range(-70, 71), -(2**31), 2**31 - 1]:
            for exponent in range(0, 6):
                found = int(integer.divide_by_power_of_two(np.int64(x), exponent))
                self.assertEqual(found, _nearest(Fraction(x, 1 << exponent)))

    def test_doubling_high_multiply_rounds_to_nearest_and_saturates(self) -> None:
        rng = np.random.default_rng(1)
        for a, b in rng.integers(-(2**31), 2**31, (2000, 2)).tolist():
            exact = Fraction(a * b, 1 << 31)
            found = int(integer.doubling_high_multiply(np.int64(a), b))
            self.assertLessEqual(abs(found - exact), Fraction(1, 2))
        self.assertEqual(int(integer.doubling_high_multiply(np.int64(-(2**31)), -(2**31))), 2**31 - 1)
        # Ties go up, on both sides of zero.
        self.assertEqual(int(integer.doubling_high_multiply(np.int64(1), 1 << 30)), 1)
        self.assertEqual(int(integer.doubling_high_multiply(np.int64(-1), 1 << 30)), 0)

    def test_multiplier_is_the_real_number_to_31_bits(self) -> None:
        for real in (0.5, 0.9999999999, 1.0, 3.7, 1e-3, 2.0**-20, 0.0123456789):
            multiplier, shift = integer.quantize_multiplier(real)
            self.assertTrue(1 << 30 <= multiplier < 1 << 31)
            self.assertLessEqual(abs(multiplier * 2.0 ** (shift - 31) / real - 1.0), 2.0**-31)

    def test_exponential_is_accurate_over_its_domain(self) -> None:
        for a in [0, -1, -(2**31), *np.random.default_rng(2).integers(-(2**31), 0, 2000).tolist()]:
            self.assertAlmostEqual(integer.exp_on_negative(a) / 2**31, math.exp(a / 2**26), delta=3e-7)

    def test_quantized_network_follows_the_float_network(self) -> None:
        """Untrained weights: every activation stays within a few steps of the real value."""
        network, images = Network(3), dataset(9, 20)[0]
        model = quantize(network, images)
        found = integer.run(model, images)
        for node in NODES:
            q = model.tensors[node.name]
            real = (found[node.name].astype(np.float64) - q.zero_point) * float(q.scale[0])
            error = np.abs(real - network.values[node.name]).max() / float(q.scale[0])
            self.assertLess(error, 8.0, node.name)
        risk = (found["risk"].astype(np.float64) + 128.0) / 256.0
        self.assertLess(np.abs(risk - np.exp(log_softmax(network.values["logits"]))).max(), 0.05)


if __name__ == "__main__":
    unittest.main()
