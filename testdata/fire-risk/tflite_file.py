"""Writes a quantized model as a TFLite flatbuffer (schema version 3, identifier TFL3)."""

from collections.abc import Callable

import flatbuffers
import numpy as np
import tflite

from integer import Model, Quantized
from network import Node

# Operator and the operator version that first took int8 tensors of this kind.
_CODES = {
    "conv": (tflite.BuiltinOperator.CONV_2D, 3),
    "maxpool": (tflite.BuiltinOperator.MAX_POOL_2D, 2),
    "add": (tflite.BuiltinOperator.ADD, 2),
    "avgpool": (tflite.BuiltinOperator.AVERAGE_POOL_2D, 2),
    "reshape": (tflite.BuiltinOperator.RESHAPE, 1),
    "dense": (tflite.BuiltinOperator.FULLY_CONNECTED, 4),
    "softmax": (tflite.BuiltinOperator.SOFTMAX, 2),
}
_ELEMENT = {np.dtype(np.int8): tflite.TensorType.INT8, np.dtype(np.int32): tflite.TensorType.INT32}


class _Writer:
    """One flatbuffer under construction: tensors and their buffers, in file order."""

    def __init__(self, model: Model, outputs: list[str]) -> None:
        self.model = model
        self.outputs = outputs
        self.builder = flatbuffers.Builder(1 << 16)
        self.buffers = [self._buffer(None)]  # buffer 0 is empty by convention
        self.tensors: list[int] = []
        self.index: dict[str, int] = {}

    def offsets(self, items: list[int]) -> int:
        """Vector of tables."""
        self.builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            self.builder.PrependUOffsetTRelative(item)
        return self.builder.EndVector()

    def vector(self, values: np.ndarray) -> int:
        """Vector of numbers."""
        return self.builder.CreateNumpyVector(np.ascontiguousarray(values))

    def table(self, start: Callable, end: Callable, fields: list[tuple[Callable, object]]) -> int:
        """Table of the given fields."""
        start(self.builder)
        for add, value in fields:
            add(self.builder, value)
        return end(self.builder)

    def _buffer(self, data: np.ndarray | None) -> int:
        if data is None:
            return self.table(tflite.BufferStart, tflite.BufferEnd, [])
        raw = np.ascontiguousarray(data).view(np.uint8).reshape(-1).tobytes()
        # The schema asks for buffers aligned to 16 bytes, for readers that map the file.
        self.builder.StartVector(1, len(raw), 16)
        self.builder.head -= len(raw)
        self.builder.Bytes[self.builder.head : self.builder.head + len(raw)] = raw
        vector = self.builder.EndVector()
        return self.table(tflite.BufferStart, tflite.BufferEnd, [(tflite.BufferAddData, vector)])

    def tensor(
        self, name: str, shape: tuple[int, ...], element: int, data: np.ndarray | None, q: Quantized | None
    ) -> None:
        """Adds a tensor, and a buffer for its data if it is a constant."""
        buffer = 0
        if data is not None:
            buffer = len(self.buffers)
            self.buffers.append(self._buffer(data))
        fields = [
            (tflite.TensorAddShape, self.vector(np.array(shape, np.int32))),
            (tflite.TensorAddType, element),
            (tflite.TensorAddBuffer, buffer),
            (tflite.TensorAddName, self.builder.CreateString(name)),
        ]
        if q is not None:
            scale, zero_point = self.vector(q.scale), self.vector(np.full(len(q.scale), q.zero_point, np.int64))
            table = self.table(
                tflite.QuantizationParametersStart,
                tflite.QuantizationParametersEnd,
                [
                    (tflite.QuantizationParametersAddScale, scale),
                    (tflite.QuantizationParametersAddZeroPoint, zero_point),
                    (tflite.QuantizationParametersAddQuantizedDimension, 0),
                ],
            )
            fields.append((tflite.TensorAddQuantization, table))
        self.index[name] = len(self.tensors)
        self.tensors.append(self.table(tflite.TensorStart, tflite.TensorEnd, fields))

    def add_tensors(self) -> None:
        """Activations with a batch of one, constants with their data, and reshape's target."""
        for name, q in self.model.tensors.items():
            shape = q.shape if q.data is not None else (1, *q.shape)
            element = tflite.TensorType.INT8 if q.data is None else _ELEMENT[q.data.dtype]
            self.tensor(name, shape, element, q.data, q)
        for node in self.model.nodes:
            if node.op == "reshape":
                target = np.array((1, *self.model.tensors[node.name].shape), np.int32)
                self.tensor(f"{node.name}.shape", target.shape, tflite.TensorType.INT32, target, None)

    def options(self, node: Node) -> tuple[int, int]:
        """Type and offset of the node's builtin options."""
        kinds = tflite.BuiltinOptions
        active = tflite.ActivationFunctionType.RELU if node.relu else tflite.ActivationFunctionType.NONE
        if node.op == "conv":
            fields = [
                (tflite.Conv2DOptionsAddPadding, tflite.Padding.SAME),
                (tflite.Conv2DOptionsAddStrideW, node.stride),
                (tflite.Conv2DOptionsAddStrideH, node.stride),
                (tflite.Conv2DOptionsAddFusedActivationFunction, active),
            ]
            kind, start, end = kinds.Conv2DOptions, tflite.Conv2DOptionsStart, tflite.Conv2DOptionsEnd
        elif node.op in ("maxpool", "avgpool"):
            fields = [
                (tflite.Pool2DOptionsAddPadding, tflite.Padding.VALID),
                (tflite.Pool2DOptionsAddStrideW, node.stride),
                (tflite.Pool2DOptionsAddStrideH, node.stride),
                (tflite.Pool2DOptionsAddFilterWidth, node.kernel),
                (tflite.Pool2DOptionsAddFilterHeight, node.kernel),
            ]
            kind, start, end = kinds.Pool2DOptions, tflite.Pool2DOptionsStart, tflite.Pool2DOptionsEnd
        elif node.op == "add":
            fields = [(tflite.AddOptionsAddFusedActivationFunction, active)]
            kind, start, end = kinds.AddOptions, tflite.AddOptionsStart, tflite.AddOptionsEnd
        elif node.op == "dense":
            fields = [(tflite.FullyConnectedOptionsAddFusedActivationFunction, active)]
            kind = kinds.FullyConnectedOptions
            start, end = tflite.FullyConnectedOptionsStart, tflite.FullyConnectedOptionsEnd
        elif node.op == "reshape":
            shape = self.vector(np.array((1, *self.model.tensors[node.name].shape), np.int32))
            fields = [(tflite.ReshapeOptionsAddNewShape, shape)]
            kind, start, end = kinds.ReshapeOptions, tflite.ReshapeOptionsStart, tflite.ReshapeOptionsEnd
        else:
            assert node.op == "softmax", node.op
            fields = [(tflite.SoftmaxOptionsAddBeta, 1.0)]
            kind, start, end = kinds.SoftmaxOptions, tflite.SoftmaxOptionsStart, tflite.SoftmaxOptionsEnd
        return kind, self.table(start, end, fields)

    def operator(self, node: Node, code: int) -> int:
        """One operator: its inputs (activations, then constants), output and options."""
        names = list(node.inputs)
        if node.op in ("conv", "dense"):
            names += [f"{node.name}.weight", f"{node.name}.bias"]
        if node.op == "reshape":
            names.append(f"{node.name}.shape")
        kind, options = self.options(node)
        inputs = self.vector(np.array([self.index[name] for name in names], np.int32))
        outputs = self.vector(np.array([self.index[node.name]], np.int32))
        fields = [
            (tflite.OperatorAddOpcodeIndex, code),
            (tflite.OperatorAddInputs, inputs),
            (tflite.OperatorAddOutputs, outputs),
            (tflite.OperatorAddBuiltinOptionsType, kind),
            (tflite.OperatorAddBuiltinOptions, options),
        ]
        return self.table(tflite.OperatorStart, tflite.OperatorEnd, fields)

    def finish(self) -> bytes:
        """The whole file."""
        self.add_tensors()
        kinds = list(dict.fromkeys(node.op for node in self.model.nodes))
        operators = self.offsets([self.operator(node, kinds.index(node.op)) for node in self.model.nodes])
        tensors = self.offsets(self.tensors)
        ends = [
            self.vector(np.array([self.index[name] for name in names], np.int32))
            for names in ([self.model.input], self.outputs)
        ]
        graph = self.table(
            tflite.SubGraphStart,
            tflite.SubGraphEnd,
            [
                (tflite.SubGraphAddTensors, tensors),
                (tflite.SubGraphAddInputs, ends[0]),
                (tflite.SubGraphAddOutputs, ends[1]),
                (tflite.SubGraphAddOperators, operators),
                (tflite.SubGraphAddName, self.builder.CreateString("main")),
            ],
        )
        codes = []
        for kind in kinds:
            code, version = _CODES[kind]
            # Codes under 127 are written to the old field too, for old readers.
            fields = [
                (tflite.OperatorCodeAddDeprecatedBuiltinCode, code),
                (tflite.OperatorCodeAddVersion, version),
                (tflite.OperatorCodeAddBuiltinCode, code),
            ]
            codes.append(self.table(tflite.OperatorCodeStart, tflite.OperatorCodeEnd, fields))
        model = self.table(
            tflite.ModelStart,
            tflite.ModelEnd,
            [
                (tflite.ModelAddVersion, 3),
                (tflite.ModelAddOperatorCodes, self.offsets(codes)),
                (tflite.ModelAddSubgraphs, self.offsets([graph])),
                (tflite.ModelAddDescription, self.builder.CreateString(self.model.description)),
                (tflite.ModelAddBuffers, self.offsets(self.buffers)),
            ],
        )
        self.builder.Finish(model, b"TFL3")
        return bytes(self.builder.Output())


def write(model: Model, outputs: list[str]) -> bytes:
    """`model` as the bytes of a `.tflite` file that has the named tensors as graph outputs."""
    return _Writer(model, outputs).finish()
