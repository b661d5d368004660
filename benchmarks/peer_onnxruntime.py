"""onnxruntime's side of bench_hybridize.py: ONNX models made by hand.

    python peer_onnxruntime.py THREADS

Run by bench_hybridize.py under a Python that has onnx and onnxruntime.
"""

import sys
from collections.abc import Callable
from functools import partial

import networks
import numpy as np
import onnxruntime
from onnx import ModelProto, TensorProto, helper, numpy_helper
from timing import Job, serve


class Model:
    """An ONNX model in the making: each method adds a layer and returns its output's name."""

    def __init__(self, weights: list[np.ndarray]) -> None:
        self.weights = iter(weights)
        self.nodes: list[object] = []
        self.constants: list[TensorProto] = []

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"{kind}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def taken(self, count: int) -> list[str]:
        """Make constants of the next weights and return their names."""
        names = [f"weight{len(self.constants) + place}" for place in range(count)]
        self.constants += [numpy_helper.from_array(next(self.weights), name) for name in names]
        return names

    def dense(self, x: str) -> str:
        return self.node("Gemm", x, *self.taken(2), transB=1)

    def convolution(self, x: str, size: int, stride: int) -> str:
        """Add a convolution and its batch normalization."""
        edges = {"pads": [size // 2] * 4, "strides": [stride] * 2, "kernel_shape": [size] * 2}
        x = self.node("Conv", x, *self.taken(1), **edges)
        return self.node("BatchNormalization", x, *self.taken(4), epsilon=1e-5)

    def relu(self, x: str) -> str:
        return self.node("Relu", x)

    def residual(self, x: str, stride: int) -> str:
        inside = self.relu(self.convolution(x, 3, stride))
        inside = self.convolution(inside, 3, 1)
        short = self.convolution(x, 1, stride) if stride > 1 else x
        return self.relu(self.node("Add", inside, short))

    def finished(self, shape: tuple[int, ...], output: str, classes: int) -> ModelProto:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, (shape[0], classes))
        graph = helper.make_graph(self.nodes, "network", [x], [y], self.constants)
        opset = [helper.make_opsetid("", 17)]
        return helper.make_model(graph, opset_imports=opset, ir_version=8)


def mlp(shape: tuple[int, ...]) -> ModelProto:
    model = Model(networks.weights("mlp"))
    x = model.relu(model.dense("x"))
    x = model.relu(model.dense(x))
    return model.finished(shape, model.dense(x), networks.CLASSES["mlp"])


def resnet18(shape: tuple[int, ...]) -> ModelProto:
    model = Model(networks.weights("resnet18"))
    x = model.relu(model.convolution("x", 7, 2))
    x = model.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for _, stride in networks.STAGES:
        x = model.residual(model.residual(x, stride), 1)
    x = model.node("Flatten", model.node("GlobalAveragePool", x))
    return model.finished(shape, model.dense(x), networks.CLASSES["resnet18"])


MODELS: dict[str, Callable[[tuple[int, ...]], ModelProto]] = {"mlp": mlp, "resnet18": resnet18}


def job(case: str, threads: int) -> Job:
    name, _, size = networks.parts(case)
    x, _ = networks.batch(name, size)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    model = MODELS[name](x.shape).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    found = Job(
        lambda: session.run(None, {"x": x})[0],
        lambda result: None,
        lambda result: [networks.sample(result)],
    )
    found.measure(networks.WARM)
    return found


if __name__ == "__main__":
    cases = [case for case in networks.CASES if "inference" in case]
    count = int(sys.argv[1])
    serve({f"{case}: onnxruntime": partial(job, case, count) for case in cases}, lambda: None)
