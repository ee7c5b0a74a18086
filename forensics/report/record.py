"""The report as JSON: the findings in their schema, and all that is around them."""

from __future__ import annotations

import json
from typing import Any

from forensics.report.material import Material
from forensics.report.summary import five_lines

SCHEMA = "forensics.report/1"


def render(material: Material) -> str:
    """``forensics.report/1`` as text, two spaces of indent."""
    return json.dumps(to_dict(material), indent=2, ensure_ascii=False, default=str) + "\n"


def to_dict(material: Material) -> dict[str, Any]:
    """``forensics.report/1`` as plain JSON types; bytes and seconds."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "dynamodb-memory-forensics", "version": material.tool_version},
        "made": material.made.isoformat(timespec="seconds"),
        "summary": dict(five_lines(material)),
        **{key: value for key, value in material.findings.to_dict().items() if key != "schema"},
        "snapshots_detail": [
            {"seconds": second, "live_bytes": size, "objects": number}
            for second, size, number in zip(
                material.seconds, material.heap_bytes, material.heap_objects, strict=True
            )
        ],
        "holders": [
            {"path": line.name, "seconds": list(line.seconds), "bytes": list(line.n_bytes)}
            for line in material.holder_lines
        ],
        "chains": material.chains.to_dict() if material.chains else None,
        "missing": list(material.missing),
        "manifest": material.manifest,
    }
