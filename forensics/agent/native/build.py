"""Build the native walker for an interpreter that is not the one this package was installed into.

A service may run another minor version than the analyst. The walker reads the interpreter's own structures, so it is
compiled against the headers of exactly that version and kept in the user's cache under a name made of the version,
the ABI, the machine and the sources' hash. Standard library only, Python 3.9 and later.
"""

import contextlib
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
_TIMEOUT_SECONDS = 180
_QUESTION = (
    "import json, platform, sys, sysconfig;"
    "print(json.dumps({'version': platform.python_version(), 'soabi': sysconfig.get_config_var('SOABI') or '',"
    "'include': sysconfig.get_path('include'), 'platinclude': sysconfig.get_path('platinclude'),"
    "'free_threaded': bool(sysconfig.get_config_var('Py_GIL_DISABLED')),"
    "'implementation': platform.python_implementation()}))"
)


class BuildError(Exception):
    """The walker could not be built; says what was tried and what the compiler said."""


def sources():
    """The C files of the walker, in a fixed order."""
    return sorted(HERE.glob("*.c"))


def source_hash():
    """A short hash of every source and header: another walker is another file in the cache."""
    digest = hashlib.sha256()
    for path in sorted([*HERE.glob("*.c"), *HERE.glob("*.h")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def describe(executable):
    """What ``executable`` says of itself: version, soabi, include, platinclude, free_threaded, implementation."""
    command = [str(executable), "-I", "-S", "-c", _QUESTION]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=30, check=True, cwd="/")
        return json.loads(answer.stdout.decode())
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise BuildError(
            "{} was asked for its headers and did not answer: {}".format(executable, error)
        ) from error


def cache_folder():
    """Where built walkers are kept: ``$XDG_CACHE_HOME/dynamodb-memory-forensics/walkers``, only ours to write."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "dynamodb-memory-forensics" / "walkers"


def walker_for(executable, folder=None, include=None):
    """The path of a walker for the interpreter ``executable``; built now if the cache has none.

    Parameters
    ----------
    executable : path of the interpreter; it is run once, isolated, to ask for its version and headers
    folder : where built walkers are kept; ``cache_folder()`` by default
    include : a folder with ``Python.h`` to use instead of the one the interpreter names, for example one below
        ``/proc/PID/root``

    Raises
    ------
    BuildError : another implementation, a free-threaded build, no headers, no compiler, or the compiler's complaint.
    """
    facts = describe(executable)
    return build(
        version=facts["version"],
        soabi=facts["soabi"],
        include=include or facts["include"],
        extra_includes=() if include else (facts["platinclude"],),
        folder=folder,
        usable=facts["implementation"] == "CPython" and not facts["free_threaded"],
    )


def build(version, soabi, include, extra_includes=(), folder=None, usable=True):
    """Compile the walker against the headers in ``include`` unless the cache has it; returns its path.

    ``version`` is the interpreter's ("3.12.1"), checked against the headers' ``patchlevel.h``; raises ``BuildError``.
    """
    minor = tuple(int(part) for part in version.split(".")[:2])
    if not usable or minor < (3, 11):
        raise BuildError(
            "The native walker reads CPython 3.11 and later with its interpreter lock, not {}".format(version)
        )
    include = Path(include)
    _check_headers(include, version)
    folder = Path(folder) if folder is not None else cache_folder()
    name = "_walker-{}-{}-{}-{}.so".format(version, soabi or "abi", platform.machine(), source_hash())
    path = folder / name
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _compile([include, *map(Path, extra_includes)], path)
    return path


def _check_headers(include, version):
    patchlevel = include / "patchlevel.h"
    if not patchlevel.is_file() or not (include / "internal" / "pycore_frame.h").is_file():
        raise BuildError(
            "No headers of Python {} in {}: install them (Debian: libpython{}-dev), or use the Python walker".format(
                version, include, ".".join(version.split(".")[:2])
            )
        )
    for line in patchlevel.read_text().splitlines():
        if line.startswith("#define PY_VERSION ") and line.split('"')[1].rstrip("+") != version.rstrip("+"):
            raise BuildError(
                "The headers in {} are of Python {}, not {}".format(include, line.split('"')[1], version)
            )


def _compile(includes, path):
    compiler = shlex.split(os.environ.get("CC", ""))
    if not compiler:
        compiler = [found for found in map(shutil.which, ("cc", "gcc", "clang")) if found][:1]
    if not compiler:
        raise BuildError("No C compiler (cc, gcc, clang) to build the native walker with: install one")
    handle, unfinished = tempfile.mkstemp(prefix=".building-", suffix=".so", dir=str(path.parent))
    os.close(handle)
    command = [*compiler, "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread"]
    for include in includes:
        # Debian's pyconfig.h is found through the parent; headers of headers through internal/.
        command += [
            "-I{}".format(include),
            "-I{}".format(include / "internal"),
            "-I{}".format(include.parent),
        ]
    command += [*map(str, sources()), "-o", unfinished]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise BuildError("The compiler refused the native walker: {}".format("\n".join(said[:8])))
        os.replace(unfinished, path)  # whole or not at all, also when two captures build at once
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildError("The native walker could not be compiled: {}".format(error)) from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(unfinished)
