"""L13: a small binary keeps the slab that it was cut from."""

from __future__ import annotations

import numpy as np

from forensics.dynamodb.vocabulary import Kind
from forensics.findings import References, Remediation
from forensics.rules.evidence import Evidence
from forensics.rules.rule import Claim, Rule
from forensics.rules.suspect import Suspect

#: The size of the slabs that Node cuts small Buffers from (``Buffer.poolSize``).
SLAB = 8192


class PinnedSlab(Rule):
    """Binaries of a few bytes, each a view of 8 KB."""

    id = "L13"
    title = "Small binary pins its slab"
    runtimes = ("node",)
    needs = ("snapshots",)
    thresholds = "binaries whose memory is a slab of 8192 bytes, three slabs or more"
    severity = "medium"
    weight = 36
    references = References(owasp=("API4:2023",), cwe=("CWE-770", "CWE-401"))
    remediation = Remediation(
        "Copy the small binary out of the slab it was cut from before it is kept.",
        "def keep(binary):\n    # A copy has memory of its own; a memoryview keeps the whole buffer.\n"
        "    return bytes(binary)\n",
    )

    def look(self, suspect: Suspect, evidence: Evidence) -> Claim | None:
        """Claims binaries that share slabs."""
        if suspect.dynamo_kind != Kind.BINARY:
            return None
        slabs = slabs_of(evidence.snapshots[-1], suspect.members)
        if slabs < 3:
            return None
        said = f"{len(suspect.members):,} binaries keep {slabs:,} slabs of {SLAB:,} bytes"
        return self.claim("small binaries keep the slabs that they were cut from", suspect.confidence, said)


def slabs_of(graph, objects: np.ndarray) -> int:
    """How many different slabs the memory of these binaries is."""
    from forensics.dynamodb.recognise_node import slab_of

    slabs = slab_of(graph, objects)
    return len(np.unique(slabs[slabs >= 0]))
