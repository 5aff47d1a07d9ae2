"""Quantizes the trained network, writes the model and the golden samples, and checks them.

    python3 export.py

Reads `fire_risk_float.npz`; writes `fire_risk_int8.tflite`, `labels.txt`, `samples.npz` and
`layers.npz`. Fails unless TFLite's reference kernels and `integer.py` agree on every integer: all
intermediate tensors of the samples, and the output of every test scene.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType

import integer
import tflite_file
from network import INPUT, NODES, Network, macs, shapes
from quantize import quantize
from scenes import CLASSES, dataset
from train import FLOAT_MODEL, HERE, TEST_COUNT, TEST_SEED, TRAIN_SEED, WEIGHT_SEED, predict

CALIBRATION_COUNT = 500
SAMPLE_SEED, SAMPLE_COUNT = 4, 40


class Reference:
    """TFLite's interpreter with its reference kernels, one image at a time."""

    def __init__(self, model: bytes) -> None:
        self.interpreter = Interpreter(
            model_content=model,
            experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        )
        self.interpreter.allocate_tensors()
        self.at = {detail["name"]: detail["index"] for detail in self.interpreter.get_tensor_details()}

    def run(self, image: np.ndarray, names: list[str]) -> list[np.ndarray]:
        """The named tensors, without the batch dimension, for one int8 image."""
        self.interpreter.set_tensor(self.at[INPUT], image[None])
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(self.at[name])[0] for name in names]


def load() -> Network:
    """The trained float network."""
    network = Network(WEIGHT_SEED)
    with np.load(FLOAT_MODEL) as stored:
        network.parameters = {name: stored[name] for name in stored.files}
    return network


def check(name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Ends the program unless two integer arrays are equal."""
    wrong = int((ours != theirs).sum())
    if ours.shape != theirs.shape or wrong:
        sys.exit(f"{name}: {wrong} of {ours.size} integers differ between integer.py and TFLite")


def confusion(labels: np.ndarray, found: np.ndarray) -> str:
    """Table of counts, one row per true class."""
    lines = ["true \\ said  " + "".join(f"{name:>9}" for name in CLASSES)]
    for row, name in enumerate(CLASSES):
        counts = [int(((labels == row) & (found == col)).sum()) for col in range(len(CLASSES))]
        lines.append(f"{name:12} " + "".join(f"{count:9}" for count in counts))
    return "\n".join(lines)


def write_samples(model: integer.Model) -> None:
    """Inputs, labels and golden outputs of the samples; all tensors of the first one."""
    images, labels = dataset(SAMPLE_SEED, SAMPLE_COUNT)
    names = [node.name for node in model.nodes]
    # Asking for every tensor as an output keeps ADD from overwriting its input in place, which
    # TFLite's option to preserve all tensors does not.
    reference = Reference(tflite_file.write(model, names))
    golden = [np.stack(rows) for rows in zip(*(reference.run(image, names) for image in images), strict=True)]
    ours = integer.run(model, images)
    for name, values in zip(names, golden, strict=True):
        check(f"samples, tensor {name}", ours[name], values)
    np.savez(HERE / "samples.npz", input=images, label=labels, output0=golden[-1])
    np.savez(HERE / "layers.npz", **{INPUT: images[:1]}, **{n: g[:1] for n, g in zip(names, golden, strict=True)})
    print(
        f"samples: {sum(g.size for g in golden)} integers of {len(names)} tensors equal; "
        f"{int((golden[-1].argmax(-1) == labels).sum())} of {SAMPLE_COUNT} classified as labelled"
    )


def main() -> None:
    """Writes the files and prints what README.md states."""
    network = load()
    model = quantize(network, dataset(TRAIN_SEED, CALIBRATION_COUNT)[0])
    content = tflite_file.write(model, [model.output])
    (HERE / "fire_risk_int8.tflite").write_bytes(content)
    (HERE / "labels.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    write_samples(model)

    images, labels = dataset(TEST_SEED, TEST_COUNT)
    ours = np.concatenate([integer.run(model, images[i : i + 100])[model.output] for i in range(0, TEST_COUNT, 100)])
    reference = Reference(content)
    theirs = np.stack([reference.run(image, [model.output])[0] for image in images])
    check("test scenes, output", ours, theirs)
    print(f"test scenes: {ours.size} integers equal")
    float_found, int8_found = predict(network, images), ours.argmax(-1)
    for name, right in (
        ("accuracy float", float_found == labels),
        ("accuracy int8", int8_found == labels),
        ("float and int8 say the same", float_found == int8_found),
    ):
        print(f"{name}: {100 * right.mean():.2f} %")
    print(confusion(labels, int8_found))
    for node in NODES:
        q, shape = model.tensors[node.name], str(shapes()[node.name])
        parameters = f"scale {q.scale[0]:.6f} zero point {q.zero_point}"
        print(f"{node.name:10} {node.op:8} {shape:14} {macs(node):8} MACs  {parameters}")
    print(f"{sum(map(macs, NODES))} MACs, {len(content)} bytes")


if __name__ == "__main__":
    main()
