"""Whether the kernel lets us look into a process and borrow a thread of it, and if not, what forbids it."""

from __future__ import annotations

import os
from pathlib import Path

from forensics.capture.memory import ProcessMemory, mappings

_SYS_PTRACE = 19
_YAMA = Path("/proc/sys/kernel/yama/ptrace_scope")


def status(pid: int) -> dict[str, str]:
    """``/proc/PID/status`` as a dict of text.

    Raises
    ------
    OSError : no such process.
    """
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def has_ptrace_capability() -> bool:
    """Whether this process has CAP_SYS_PTRACE in effect."""
    return bool(int(status(os.getpid())["CapEff"], 16) >> _SYS_PTRACE & 1)


def why_closed(pid: int) -> str | None:
    """Why the memory of ``pid`` is closed to us, in words; None where it is open.

    It is tried, not guessed: reading one word asks the kernel the same question as ``PTRACE_ATTACH``
    (ptrace_may_access with PTRACE_MODE_ATTACH_REALCREDS, Yama included).
    """
    if pid == os.getpid():
        return "it is this process itself"
    try:
        memory = ProcessMemory(pid)
        memory.read(next(each for each in mappings(pid) if each.permissions[0] == "r").start, 8)
    except PermissionError:
        return _what_forbids(pid)
    except (OSError, StopIteration):
        return "it has ended"
    tracer = status(pid).get("TracerPid", "0")
    return None if tracer == "0" else f"process {tracer} traces it already"


def advice() -> str:
    """What to do where a process is closed to us; root is not told to become root."""
    if os.geteuid() != 0:
        return "Run as its user or as root."
    inside = "let the service `import forensics.agent`, which needs no rights of ours"
    if not has_ptrace_capability():
        return f"We are root without CAP_SYS_PTRACE: start this container with it (--cap-add SYS_PTRACE), or {inside}."
    return f"We are root already, and root of this container or sandbox is not enough: run on its host, or {inside}."


def _what_forbids(pid: int) -> str:
    facts = status(pid)
    ours, theirs = os.geteuid(), {int(word) for word in facts["Uid"].split()[:3]}
    if theirs != {ours} and not has_ptrace_capability():
        return f"it runs as {user_name(max(theirs))} and we as {user_name(ours)} without CAP_SYS_PTRACE"
    if not has_ptrace_capability():
        try:
            # The folder itself keeps its owner; what is in it goes to root.
            dumpable = os.lstat(f"/proc/{pid}/mem").st_uid in theirs
        except OSError:
            dumpable = True
        if not dumpable:
            return "it is not dumpable (it changed its user, or protects itself): only root may look into it"
        scope = yama_scope()
        if scope:
            return _YAMA_WORDS.get(scope, f"kernel.yama.ptrace_scope is {scope}")
        if int(facts.get("CapPrm", "0"), 16) & ~int(status(os.getpid())["CapPrm"], 16):
            return "it has capabilities that we lack"
    elif yama_scope() == 3:
        return _YAMA_WORDS[3]
    if _namespace(pid, "user") not in (None, _namespace(os.getpid(), "user")):
        return "it runs in another user namespace (a container) in which we have no CAP_SYS_PTRACE"
    return "the kernel forbids it (a security module, a seccomp profile of ours, or a container's limits)"


_YAMA_WORDS = {
    1: "kernel.yama.ptrace_scope is 1: only an ancestor of it, or CAP_SYS_PTRACE, may trace it",
    2: "kernel.yama.ptrace_scope is 2: only CAP_SYS_PTRACE may trace it",
    3: "kernel.yama.ptrace_scope is 3: nobody may trace anything until the next boot",
}


def yama_scope() -> int:
    """``kernel.yama.ptrace_scope``; 0 where the kernel has no Yama."""
    try:
        return int(_YAMA.read_text())
    except (OSError, ValueError):
        return 0


def user_name(uid: int) -> str:
    """The name of a user, or ``uid N``."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def container(pid: int) -> str:
    """Which namespaces of its own ``pid`` has ("pid, mnt"), empty where it lives in ours."""
    kinds = ("pid", "mnt", "net", "user")
    return ", ".join(
        kind for kind in kinds if _namespace(pid, kind) not in (None, _namespace(os.getpid(), kind))
    )


def _namespace(pid: int, kind: str) -> str | None:
    """Which one it is; None where it may not be seen, or where the kernel has no such kind."""
    try:
        return os.readlink(f"/proc/{pid}/ns/{kind}")
    except OSError:
        return None
