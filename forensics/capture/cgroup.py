"""Memory limits of the control groups a process lives in: version 2, version 1, and both at once.

Format: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
#: version 1 writes "no limit" as the largest whole page below 2**63
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class MemoryGroup:
    """The group that would run out first. Sizes in bytes; a limit of None is no limit."""

    path: str
    usage: int
    limit: int | None
    reclaimable: int  # file pages that the kernel gives back under pressure; counted in ``usage``
    swap_left: int | None  # None: not limited by the group
    kills_as_one: bool  # memory.oom.group: the whole container dies, not one process

    @property
    def headroom(self) -> int | None:
        """Bytes until the limit, reclaimable pages counted as free; None without a limit."""
        return None if self.limit is None else max(0, self.limit - self.usage + self.reclaimable)


def memory_group(pid: int, mount: Path = _MOUNT) -> MemoryGroup | None:
    """The group with the least headroom among those above process ``pid``; None where none can be read.

    Raises
    ------
    OSError : no such process.
    """
    found: list[MemoryGroup] = []
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            for root in (mount, mount / "unified"):
                found += [each for folder in _upwards(root, path) if (each := _version_2(folder))]
        elif "memory" in controllers.split(","):
            found += [each for folder in _upwards(mount / "memory", path) if (each := _version_1(folder))]
    limited = [group for group in found if group.headroom is not None]
    if limited:
        return min(limited, key=lambda group: group.headroom or 0)
    return found[0] if found else None


def _upwards(root: Path, path: str) -> list[Path]:
    """The group's folder and those above it. In a container the path may lie outside what is mounted."""
    parts = [part for part in path.split("/") if part and part != ".."]
    folders = [root.joinpath(*parts[:length]) for length in range(len(parts), -1, -1)]
    return [folder for folder in folders if folder.is_dir()]


def _version_2(folder: Path) -> MemoryGroup | None:
    usage = _number(folder / "memory.current")
    if usage is None:
        return None
    swap_limit, swap_used = _number(folder / "memory.swap.max"), _number(folder / "memory.swap.current")
    return MemoryGroup(
        path=str(folder),
        usage=usage,
        limit=_number(folder / "memory.max"),
        reclaimable=_stat(folder, "inactive_file"),
        swap_left=None if swap_limit is None else max(0, swap_limit - (swap_used or 0)),
        kills_as_one=_number(folder / "memory.oom.group") == 1,
    )


def _version_1(folder: Path) -> MemoryGroup | None:
    usage, limit = _number(folder / "memory.usage_in_bytes"), _number(folder / "memory.limit_in_bytes")
    if usage is None:
        return None
    unlimited = limit is None or limit > _NO_LIMIT
    both = _number(folder / "memory.memsw.limit_in_bytes")
    used = _number(folder / "memory.memsw.usage_in_bytes")
    swap_left = None
    if both is not None and both < _NO_LIMIT and used is not None and limit is not None:
        swap_left = max(0, both - limit - max(0, used - usage))
    return MemoryGroup(
        path=str(folder),
        usage=usage,
        limit=None if unlimited else limit,
        reclaimable=_stat(folder, "total_inactive_file"),
        swap_left=swap_left,
        kills_as_one=False,
    )


def _number(file: Path) -> int | None:
    """The number in a file; None where there is none, or it says "max"."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _stat(folder: Path, name: str) -> int:
    try:
        lines = (folder / "memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(value) for key, _, value in (line.partition(" ") for line in lines) if key == name), 0)
