"""Makes outputs.bin: what TFLite's reference kernels compute for the cases of the test
`tflite_operators` of `macforge-reference`.

    mkdir cases
    cargo run -p macforge-reference --example tflite_operator_cases -- cases
    pip install tflite-runtime==2.14.0 "numpy<2"
    python testdata/tflite-operators/generate.py cases testdata/tflite-operators/outputs.bin
"""

import pathlib
import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter, OpResolverType


def outputs(model, raw):
    interpreter = Interpreter(
        model_path=str(model),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        size = int(np.prod(detail["shape"]))
        values = np.frombuffer(raw[:size], np.uint8).view(detail["dtype"])
        interpreter.set_tensor(detail["index"], values.reshape(detail["shape"]))
        raw = raw[size:]
    interpreter.invoke()
    for detail in interpreter.get_output_details():
        yield interpreter.get_tensor(detail["index"]).tobytes()


def main():
    folder, target = map(pathlib.Path, sys.argv[1:])
    result = b""
    for number in range(len(list(folder.glob("*.tflite")))):
        raw = (folder / f"{number}.in").read_bytes()
        result += b"".join(outputs(folder / f"{number}.tflite", raw))
    target.write_bytes(result)


main()
