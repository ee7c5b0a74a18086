"""Start a specimen, know its PID and address, stop it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forensics.specimens import packages
from forensics.specimens.building import go_program, rust_program
from forensics.specimens.moto import Moto
from forensics.specimens.program import Program, SpecimenError, claim_port

SPECIMENS = Path(__file__).parent
VARIANTS = ("leaking", "mended")


@dataclass(frozen=True)
class Specimen:
    """How a specimen is run.

    ``command(port)`` is the argument vector of the program that serves the specimens' API (``GET /health``,
    and what ``load.requests`` asks for) on that port of 127.0.0.1; ``environment`` is added to the variables
    that lead to the DynamoDB.
    """

    name: str
    variant: str
    folder: Path
    command: Callable[[int], Sequence[str]]
    environment: Mapping[str, str]


def fastapi(variant: str = "leaking", application: str = "orders.main:app") -> Specimen:
    """The orders service on FastAPI, uvicorn and boto3; as ``traced:app`` with the tracer on."""
    _check("fastapi", variant)
    folder = SPECIMENS / "fastapi" / variant
    return Specimen(
        name="fastapi",
        variant=variant,
        folder=folder,
        command=lambda port: [
            *(sys.executable, "-m", "uvicorn", application, "--app-dir", str(folder)),
            *("--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"),
        ],
        environment={},
    )


def express(variant: str = "leaking") -> Specimen:
    """The orders service on Express 5 and the AWS SDK v3 for JavaScript; its packages are installed first.

    Raises
    ------
    SpecimenError : Node or npm is missing, or the packages cannot be installed.
    """
    _check("express", variant)
    return node_program("express", variant, SPECIMENS / "express" / variant / "server.js")


def node_program(name: str, variant: str, program: Path) -> Specimen:
    """A program of Node that takes its port as its only argument, with the packages of the Express specimen."""
    modules = packages.installed(SPECIMENS / "express" / "package.json")
    node = packages.node()
    return Specimen(
        name=name,
        variant=variant,
        folder=program.parent,
        command=lambda port: [node, str(program), str(port)],
        environment={"NODE_PATH": str(modules), "NODE_ENV": "production"},
    )


def echo(variant: str = "leaking") -> Specimen:
    """The orders service on Echo and aws-sdk-go-v2, with net/http/pprof; built when it is first asked for."""
    _check("echo", variant)
    folder = SPECIMENS / "echo" / variant
    program = go_program(f"echo-{variant}", folder)
    return Specimen(
        name="echo",
        variant=variant,
        folder=folder,
        command=lambda port: [str(program), "-listen", f"127.0.0.1:{port}"],
        # Deep items lead the deserialiser below Go's own limit of 128 frames, where the handler is cut off; and what
        # leaks slowly shows in a minute with a finer sampling than one block in 512 KiB.
        environment={"GODEBUG": "profstackdepth=1024,memprofilerate=16384"},
    )


def actix(variant: str = "leaking") -> Specimen:
    """The orders service on actix-web and aws-sdk-dynamodb, with jemalloc's profile; built when first asked for."""
    return _rust("actix", variant)


def axum(variant: str = "leaking") -> Specimen:
    """The orders service on axum and aws-sdk-dynamodb, with jemalloc's profile; built when first asked for."""
    return _rust("axum", variant)


def _rust(name: str, variant: str) -> Specimen:
    _check(name, variant)
    workspace = SPECIMENS / "rust"
    program = rust_program(f"{name}-{variant}", workspace)
    return Specimen(
        name=name,
        variant=variant,
        folder=workspace / name,
        command=lambda port: [str(program), f"127.0.0.1:{port}"],
        # what leaks slowly shows in a minute with a finer sampling than one block in 512 KiB
        environment={"MALLOC_CONF": "lg_prof_sample:14"},
    )


def _check(name: str, variant: str) -> None:
    if variant not in VARIANTS:
        raise SpecimenError(
            f"The {name} specimen has no variant {variant!r}.", advice=f"There are: {', '.join(VARIANTS)}."
        )


class Service:
    """A running specimen, answering once constructed; ``stop`` or the end of a ``with`` block ends it.

    Parameters
    ----------
    specimen : which one, for example ``fastapi("leaking")``.
    moto : the DynamoDB it talks to, with the tables of ``orders.seed_tables``.
    port : a port of 127.0.0.1; a free one where left out.
    environment : further variables.

    Raises
    ------
    SpecimenError : the port is taken, or the service did not come up.
    """

    def __init__(
        self,
        specimen: Specimen,
        moto: Moto,
        *,
        port: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.specimen = specimen
        self.port = claim_port(port)
        self.program = Program(
            f"the {specimen.variant} {specimen.name} specimen",
            specimen.command(self.port),
            environment={**moto.environment, **specimen.environment, **(environment or {})},
            folder=specimen.folder,
        )
        try:
            self.program.wait_until_serving(self.port, "/health")
        except BaseException:
            self.program.stop()
            raise

    def __repr__(self) -> str:
        return f"<Service {self.specimen.name}/{self.specimen.variant} {self.url} pid={self.pid}>"

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self.program.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.program.stop()
