"""JupyterLab on the investigation notebooks: a working folder of the user's, a capture chosen, nobody called.

The notebooks are copied; one the user has changed is never overwritten. The server listens on 127.0.0.1 only and
neither looks for news nor for updates.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from forensics import resources
from forensics.bundle import Bundle, sha256
from forensics.errors import BundleError, ForensicsError

__all__ = [
    "CAPTURE_VARIABLE",
    "Workbench",
    "bundled_capture",
    "bundled_services",
    "chosen_capture",
    "lab",
    "prepare",
]

#: The environment variable by which a notebook knows which capture to open.
CAPTURE_VARIABLE = "FORENSICS_CAPTURE"

#: The folder that is made in the working directory unless another is named.
FOLDER = "forensics-notebooks"

_RECORD = ".forensics"


@dataclass(frozen=True)
class Workbench:
    """A working folder: what was put there, and what was left as the user had changed it."""

    folder: Path
    written: tuple[str, ...]
    kept: tuple[str, ...]


def lab(
    capture: str | os.PathLike[str] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    port: int = 8888,
    browser: bool = True,
) -> int:
    """Open JupyterLab on the notebooks and wait until it is closed; returns its exit status.

    Parameters
    ----------
    capture : the capture that the notebooks open; by default the small one that comes along
    folder : where to work; by default ``forensics-notebooks`` in the working directory
    port : the first port to try; the next free one is taken
    browser : whether to open a browser

    Raises
    ------
    BundleError : there is no such capture, or the folder cannot be written.
    """
    chosen = None if capture is None else Path(Bundle.open(capture, check=False).folder).resolve()
    bench = prepare(FOLDER if folder is None else folder)
    for name in bench.kept:
        print(f"{name} was changed by you and is left as it is.", flush=True)
    print(f"Notebooks in {bench.folder}; Ctrl-C ends JupyterLab.", flush=True)
    if os.geteuid() == 0:
        print("JupyterLab runs as root (--allow-root): on 127.0.0.1 only, behind its token.", flush=True)
    process = subprocess.Popen(command(bench.folder, port, browser), env=environment(bench.folder, chosen))
    with _ending(process):
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # JupyterLab has the same Ctrl-C and asks or ends by itself
                continue


@contextlib.contextmanager
def _ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Meanwhile SIGTERM ends ``process``; only the main thread may ask for signals, elsewhere nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def prepare(folder: str | os.PathLike[str]) -> Workbench:
    """Put the notebooks into ``folder``; those that the user changed there stay as they are.

    A notebook is the user's own once its checksum differs from what was put there.
    """
    source = resources.notebooks()
    bench = Path(folder).resolve()
    written, kept = [], []
    try:
        bench.mkdir(parents=True, exist_ok=True)
        record = bench / _RECORD
        record.mkdir(exist_ok=True)
        known = _known(record)
        for notebook in sorted(source.glob("*.ipynb")):
            target = bench / notebook.name
            if target.exists() and sha256(target) not in (known.get(notebook.name), sha256(notebook)):
                kept.append(notebook.name)
                continue
            shutil.copyfile(notebook, target)
            known[notebook.name] = sha256(target)
            written.append(notebook.name)
        (record / "notebooks.json").write_text(json.dumps(known, indent=1) + "\n")
        settings = record / "labconfig"
        settings.mkdir(exist_ok=True)
        quiet = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
        (settings / "page_config.json").write_text(json.dumps(quiet, indent=1) + "\n")
    except OSError as error:
        raise BundleError(
            f"The notebooks cannot be put into {bench}: {error.strerror or error}.",
            advice="Start from a folder that you may write to.",
            path=str(bench),
        ) from error
    return Workbench(bench, tuple(written), tuple(kept))


def command(folder: Path, port: int, browser: bool) -> list[str]:
    """JupyterLab's command line: this interpreter, this machine only, no news, no updates, no extension index."""
    return [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={folder}",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--ServerApp.open_browser={browser}",
        "--ServerApp.allow_remote_access=False",
        f"--LabApp.default_url=/lab/tree/{_first(folder)}",
        "--LabApp.news_url=",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
        # A capture of root's is root's to open; nobody else reaches the server without its token.
        *(["--allow-root"] if os.geteuid() == 0 else []),
    ]


def environment(folder: Path, capture: Path | None) -> dict[str, str]:
    """What JupyterLab and its kernels are told: the capture, plots that need no network, settings of their own."""
    told = dict(os.environ)
    if capture is not None:
        told[CAPTURE_VARIABLE] = str(capture)
    told["PLOTLY_RENDERER"] = "plotly_mimetype"
    told["JUPYTERLAB_WORKSPACES_DIR"] = str(folder / _RECORD / "workspaces")
    told["JUPYTER_CONFIG_PATH"] = os.pathsep.join(
        filter(None, [str(folder / _RECORD), told.get("JUPYTER_CONFIG_PATH")])
    )
    return told


def chosen_capture(named: str | os.PathLike[str] = "") -> Path:
    """The capture a notebook opens: ``named``, else what ``forensics lab CAPTURE`` chose, else one of ours."""
    chosen = named or os.environ.get(CAPTURE_VARIABLE, "")
    return Path(chosen) if chosen else bundled_capture("leaking")


def bundled_capture(variant: str, service: str = "fastapi") -> Path:
    """A small capture that comes along: ``leaking`` or ``mended``, of one of ``bundled_services``.

    Raises
    ------
    ForensicsError : this installation has no such capture.
    """
    folder = resources.captures() / service / variant
    if not folder.is_dir():
        raise ForensicsError(
            f"The capture {folder} that comes along is not there.",
            advice="Give one of your own: forensics lab CAPTURE, or name it in the notebook's first cell.",
            path=str(folder),
        )
    return folder


def bundled_services() -> tuple[str, ...]:
    """The services of which small captures come along, sorted by name."""
    return tuple(sorted(each.parent.name for each in resources.captures().glob("*/leaking")))


def _first(folder: Path) -> str:
    names = sorted(path.name for path in folder.glob("*.ipynb"))
    return names[0] if names else ""


def _known(record: Path) -> dict[str, str]:
    try:
        known = json.loads((record / "notebooks.json").read_text())
    except (OSError, ValueError):
        return {}
    return {str(name): str(digest) for name, digest in known.items()} if isinstance(known, dict) else {}
