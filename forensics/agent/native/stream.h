/* The stream's records as ``forensics/agent/stream.py`` defines them; a test holds the two against each other. */
#ifndef WALKER_STREAM_H
#define WALKER_STREAM_H

#include <stdint.h>

#define STREAM_MAGIC "FXHEAP1\n"
#define VALUE_LIMIT 1024
#define KIND_SHIFT 56
#define LABEL_MASK ((UINT64_C(1) << KIND_SHIFT) - 1)

enum edge_kind {
    EDGE_INTERNAL = 0,
    EDGE_ATTRIBUTE = 1,
    EDGE_KEY = 2,
    EDGE_KEY_OBJECT = 3,
    EDGE_ITEM = 4,
    EDGE_MEMBER = 5,
    EDGE_LOCAL = 6,
    EDGE_CLOSURE = 7,
    EDGE_SLOT = 8,
    EDGE_CODE_CONSTANT = 9,
    EDGE_WEAK = 10,
};

enum root_kind {
    ROOT_MODULES = 0,
    ROOT_BUILTINS = 1,
    ROOT_SYS = 2,
    ROOT_FRAME = 3,
    ROOT_THREAD = 4,
    ROOT_CONTEXT = 5,
    ROOT_NATIVE = 6,
    ROOT_OTHER = 7,
};

enum object_flag {
    FLAG_GC_TRACKED = 1,
    FLAG_GC_LIST_ONLY = 2,
    FLAG_SYNTHETIC = 4,
    FLAG_IMMORTAL = 8,
    FLAG_VALUE_CUT = 16,
};

enum value_kind {
    VALUE_LATIN1 = 1,
    VALUE_UCS2 = 2,
    VALUE_UCS4 = 4,
    VALUE_BYTES = 5,
    VALUE_INT = 6,
    VALUE_FLOAT = 7,
    VALUE_DECIMAL = 8,
    VALUE_UTF8 = 9,
};

#define PACKED __attribute__((packed))

struct block_record { uint8_t kind; uint8_t zero[3]; uint32_t count; uint64_t nbytes; } PACKED;
struct object_record {
    uint64_t address, size, length;
    uint32_t type_id, degree, capacity, refcount, flags, reserved;
} PACKED;
struct edge_record { uint64_t target, label; } PACKED;
struct code_record { uint64_t code, qualname, filename; uint32_t first_line, reserved; } PACKED;
struct frame_record { uint64_t frame, thread, code; uint32_t depth, line, reserved[2]; } PACKED;
struct root_record { uint64_t address; uint32_t name; uint8_t kind; uint8_t zero[3]; } PACKED;
struct value_record { uint64_t address, length; uint32_t n; uint8_t kind; uint8_t zero[3]; } PACKED;
struct type_record { uint32_t id; uint64_t address; uint16_t n; } PACKED;
struct string_record { uint32_t id; uint16_t n; } PACKED;

#endif
