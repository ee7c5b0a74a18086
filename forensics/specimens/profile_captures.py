"""Small captures of the compiled services: ``python -m forensics.specimens.profile_captures CAPTURES [SERVICE …]``.

Profiles of ``echo``, ``actix`` and ``axum``, leaking and mended, taken while they serve; one archive for each service.
What would tell of the machine they were made on (host, places of sources, of the home, of Cargo's registry) is replaced
by the places of a common installation; nothing else in the captures is touched.
"""

from __future__ import annotations

import gzip
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import forensics as fx
from forensics import resources
from forensics.bundle import Bundle
from forensics.formats.pprof_schema import Profile
from forensics.specimens import building
from forensics.specimens.desk import CONTROLS, DESK, RUST_DESK, Clients
from forensics.specimens.moto import Moto
from forensics.specimens.orders import seed_tables
from forensics.specimens.service import SPECIMENS, VARIANTS, Service, Specimen, actix, axum, echo

ORDERS = 600
WARM_UP = 6
SNAPSHOTS = 4
EVERY = 12.0
#: Requests of a route in one round, where it is more than one: what these leak in one request is little.
SEVERAL = {"audited": 16, "label": 4, "notes": 9, "tenant": 8, "watch": 2, "queue": 2}


@dataclass(frozen=True)
class Story:
    """A service and the routes it is asked for."""

    specimen: Callable[[str], Specimen]
    routes: Sequence[str]


STORIES: Mapping[str, Story] = {
    "echo": Story(echo, (*DESK, *CONTROLS)),
    "actix": Story(actix, (*RUST_DESK, *CONTROLS)),
    "axum": Story(axum, (*RUST_DESK, *CONTROLS)),
}


def make(service: str, folder: Path) -> Path:
    """Write ``folder/SERVICE.tar.xz``; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / resources.archive_of(service)
    with tempfile.TemporaryDirectory(prefix=".captures-", dir=folder) as work, Moto() as moto:
        seed_tables(moto, ORDERS)
        for variant in VARIANTS:
            _take(STORIES[service], variant, moto, Path(work) / service / variant)
        resources.pack(Path(work) / service, archive)
    shutil.rmtree(folder / service, ignore_errors=True)
    return archive


def _take(story: Story, variant: str, moto: Moto, to: Path) -> None:
    stop, warm = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def ask(url: str) -> None:
        rounds = 0
        try:
            with Clients(url, ORDERS) as clients:
                while not stop.is_set():
                    for route in story.routes:
                        several = SEVERAL.get(route, 1)
                        clients.ask([route], range(rounds * several, (rounds + 1) * several))
                    rounds += 1
                    if rounds == WARM_UP:
                        warm.set()
        except BaseException as error:
            failures.append(error)
            warm.set()

    with Service(story.specimen(variant), moto) as service:
        asking = threading.Thread(target=ask, args=(service.url,))
        asking.start()
        try:
            warm.wait()
            fx.capture(service.pid, to=to, snapshots=SNAPSHOTS, every=EVERY)
        finally:
            stop.set()
            asking.join()
    if failures:
        raise failures[0]
    _neutralise(Bundle.open(to))


def places() -> Sequence[tuple[re.Pattern[str], str]]:
    """What to replace in every text, in this order: folders of this machine, and the name of Cargo's registry."""
    cache = str(building.cache())
    return [
        (re.compile(re.escape(f"{cache}/specimens/rust")), "/srv/orders"),
        (re.compile(re.escape(f"{cache}/specimens") + r"/([a-z]+-[a-z]+)-[0-9a-f]{16}"), r"/srv/orders/\1"),
        (re.compile(re.escape(f"{cache}/cargo-target")), "/srv/orders/target"),
        (re.compile(re.escape(str(SPECIMENS))), "/srv/orders"),
        (re.compile(r"/registry/src/[^/]+/"), "/registry/src/registry/"),
        (re.compile(re.escape(str(Path.home()))), "/home/orders"),
    ]


def _neutralise(bundle: Bundle) -> None:
    replacements = places()

    def plain(text: str) -> str:
        for pattern, there in replacements:
            text = pattern.sub(there, text)
        return text

    for name in bundle.names():
        if name.endswith(".pb.gz"):
            data = (bundle.folder / name).read_bytes()
            profile = Profile.FromString(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
            for position, text in enumerate(profile.string_table):
                profile.string_table[position] = plain(text)
            with bundle.new_file(name) as path:
                # stored and not compressed: the archive finds what the profiles have in common
                path.write_bytes(gzip.compress(profile.SerializeToString(), compresslevel=0, mtime=0))
        elif name.endswith((".txt", ".json")):
            text = (bundle.folder / name).read_text()
            with bundle.new_file(name) as path:
                path.write_text(plain(text))
    command_line = [plain(word) for word in bundle.manifest["command_line"]]
    bundle.update(command_line=command_line, host="orders-1", platform="Linux-x86_64")


if __name__ == "__main__":
    for chosen in sys.argv[2:] or STORIES:
        made = make(chosen, Path(sys.argv[1]))
        print(f"{made}: {made.stat().st_size / 1e3:.0f} kB")
