"""The stream a walker writes and one reader reads: an object graph as blocks of fixed-width records.

Any walker (the Python one in this folder, the native one) writes the same bytes; ``forensics.capture.reader``
is the only reader. Little-endian throughout. A stream is ``MAGIC`` and then blocks:

    u8 kind, u8[3] zero, u32 count, u64 nbytes, payload[nbytes]

======  =========  ======================================================================================
kind    name       payload
======  =========  ======================================================================================
``H``   header     one JSON object: runtime, version, pid, walker, walker_version, threads {id: name}, …
``T``   types      count x (u32 id, u64 address, u16 n, n bytes UTF-8 ``module.qualname``)
``S``   strings    count x (u32 id, u16 n, n bytes UTF-8): names of slots and internal references, root names
``O``   objects    count x ``OBJECT`` (48 bytes); the order of emission is the order of the graph's ids
``E``   edges      count x ``EDGE`` (16 bytes): those of the objects of the preceding ``O`` blocks, in order;
                   an object's ``degree`` says how many are its own
``V``   values     count x (u64 address, u64 length, u32 n, u8 kind, u8[3] zero, n bytes); ``length`` is the
                   full length in characters or bytes, ``n`` what follows (at most ``VALUE_LIMIT`` bytes)
``C``   code       count x ``CODE`` (32 bytes)
``F``   frames     count x ``FRAME`` (40 bytes); the frame itself is an object of type ``frame``
``R``   roots      count x (u64 address, u32 name string id, u8 ``RootKind``, u8[3] zero)
``X``   error      one JSON object: error; the walker failed and nothing follows
``N``   end        one JSON object: objects, edges, seconds; a stream without it was cut short
======  =========  ======================================================================================

An edge packs its kind into the top byte of ``label``; the lower 56 bits say, by kind, the address of a ``str``
(ATTRIBUTE, LOCAL, CLOSURE), the address of the key (KEY), a position (ITEM, MEMBER, CODE_CONSTANT), or a string
id of an ``S`` block (SLOT, INTERNAL; 0 when nameless).
"""

import enum
import json
import struct

MAGIC = b"FXHEAP1\n"
VALUE_LIMIT = 1024

BLOCK = struct.Struct("<B3xIQ")
#: address, size in bytes, length (elements in use, or characters), type id, degree, capacity (elements
#: allocated; equals length where the type has no slack), refcount (0: unknown), flags, reserved
OBJECT = struct.Struct("<QQQIIIIII")
#: target address, label | kind << 56
EDGE = struct.Struct("<QQ")
#: address of the code object, of its qualified name, of its file name (both str), first line, reserved
CODE = struct.Struct("<QQQII")
#: address of the frame object, thread id, address of its code object, depth (0 innermost), line, 2 x reserved
FRAME = struct.Struct("<QQQIIII")
ROOT = struct.Struct("<QIB3x")
VALUE = struct.Struct("<QQIB3x")

KIND_SHIFT = 56
LABEL_MASK = (1 << KIND_SHIFT) - 1


class EdgeKind(enum.IntEnum):
    """What a reference is, and so what its label means."""

    INTERNAL = 0
    ATTRIBUTE = 1
    KEY = 2
    KEY_OBJECT = 3
    ITEM = 4
    MEMBER = 5
    LOCAL = 6
    CLOSURE = 7
    SLOT = 8
    CODE_CONSTANT = 9
    WEAK = 10


class RootKind(enum.IntEnum):
    """Why an object is alive without any other object pointing at it."""

    MODULES = 0  # the interpreter's dict of modules
    BUILTINS = 1
    SYS = 2
    FRAME = 3  # a running frame of a thread
    THREAD = 4  # a thread's dict (threading.local, and what asyncio keeps there)
    CONTEXT = 5  # a thread's current contextvars.Context
    NATIVE = 6  # held by native code: its reference count is larger than the references seen
    OTHER = 7


class ObjectFlag(enum.IntFlag):
    """Facts about an object that are not sizes."""

    GC_TRACKED = 1
    GC_LIST_ONLY = 2  # not reached from any root: cyclic garbage, or held by native code
    SYNTHETIC = 4  # a running frame: its memory is the thread's stack
    IMMORTAL = 8
    VALUE_CUT = 16  # its value is longer than VALUE_LIMIT


class ValueKind(enum.IntEnum):
    """How the bytes of a value are to be read."""

    LATIN1 = 1
    UCS2 = 2
    UCS4 = 4
    BYTES = 5
    INT = 6  # decimal text
    FLOAT = 7  # 8 bytes, IEEE 754
    DECIMAL = 8  # decimal text
    UTF8 = 9


class StreamWriter:
    """Collects records and writes them as blocks through ``write`` (a callable that takes bytes)."""

    FLUSH_AT = 1 << 18

    def __init__(self, write):
        self._write = write
        self._buffers = {}
        self._counts = {}
        self._strings = {}
        write(MAGIC)

    def add(self, kind, record):
        """Append one packed record to the pending block ``kind`` (a one-byte string)."""
        buffer = self._buffers.get(kind)
        if buffer is None:
            buffer = self._buffers[kind] = bytearray()
            self._counts[kind] = 0
        buffer += record
        self._counts[kind] += 1

    def string_id(self, text):
        """The id of ``text`` in the stream's string table; ids start at 1."""
        known = self._strings.get(text)
        if known is None:
            known = self._strings[text] = len(self._strings) + 1
            raw = text.encode("utf-8", "replace")[:65535]
            self.add(b"S", struct.pack("<IH", known, len(raw)) + raw)
        return known

    def type(self, type_id, address, name):
        """Announce a type before the first object that has it."""
        raw = name.encode("utf-8", "replace")[:65535]
        self.add(b"T", struct.pack("<IQH", type_id, address, len(raw)) + raw)

    def flush_if_full(self):
        """Write the pending blocks once they hold ``FLUSH_AT`` bytes; call it between objects only."""
        if sum(map(len, self._buffers.values())) >= self.FLUSH_AT:
            self.flush()

    def flush(self):
        """Write every pending block, names before the records that use them."""
        for kind in (b"T", b"S", b"O", b"E", b"V", b"C", b"F", b"R"):
            buffer = self._buffers.get(kind)
            if buffer:
                self._write(BLOCK.pack(kind[0], self._counts[kind], len(buffer)))
                self._write(bytes(buffer))
                buffer.clear()
                self._counts[kind] = 0

    def json_block(self, kind, record):
        """Write a block that holds one JSON object (``H``, ``X`` and ``N``)."""
        raw = json.dumps(record).encode()
        self._write(BLOCK.pack(kind[0], 1, len(raw)))
        self._write(raw)

    def end(self, record):
        """Close the stream: everything pending, then the end block."""
        self.flush()
        self.json_block(b"N", record)
