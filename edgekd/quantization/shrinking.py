"""A graph without what a device does not need: names, remarks, shapes of inner tensors, equal constants twice."""

from onnx import ModelProto, TensorProto


def shrink(model: ModelProto) -> None:
    """Make the file smaller in place; inputs, outputs, metadata and all values stay."""
    del model.graph.value_info[:]
    del model.graph.quantization_annotation[:]
    model.doc_string = model.graph.doc_string = ""
    _merge_constants(model)
    _drop_zero_points(model)
    _rename(model)
    for node in model.graph.node:
        node.name = node.doc_string = ""
        del node.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    del model.graph.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = ""
        del value.metadata_props[:]


def _merge_constants(model: ModelProto) -> None:
    """Equal initialisers become one: zero points and scales repeat from layer to layer."""
    first: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    kept: list[TensorProto] = []
    outside = {each.name for each in (*model.graph.input, *model.graph.output)}
    for tensor in model.graph.initializer:
        nameless = TensorProto()
        nameless.CopyFrom(tensor)
        nameless.name = ""
        key = nameless.SerializeToString(deterministic=True)
        if key in first and tensor.name not in outside:
            renamed[tensor.name] = first[key]
        else:
            first.setdefault(key, tensor.name)
            kept.append(tensor)
    copies = [each.SerializeToString() for each in kept]
    del model.graph.initializer[:]
    model.graph.initializer.extend(TensorProto.FromString(each) for each in copies)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = renamed.get(name, name)


def _drop_zero_points(model: ModelProto) -> None:
    """DequantizeLinear of int32 biases needs no zero point: what is left out means 0."""
    kinds = {each.name: each.data_type for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and kinds.get(node.input[0]) == TensorProto.INT32 and len(node.input) > 2:
            del node.input[2:]
    taken = {name for node in model.graph.node for name in node.input}
    for each in [each for each in model.graph.initializer if each.name not in taken]:
        model.graph.initializer.remove(each)


def _rename(model: ModelProto) -> None:
    """Inner tensors get the shortest names there are."""
    fixed = {each.name for each in (*model.graph.input, *model.graph.output)}
    if any(attribute.HasField("g") for node in model.graph.node for attribute in node.attribute):
        return  # branches and loops read outer tensors by name
    names = {name for node in model.graph.node for name in (*node.input, *node.output) if name} - fixed
    names |= {each.name for each in model.graph.initializer} - fixed
    short: dict[str, str] = {}
    for name in sorted(names):
        candidate = _in_letters(len(short))
        short[name] = f"_{candidate}" if candidate in fixed else candidate
    for node in model.graph.node:
        for side in (node.input, node.output):
            side[:] = [short.get(name, name) for name in side]
    for tensor in model.graph.initializer:
        tensor.name = short.get(tensor.name, tensor.name)


def _in_letters(number: int) -> str:
    letters = ""
    while True:
        number, rest = divmod(number, 26)
        letters = chr(97 + rest) + letters
        if number == 0:
            return letters
        number -= 1
