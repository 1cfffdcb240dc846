"""The messages a client needs of TF Serving's API, without importing TensorFlow.

The generated modules of `tensorflow-serving-api` import TensorFlow (several seconds),
which a client has no other use for. The messages are few and their field numbers are
a public, frozen contract, so they are described here and built by protobuf; a test
checks them byte for byte against the generated ones. Fields that a client neither
writes nor reads are left out: protobuf skips them.
"""

from __future__ import annotations

from google.protobuf import descriptor_pb2, message_factory

_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _FIELD.TYPE_STRING,
    "bytes": _FIELD.TYPE_BYTES,
    "float": _FIELD.TYPE_FLOAT,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
}

# Message -> (number, name, type). A type is a scalar or a message; `*`: repeated; `map`: string to it.
_MESSAGES = {
    "BytesList": [(1, "value", "bytes*")],
    "FloatList": [(1, "value", "float*")],
    "Int64List": [(1, "value", "int64*")],
    "Feature": [
        (1, "bytes_list", "BytesList"),
        (2, "float_list", "FloatList"),
        (3, "int64_list", "Int64List"),
    ],
    "Features": [(1, "feature", "map Feature")],
    "Example": [(1, "features", "Features")],
    "Dim": [(1, "size", "int64")],
    "TensorShape": [(2, "dim", "Dim*")],
    "Tensor": [
        (1, "dtype", "int32"),
        (2, "tensor_shape", "TensorShape"),
        (4, "tensor_content", "bytes"),
        (5, "float_val", "float*"),
        (7, "int_val", "int32*"),
        (8, "string_val", "bytes*"),
    ],
    "Version": [(1, "value", "int64")],
    "ModelSpec": [
        (1, "name", "string"),
        (2, "version", "Version"),
        (3, "signature_name", "string"),
        (4, "version_label", "string"),
    ],
    "PredictRequest": [
        (1, "model_spec", "ModelSpec"),
        (2, "inputs", "map Tensor"),
        (3, "output_filter", "string*"),
    ],
    # The same on the wire, with each input as the bytes of its tensor: for the server.
    "UndecodedPredictRequest": [
        (1, "model_spec", "ModelSpec"),
        (2, "inputs", "map bytes"),
        (3, "output_filter", "string*"),
    ],
    # What requests for one model, and MultiInference, begin with; protobuf skips the rest: for the server.
    "RequestHead": [(1, "model_spec", "ModelSpec")],
    "MultiInferenceHead": [(1, "tasks", "RequestHead*")],
    "PredictResponse": [(1, "outputs", "map Tensor"), (2, "model_spec", "ModelSpec")],
    # The same on the wire, with parts that are bytes already: for the server.
    "UndecodedPredictResponse": [(1, "outputs", "map bytes"), (2, "model_spec", "bytes")],
    # A Tensor with its shape as bytes, most of which come again and again: for the server.
    "UndecodedTensor": [
        (1, "dtype", "int32"),
        (2, "tensor_shape", "bytes"),
        (4, "tensor_content", "bytes"),
        (5, "float_val", "float*"),
        (7, "int_val", "int32*"),
        (8, "string_val", "bytes*"),
        (10, "int64_val", "int64*"),
    ],
    # A Tensor with nothing but values, which lie on the wire as they do in memory: for the server.
    "PackedFloats": [(5, "float_val", "bytes")],
}
_PACKAGE = "ctrl.wire"

DT_FLOAT = 1
DT_INT32 = 3
DT_STRING = 7
PREDICT = "/tensorflow.serving.PredictionService/Predict"


def _add_field(message: descriptor_pb2.DescriptorProto, number: int, name: str, kind: str) -> None:
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if kind.startswith("map "):
        # A protobuf map is a repeated entry of a key and a value.
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, 1, "key", "string")
        _add_field(entry, 2, "value", kind.removeprefix("map "))
        kind = f"{message.name}.{entry.name}*"
    if kind.endswith("*"):
        field.label, kind = _FIELD.LABEL_REPEATED, kind.removesuffix("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"


def _build() -> dict[str, type]:
    file = descriptor_pb2.FileDescriptorProto(name="ctrl/wire.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, *field)
    return message_factory.GetMessages([file])


_CLASSES = _build()
Example = _CLASSES[f"{_PACKAGE}.Example"]
PredictRequest = _CLASSES[f"{_PACKAGE}.PredictRequest"]
UndecodedPredictRequest = _CLASSES[f"{_PACKAGE}.UndecodedPredictRequest"]
RequestHead = _CLASSES[f"{_PACKAGE}.RequestHead"]
MultiInferenceHead = _CLASSES[f"{_PACKAGE}.MultiInferenceHead"]
PredictResponse = _CLASSES[f"{_PACKAGE}.PredictResponse"]
UndecodedPredictResponse = _CLASSES[f"{_PACKAGE}.UndecodedPredictResponse"]
UndecodedTensor = _CLASSES[f"{_PACKAGE}.UndecodedTensor"]
PackedFloats = _CLASSES[f"{_PACKAGE}.PackedFloats"]
