"""What memlab and we say of the same three snapshots of services that leak, side by side.

    python tests/benchmarks/memlab_corpus.py [names of services of the Express corpus]

Ours is told from the snapshots alone here, as memlab's is: an import, without the program's lines that a capture takes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import forensics as fx
from forensics.capture.node.inspector import entered
from forensics.specimens import packages
from forensics.specimens.moto import Moto
from forensics.specimens.orders import seed_tables
from forensics.specimens.service import Service, node_program
from tests.corpus.test_node_corpus import SERVICES, Driven

MEMLAB = Path(__file__).parent / "workloads" / "memlab"
NAMES = ("responses_array", "map_cache", "timer_closures")


def snapshots(name: str, moto: Moto, folder: Path) -> list[Path]:
    """Three, with requests before each."""
    files = []
    specimen = node_program(name, "leaking", SERVICES / f"{name}.js")
    with Service(specimen, moto, environment={"NODE_OPTIONS": "--inspect-port=0"}) as service:
        driven = Driven(service.url)
        for number in range(3):
            driven.drive()
            file = folder / f"s{number + 1}.heapsnapshot"
            with entered(service.pid) as session, file.open("w", encoding="utf-8") as out:

                def chunk(message, out=out):
                    if message["method"] == "HeapProfiler.addHeapSnapshotChunk":
                        out.write(message["params"]["chunk"])

                session.call("HeapProfiler.enable")
                session.call("HeapProfiler.takeHeapSnapshot", on_event=chunk, patience=120)
            files.append(file)
    return files


def beside_each_other(name: str, moto: Moto, folder: Path) -> None:
    files = snapshots(name, moto, folder)
    modules = packages.installed(MEMLAB / "package.json")
    command = [packages.node(), MEMLAB / "find_leaks.js", modules, folder / "work", *files]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    print(f"== {name}")
    for line in (said.stdout or said.stderr).strip().splitlines()[:8]:
        print(f"memlab  {line}")
    for each in fx.open(fx.import_files(files, folder / "capture")).findings():
        if each.severity != "info":
            print(f"ours    {each.rule} {each.severity}: {each.title}")


if __name__ == "__main__":
    with Moto() as server, tempfile.TemporaryDirectory() as made:
        seed_tables(server, 600)
        for service in sys.argv[1:] or NAMES:
            (place := Path(made) / service).mkdir()
            beside_each_other(service, server, place)
