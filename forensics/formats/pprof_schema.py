"""The protocol buffer messages of a pprof profile, as far as a memory profile needs them.

Built from a table of field numbers (the format's published description, ``perftools.profiles.Profile``) with
Google's runtime, which does the parsing. Fields that are not listed are skipped by the runtime.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_INT64 = descriptor_pb2.FieldDescriptorProto.TYPE_INT64
_UINT64 = descriptor_pb2.FieldDescriptorProto.TYPE_UINT64
_STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE

_PACKAGE = "forensics.pprof"

#: message -> (field, number, type or message name, repeated)
_MESSAGES: dict[str, tuple[tuple[str, int, Any, bool], ...]] = {
    "ValueType": (("type", 1, _INT64, False), ("unit", 2, _INT64, False)),
    "Label": (("key", 1, _INT64, False), ("str", 2, _INT64, False), ("num", 3, _INT64, False)),
    "Sample": (
        ("location_id", 1, _UINT64, True),
        ("value", 2, _INT64, True),
        ("label", 3, "Label", True),
    ),
    "Mapping": (("id", 1, _UINT64, False), ("filename", 5, _INT64, False)),
    "Line": (("function_id", 1, _UINT64, False), ("line", 2, _INT64, False)),
    "Location": (
        ("id", 1, _UINT64, False),
        ("mapping_id", 2, _UINT64, False),
        ("address", 3, _UINT64, False),
        ("line", 4, "Line", True),
    ),
    "Function": (
        ("id", 1, _UINT64, False),
        ("name", 2, _INT64, False),
        ("system_name", 3, _INT64, False),
        ("filename", 4, _INT64, False),
    ),
    "Profile": (
        ("sample_type", 1, "ValueType", True),
        ("sample", 2, "Sample", True),
        ("mapping", 3, "Mapping", True),
        ("location", 4, "Location", True),
        ("function", 5, "Function", True),
        ("string_table", 6, _STRING, True),
        ("time_nanos", 9, _INT64, False),
        ("duration_nanos", 10, _INT64, False),
        ("period_type", 11, "ValueType", False),
        ("period", 12, _INT64, False),
    ),
}


def _profile_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="forensics/pprof.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            declared = message.field.add(
                name=field,
                number=number,
                label=descriptor_pb2.FieldDescriptorProto.LABEL_REPEATED
                if repeated
                else descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
                type=_MESSAGE if isinstance(kind, str) else kind,
            )
            if isinstance(kind, str):
                declared.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Profile"))


#: The message class; ``Profile.FromString(data)`` parses.
Profile: Any = _profile_class()
