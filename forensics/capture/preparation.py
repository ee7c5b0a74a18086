"""What the injector looks up before it stops anything: functions, code, places for its own code and its page."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from forensics.capture import safety, stub
from forensics.capture.elf import ElfImage, images
from forensics.capture.memory import Mapping, ProcessMemory, mappings
from forensics.capture.startup import is_libc, is_loader
from forensics.errors import TargetError

OTHER_WAYS = "Let the service `import forensics.agent`, or on Python 3.14 and later use --via remote_exec."
_BELOW = 0x7000_0000_0000


@dataclass(frozen=True)
class Preparation:
    """Everything that is known before a thread is stopped."""

    functions: stub.Functions
    layout: safety.Layout
    code_at: int
    code_is_there: bool


def prepare(memory: ProcessMemory) -> Preparation:
    """Everything that must be known of the process, which runs on meanwhile.

    Raises
    ------
    TargetError : it is no Python process, or one that cannot be entered.
    OSError : it is gone, or not ours.
    """
    pid = memory.pid
    found = mappings(pid)
    loaded = images(memory, found)
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        if "shstk" in file.read():
            raise TargetError(
                f"Process {pid} runs with a shadow stack, which forbids a borrowed call.",
                advice=OTHER_WAYS,
                pid=pid,
            )
    interpreter = next((image for image in loaded if image.symbol("_PyRuntime")), None)
    if interpreter is None:
        if not mappings(pid):  # it has ended meanwhile, and its parent has not looked yet
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        raise TargetError(
            f"Process {pid} is not a Python process that can be entered: none of its {len(loaded)} libraries "
            "exports the interpreter (_PyRuntime).",
            advice="`forensics targets` lists what can be captured here.",
            pid=pid,
        )
    system = [image for image in loaded if is_libc(image.path) or is_loader(image.path)]
    functions = _functions(pid, interpreter, [image for image in loaded if is_libc(image.path)])
    code_at, code_is_there = _place_for_code(memory, [interpreter, *system, *loaded])
    others = [image for image in loaded if image not in system and image is not interpreter]
    allocators = [image for image in others if "memray" in image.path or image.symbol("malloc")]
    layout = safety.Layout(
        interpreter=tuple(interpreter.code),
        libc=tuple(mapping for image in system if is_libc(image.path) for mapping in image.code),
        loader=tuple(mapping for image in system if is_loader(image.path) for mapping in image.code),
        allocator_data=tuple(_variables(found, system)),
        libraries=tuple(m for image in others if image not in allocators for m in image.code),
        allocators=tuple(m for image in allocators for m in image.code),
        code=tuple(mapping for mapping in found if mapping.executable),
        all=tuple(found),
    )
    return Preparation(functions, layout, code_at, code_is_there)


def _variables(found: list[Mapping], system: list[ElfImage]) -> Iterator[Mapping]:
    """The variables of ``system``, the zeroed ones included, which follow without a name."""
    starts = {mapping.start for image in system for mapping in image.writable}
    for before, mapping in zip([None, *found], found, strict=False):
        follows = before and before.start in starts and before.end == mapping.start and not mapping.path
        if mapping.start in starts or follows:
            yield mapping


def _functions(pid: int, interpreter: ElfImage, libc: list[ElfImage]) -> stub.Functions:
    def address(name: str, where: list[ElfImage]) -> int:
        for image in where:
            symbol = image.symbol(name)
            if symbol:
                return symbol.address
        raise TargetError(
            f"Process {pid} cannot be entered: {name} is not among the symbols of "
            f"{', '.join(image.path for image in where) or 'glibc, which it does not use'}.",
            advice=OTHER_WAYS,
            pid=pid,
        )

    return stub.Functions(
        errno_location=address("__errno_location", libc),
        pthread_create=address("pthread_create", libc),
        pthread_detach=address("pthread_detach", libc),
        is_initialized=address("Py_IsInitialized", [interpreter]),
        gil_ensure=address("PyGILState_Ensure", [interpreter]),
        run_string=address("PyRun_SimpleStringFlags", [interpreter]),
        gil_release=address("PyGILState_Release", [interpreter]),
    )


def _place_for_code(memory: ProcessMemory, candidates: list[ElfImage]) -> tuple[int, bool]:
    for image in candidates:
        place = image.spare_code(len(stub.CODE))
        if place is None:
            continue
        there = memory.read(place, len(stub.CODE))
        if there == stub.CODE:
            return place, True
        # A first injector may have died while it wrote: the words it did write are ours all the same.
        if all(
            word in (b"\0" * 8, ours) for word, ours in zip(_words(there), _words(stub.CODE), strict=True)
        ):
            return place, False
    raise TargetError(
        f"Process {memory.pid} has no {len(stub.CODE)} spare bytes after the code of any of its libraries.",
        advice=OTHER_WAYS,
        pid=memory.pid,
    )


def _words(raw: bytes) -> list[bytes]:
    return [raw[i : i + 8].ljust(8, b"\0") for i in range(0, len(raw), 8)]


def free_address(found: tuple[Mapping, ...]) -> int:
    """A random address with 16 MB free around it; the kernel refuses it (and nothing is lost) if it is taken."""
    room = 16 << 20
    while True:
        address = secrets.randbelow(_BELOW // 2 // 4096) * 4096 + _BELOW // 4
        if all(address + room < mapping.start or address - room > mapping.end for mapping in found):
            return address
