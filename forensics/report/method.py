"""How the numbers of a report came about, and where they end; the same words in every format."""

METHOD = (
    "A snapshot lists every object of the process and every reference between them, walked from the roots "
    "(modules, frames, tasks, native state) while the service went on.",
    "Retained size is what would be freed if one object went, from the dominator tree (Lengauer and Tarjan 1979); "
    "two holders of the same data each retain little, so co-holders are named and counted together.",
    "Holders of several snapshots are joined by path, type and shape, never by address alone, for addresses are "
    "used again; growing, sawtooth and plateau are told apart only from three snapshots on.",
    "DynamoDB data is recognised by its structure (response metadata, attribute-value wrappers, shared attribute "
    "names), not by names of the application.",
)

LIMITS = (
    "A holder that grew for another reason during the capture, such as warming up, looks like a leak until a "
    "longer capture tells them apart: compare confidence and growth shape.",
    "Memory outside the runtime's heap (native libraries, the allocator's reserve) is seen in the process counters "
    "only.",
    "Operation and table are named only where the heap or the tracer holds a sign of them.",
)
