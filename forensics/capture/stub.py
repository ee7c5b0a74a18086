"""The machine code that the injector lays into a process, and the page both sides talk through.

It has two entries. ``entry`` is where the stopped thread goes on, as though it had called a function where it stood:
it saves every register, the extended state, ``errno`` and the signal mask, maps one piece of memory, starts one thread
on it, and gives everything back before it returns to where it stood. Nothing outside watches over that: should the
injecting process die at any instruction, the target does not notice. ``thread`` waits (three seconds) until the
injector has written the script into that memory, then takes the interpreter's lock as any native thread does, runs
the script and unmaps the memory. The bytes hold no address: two injectors at once would write the same ones.

The stack as ``entry`` finds it, from the stack pointer up: address of the page, its size, ``__errno_location``,
``pthread_create``, ``pthread_detach``, the address to return to; then the red zone of 128 bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

#: GNU assembler, Intel syntax; ``tests/unit/test_stub.py`` holds ``CODE`` against it.
LISTING = """
entry:                       # as if the thread had called us where it stood; the caller of everything else
    pushfq
    cld
    push rax
    push rcx
    push rdx
    push rbx
    push rbp
    push rsi
    push rdi
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    mov rbx, rsp
    sub rsp, 4096            # the extended state: x87, SSE, AVX, AVX-512, PKRU, APX; not AMX tiles,
    and rsp, -64             # which no function called here touches
    lea rdi, [rsp + 512]
    xor eax, eax
    mov ecx, 8
    rep stosq
    mov eax, 0x802ff
    xor edx, edx
    xsave64 [rsp]
    mov rbp, rsp
    sub rsp, 32
    call [rbx + 144]         # __errno_location: errno is given back as it was
    mov r13, rax
    mov eax, [rax]
    mov [rsp + 16], eax
    mov qword ptr [rsp + 8], -1      # block every signal: the new thread inherits the mask
    mov edi, 2
    lea rsi, [rsp + 8]
    mov rdx, rsp
    mov r10d, 8
    mov eax, 14
    syscall
    mov rdi, [rbx + 128]     # mmap(page, size, READ | WRITE, PRIVATE | ANONYMOUS | FIXED_NOREPLACE, -1, 0)
    mov rsi, [rbx + 136]
    mov edx, 3
    mov r10d, 0x100022
    mov r8, -1
    xor r9d, r9d
    mov eax, 9
    syscall
    cmp rax, [rbx + 128]
    jne leave
    mov r12, rax
    lea rdi, [r12 + 8]
    xor esi, esi
    lea rdx, [rip + thread]
    mov rcx, r12
    call [rbx + 152]         # pthread_create(&page->thread, NULL, thread, page)
    mov r14d, eax
    test eax, eax
    jne noted
    mov rdi, [r12 + 8]
    call [rbx + 160]         # pthread_detach(page->thread)
noted:
    inc r14d
    mov [r12 + 16], r14d     # page->created = 1 + error number
leave:                       # everything back as it was
    mov edi, 2
    mov rsi, rsp
    xor edx, edx
    mov r10d, 8
    mov eax, 14
    syscall
    mov eax, [rsp + 16]
    mov [r13], eax
    mov eax, 0x802ff
    xor edx, edx
    xrstor64 [rbp]
    mov rsp, rbx
    pop r15
    pop r14
    pop r13
    pop r12
    pop r11
    pop r10
    pop r9
    pop r8
    pop rdi
    pop rsi
    pop rbp
    pop rbx
    pop rdx
    pop rcx
    pop rax
    popfq
    lea rsp, [rsp + 40]
    ret 128                  # to where the thread stood, the red zone skipped again
thread:                      # in its own thread: waits for the script, at most three seconds
    push rbx
    push r12
    sub rsp, 24
    mov rbx, rdi
    mov r12d, 6000
wait:
    cmp dword ptr [rbx + 24], 1
    je ready
    dec r12d
    je expired
    mov qword ptr [rsp], 0
    mov qword ptr [rsp + 8], 500000
    mov rdi, rsp
    xor esi, esi
    mov eax, 35
    syscall
    jmp wait
expired:
    mov dword ptr [rbx], 6
    jmp end
ready:
    call [rbx + 64]          # Py_IsInitialized()
    test eax, eax
    jne alive
    mov dword ptr [rbx], 5
    jmp end
alive:
    mov dword ptr [rbx], 2
    call [rbx + 72]          # PyGILState_Ensure()
    mov r12d, eax
    mov rdi, [rbx + 48]
    xor esi, esi
    call [rbx + 80]          # PyRun_SimpleStringFlags(page->script, NULL)
    mov edi, r12d
    mov r12d, eax
    call [rbx + 88]          # PyGILState_Release()
    or r12d, [rbx + 32]      # the script itself notes here how long its error text is
    jne failed
    mov dword ptr [rbx], 3
    mov rdi, rbx
    mov rsi, [rbx + 56]
    mov eax, 11              # munmap: nothing is left behind
    syscall
    jmp end
failed:
    mov dword ptr [rbx], 4
end:
    xor eax, eax
    add rsp, 24
    pop r12
    pop rbx
    ret
"""

CODE = bytes.fromhex(
    "9cfc50515253555657415041514152415341544155415641574889e34881ec001000004883e4c0488dbc240002000031"
    "c0b908000000f348abb8ff02080031d2480fae24244889e54883ec20ff93900000004989c58b008944241048c7442408"
    "ffffffffbf02000000488d7424084889e241ba08000000b80e0000000f05488bbb80000000488bb388000000ba030000"
    "0041ba2200100049c7c0ffffffff4531c9b8090000000f05483b838000000075344989c4498d7c240831f6488d157100"
    "00004c89e1ff93980000004189c685c0750b498b7c2408ff93a000000041ffc64589742410bf020000004889e631d241"
    "ba08000000b80e0000000f058b44241041894500b8ff02080031d2480fae6d004889dc415f415e415d415c415b415a41"
    "5941585f5e5d5b5a59589d488d642428c280005341544883ec184889fb41bc70170000837b1801742c41ffcc741f48c7"
    "04240000000048c744240820a107004889e731f6b8230000000f05ebd6c70306000000eb4fff534085c07508c7030500"
    "0000eb40c70302000000ff53484189c4488b7b3031f6ff53504489e74189c4ff5358440b63207516c703030000004889"
    "df488b7338b80b0000000f05eb06c7030400000031c04883c418415c5bc3"
)

RED_ZONE = 128
#: room below the stack pointer that ``entry`` and ``pthread_create`` may use, bytes
STACK_NEEDED = 16384

# What page->state says.
WAITING, RUNNING, DONE, FAILED, NOT_INITIALISED, EXPIRED = 0, 2, 3, 4, 5, 6

_ERROR_ROOM = 4096
_SCRIPT = 128 + _ERROR_ROOM
_READY = 24


@dataclass(frozen=True)
class Functions:
    """Addresses, in the target, of what the stub calls."""

    errno_location: int
    pthread_create: int
    pthread_detach: int
    is_initialized: int
    gil_ensure: int
    run_string: int
    gil_release: int


def page_size(script: bytes) -> int:
    """How many bytes to map for ``script``, whole pages."""
    return (_SCRIPT + len(script) + 1 + 4095) // 4096 * 4096


def arguments(page: int, size: int, functions: Functions, resume: int) -> bytes:
    """What ``entry`` finds on its stack."""
    return struct.pack(
        "<6Q",
        page,
        size,
        functions.errno_location,
        functions.pthread_create,
        functions.pthread_detach,
        resume,
    )


def contents(page: int, size: int, functions: Functions, script: bytes, nonce: int) -> tuple[int, bytes]:
    """Offset and bytes of what the injector writes into the page before it says that it is ready."""
    table = struct.pack(
        "<Q Q 4Q",
        page + _SCRIPT,
        size,
        functions.is_initialized,
        functions.gil_ensure,
        functions.run_string,
        functions.gil_release,
    )
    head = struct.pack("<Q", nonce) + table
    return 40, head.ljust(_SCRIPT - 40, b"\0") + script + b"\0"


def ready() -> tuple[int, bytes]:
    """Offset and bytes of the word that lets the thread begin."""
    return _READY, struct.pack("<I", 1)


@dataclass(frozen=True)
class Status:
    """What the page says: see the constants above; ``created`` is 0 (not yet) or 1 + the error number."""

    state: int
    pthread: int
    created: int
    error_length: int
    nonce: int

    #: bytes to read from the beginning of the page
    SIZE = 48

    @classmethod
    def parse(cls, raw: bytes) -> Status:
        """Read the first ``SIZE`` bytes of a page."""
        return cls(*struct.unpack_from("<I4xQI12xI4xQ", raw))


#: where the script puts the UTF-8 text of its error, and the length of that text
ERROR_TEXT, ERROR_LENGTH = 128, 32
