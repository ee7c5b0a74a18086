"""The injector's machine code is what its listing says, and moves nothing but what it must."""

from __future__ import annotations

import subprocess
from pathlib import Path

from forensics.capture import safety, stub
from forensics.capture.ptrace import Registers


def test_the_bytes_are_what_the_listing_assembles_to(require, tmp_path: Path) -> None:
    assembler = require("as", "install binutils")
    objcopy = require("objcopy", "install binutils")
    source, built, raw = (tmp_path / name for name in ("stub.S", "stub.o", "stub.bin"))
    source.write_text(".intel_syntax noprefix\n" + stub.LISTING)
    subprocess.run([assembler, "--64", str(source), "-o", str(built)], check=True)
    subprocess.run([objcopy, "-O", "binary", "-j", ".text", str(built), str(raw)], check=True)
    assert raw.read_bytes() == stub.CODE


def registers(**values: int) -> Registers:
    return Registers(rip=0x1000, **{name: value % (1 << 64) for name, value in values.items()})


def test_an_interrupted_call_is_made_again() -> None:
    # ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND: the same call from its instruction on
    for error in (-512, -513, -514):
        resumed = safety.resumed(registers(orig_rax=232, rax=error))
        assert (resumed.rax, resumed.rip) == (232, 0x1000 - 2)
        assert resumed.orig_rax == (1 << 64) - 1


def test_a_call_with_a_timeout_goes_on_with_the_time_left() -> None:
    resumed = safety.resumed(registers(orig_rax=7, rax=-516))
    assert (resumed.rax, resumed.rip) == (219, 0x1000 - 2)  # restart_syscall


def test_a_finished_call_and_running_code_stay_where_they_are() -> None:
    for before in (
        registers(orig_rax=232, rax=3),
        registers(orig_rax=232, rax=-4),
        registers(orig_rax=-1, rax=-512),
    ):
        resumed = safety.resumed(before)
        assert (resumed.rax, resumed.rip) == (before.rax, before.rip)


def test_the_page_says_what_was_written() -> None:
    functions = stub.Functions(*range(1, 8))
    offset, raw = stub.contents(0x5000, 8192, functions, b"pass", nonce=77)
    page = bytes(offset) + raw
    waiting = stub.Status(state=stub.WAITING, pthread=0, created=0, error_length=0, nonce=77)
    assert stub.Status.parse(page) == waiting
    address = int.from_bytes(page[48:56], "little")
    assert page[address - 0x5000 :] == b"pass\0"
    assert stub.page_size(b"pass") >= len(page)
