"""Little services as heaps: code compiled under a file name of its own, run in this process, drawn as graphs."""

from heapbuilder import heap

from forensics.rules import Evidence

FILE = "/srv/orders/api.py"


def namespace(source, **values):
    """The namespace of a module with this source, as if it stood in ``FILE``."""
    names = dict(values)
    exec(compile(source, FILE, "exec"), names)
    names.pop("__builtins__")
    return names


def evidence(graphs, **more):
    """Evidence of graphs five seconds apart."""
    return Evidence("small", snapshots=graphs, times=[5.0 * k for k in range(len(graphs))], **more)


def growing(source, fill, counts=(10, 20, 30), **values):
    """Snapshots of one module after ``fill(names, n)`` was called for each n up to each of ``counts``."""
    graphs = []
    for count in counts:
        names = namespace(source, **values)
        for n in range(count):
            fill(names, n)
        graphs.append(heap(orders__api=names))
    return evidence(graphs)
