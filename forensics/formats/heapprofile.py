"""V8's sampling heap profiles (``.heapprofile``): Node's ``--heap-prof``, DevTools, HeapProfiler.stopSampling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forensics.formats.bounded import damaged, read_json
from forensics.formats.registry import Loader, register
from forensics.profiles.builder import ProfileBuilder
from forensics.profiles.model import AllocationProfile, Frame, Origin

#: V8's default; the file itself does not name its period.
DEFAULT_PERIOD = 512 * 1024


def recognises(head: bytes) -> bool:
    """The document opens with the tree of call frames."""
    start = head.lstrip()
    return start.startswith(b'{"head"') and b'"callFrame"' in head


def load(path: Path) -> AllocationProfile:
    """Read a profile: what the sampler saw allocated and was still live at the end.

    V8 scales its samples up itself (``SamplingHeapProfiler::ScaleSample``), so ``selfSize`` is unsampled. The
    count of a node is the number of samples, not of objects, and so no counts are given.

    Raises
    ------
    FormatError : not such a profile, or damaged.
    """
    document = read_json(path)
    with damaged(path, "V8 heap profile"):
        builder = ProfileBuilder(("live",), counted=False)
        # An explicit stack: the depth of the tree is the file's to choose.
        waiting: list[tuple[dict[str, Any], tuple[int, ...]]] = [(document["head"], ())]
        while waiting:
            node, outer = waiting.pop()
            stack = (builder.frame(_frame(node["callFrame"])), *outer)
            size = node["selfSize"]
            if isinstance(size, bool) or not isinstance(size, int | float) or not 0 <= size < 2**63:
                raise ValueError(f"the size {size!r}")
            if size:
                builder.add(builder.stack(stack), {"live": (int(size), 0)})
            waiting.extend((child, stack) for child in reversed(node["children"]))
        return builder.build(
            Origin(
                tool="v8",
                runtime="node",
                file=path.name,
                sampling_period=DEFAULT_PERIOD,
                facts={"samples": len(document.get("samples", ()))},
                notes=("Sampled: only what was allocated after the sampling began is seen.",),
            )
        )


def _frame(call: dict[str, Any]) -> Frame:
    line = call["lineNumber"]
    function, url = call["functionName"], call["url"]
    if type(line) is not int or not isinstance(function, str) or not isinstance(url, str):
        raise ValueError(f"the call frame {str(call)[:80]}")
    # V8 counts lines from 0 and says -1 where there is none
    return Frame(function or "(anonymous)", url, min(max(line + 1, 0), 2**31 - 1))


register(Loader("heapprofile", "Node --heap-prof, DevTools", (".heapprofile",), recognises, load))
