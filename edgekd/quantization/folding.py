"""Batch norms, constants and idle nodes of an ONNX graph folded away, so that what is left can be quantised."""

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

IDLE = ("Identity", "Dropout")
"""Nodes that hand their input on in inference."""


def fold(model: ModelProto) -> None:
    """Change the model in place; its answers stay the same."""
    _store_constants(model)
    _drop_idle(model)
    _fold_norms(model)
    _pool_means(model)
    _drop_unused(model)


def _store_constants(model: ModelProto) -> None:
    """Constant nodes become initialisers."""
    for node in list(model.graph.node):
        tensor = next((each.t for each in node.attribute if each.name == "value"), None)
        if node.op_type == "Constant" and tensor is not None:
            kept = TensorProto()
            kept.CopyFrom(tensor)
            kept.name = node.output[0]
            model.graph.initializer.append(kept)
            model.graph.node.remove(node)


def _drop_idle(model: ModelProto) -> None:
    outputs = {each.name for each in model.graph.output}
    for node in list(model.graph.node):
        if node.op_type in IDLE and node.output[0] not in outputs:
            _rename(model, node.output[0], node.input[0])
            model.graph.node.remove(node)


def _rename(model: ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def _fold_norms(model: ModelProto) -> None:
    """A norm right after a convolution that nothing else reads scales its weights."""
    outputs = {each.name for each in model.graph.output}
    readers: dict[str, int] = {}
    for node in model.graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    makers = {name: node for node in model.graph.node for name in node.output}
    constants = {each.name: each for each in model.graph.initializer}
    for norm in list(model.graph.node):
        conv = makers.get(norm.input[0]) if norm.op_type == "BatchNormalization" else None
        if conv is None or conv.op_type != "Conv" or readers[conv.output[0]] > 1 or conv.output[0] in outputs:
            continue
        if all(name in constants for name in (*conv.input[1:], *norm.input[1:])) and readers[conv.input[1]] == 1:
            _fold(model, conv, norm, constants)
            model.graph.node.remove(norm)


def _fold(model: ModelProto, conv: NodeProto, norm: NodeProto, constants: dict[str, TensorProto]) -> None:
    weights = numpy_helper.to_array(constants[conv.input[1]])
    scale, shift, mean, variance = (numpy_helper.to_array(constants[name]) for name in norm.input[1:5])
    bias = numpy_helper.to_array(constants[conv.input[2]]) if len(conv.input) > 2 else np.zeros_like(mean)
    epsilon = next((each.f for each in norm.attribute if each.name == "epsilon"), 1e-5)
    factor = (scale / np.sqrt(variance.astype(np.float64) + epsilon)).astype(np.float32)
    spread = factor.reshape([-1, *[1] * (weights.ndim - 1)])
    constants[conv.input[1]].CopyFrom(numpy_helper.from_array(weights * spread, conv.input[1]))
    name = f"{conv.input[1]}.folded_bias"
    model.graph.initializer.append(numpy_helper.from_array((bias - mean) * factor + shift, name))
    conv.input[:] = [*conv.input[:2], name]
    conv.output[0] = norm.output[0]


def _pool_means(model: ModelProto) -> None:
    """Means over height and width become GlobalAveragePool, which has an INT8 kernel; ReduceMean has none."""
    constants = {each.name: each for each in model.graph.initializer}
    for node in model.graph.node:
        keeps = next((each.i for each in node.attribute if each.name == "keepdims"), 1)
        if node.op_type != "ReduceMean" or not keeps:
            continue
        given = next((list(each.ints) for each in node.attribute if each.name == "axes"), [])
        if len(node.input) > 1 and node.input[1] in constants:
            given = numpy_helper.to_array(constants[node.input[1]]).tolist()
        # -1 and -2 would do for maps alone, but what has three dimensions they fit as well
        if sorted(given) == [2, 3] or (sorted(given) == [-2, -1] and _is_map(model, node.input[0])):
            name, source, target = node.name, node.input[0], node.output[0]
            node.CopyFrom(helper.make_node("GlobalAveragePool", [source], [target], name))


def _is_map(model: ModelProto, tensor: str) -> bool:
    """Whether a tensor comes out of a convolution, perhaps through elementwise nodes: it then has four dimensions."""
    makers = {name: node for node in model.graph.node for name in node.output}
    while (node := makers.get(tensor)) is not None:
        if node.op_type == "Conv":
            return True
        if node.op_type not in ("Relu", "HardSwish", "LeakyRelu", "Clip", "Add", "Mul", "Sigmoid", "HardSigmoid"):
            return False
        tensor = node.input[0]
    return False


def _drop_unused(model: ModelProto) -> None:
    taken = {name for node in model.graph.node for name in node.input} | {each.name for each in model.graph.output}
    for each in [each for each in model.graph.initializer if each.name not in taken]:
        model.graph.initializer.remove(each)
