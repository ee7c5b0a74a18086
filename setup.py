"""What pyproject.toml cannot say: the native parts, and the notebooks and captures that travel in a wheel."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent

#: What of the clone that a wheel carries under ``forensics/_data`` (see ``forensics.resources``).
DATA = ("notebooks", *(f"captures/{path.name}" for path in sorted(HERE.glob("captures/*.tar.xz"))))

#: Files inside the package that are not Python: templates, scripts, sources of the native parts, licences.
DATA_SUFFIXES = (
    *("html", "j2", "css", "js", "mjs", "cjs", "svg", "json", "md", "txt", "sql", "proto", "typed"),
    *("c", "h", "S", "go", "mod", "sum", "rs", "toml", "lock"),
)


def extensions() -> list[Extension]:
    """The native parts; each is ``optional=True``: without a compiler the Python ones do the work, slower."""
    native = Path("forensics/agent/native")
    include = Path(sysconfig.get_path("include"))
    walker = Extension(
        "forensics.agent.native._walker",
        sources=sorted(map(str, native.glob("*.c"))),
        depends=sorted(map(str, native.glob("*.h"))),
        include_dirs=[str(include / "internal"), str(include.parent)],
        extra_compile_args=["-O2", "-fvisibility=hidden", "-pthread"],
        optional=True,
    )
    return [walker] if sys.platform == "linux" else []


class BuildPackage(build_py):
    """``build_py`` that also lays the notebooks and the small captures into the package."""

    def run(self) -> None:
        """Build as usual, then copy."""
        super().run()
        if getattr(self, "editable_mode", False):
            return  # a checkout has them at its top
        for name in DATA:
            source = HERE / name
            target = Path(self.build_lib) / "forensics" / "_data" / name
            if source.is_dir():
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            elif source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)


setup(
    ext_modules=extensions(),
    cmdclass={"build_py": BuildPackage},
    package_data={"forensics": [*(f"**/*.{suffix}" for suffix in DATA_SUFFIXES), "**/LICENSE*"]},
    exclude_package_data={"forensics": ["**/node_modules/**", "**/target/**"]},
)
