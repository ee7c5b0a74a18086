"""A DynamoDB that speaks HTTP: moto's server in a process of its own, with only what we put there."""

from __future__ import annotations

import os
import sys
from typing import Any

import boto3
from botocore.config import Config

from forensics.specimens.program import Program, claim_port

REGION = "eu-central-1"


def aws_environment() -> dict[str, str]:
    """Variables that keep a program away from the user's own AWS account, files and roles."""
    return {
        "AWS_ACCESS_KEY_ID": "specimen",
        "AWS_SECRET_ACCESS_KEY": "specimen",
        "AWS_SESSION_TOKEN": "specimen",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Moto:
    """moto's server, listening on 127.0.0.1 once constructed; ``stop`` or the end of ``with`` ends it.

    Raises
    ------
    SpecimenError : ``port`` is taken, or the server did not come up.
    """

    def __init__(self, port: int | None = None) -> None:
        self.port = claim_port(port)
        self.program = Program(
            "moto's DynamoDB",
            [
                sys.executable,
                "-m",
                "forensics.specimens.moto_server",
                "-H",
                "127.0.0.1",
                "-p",
                str(self.port),
            ],
            environment=aws_environment(),
        )
        try:
            self.program.wait_until_serving(self.port, "/moto-api/")
        except BaseException:
            self.program.stop()
            raise

    def __repr__(self) -> str:
        return f"<Moto {self.url} pid={self.program.pid}>"

    def __enter__(self) -> Moto:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make any SDK's DynamoDB client talk to this server and to nothing else."""
        return {
            **aws_environment(),
            "DYNAMODB_ENDPOINT": self.url,
            "AWS_ENDPOINT_URL_DYNAMODB": self.url,
            "AWS_ENDPOINT_URL_DYNAMODB_STREAMS": self.url,
            "AWS_ENDPOINT_URL_S3": self.url,
        }

    def client(self, service: str = "dynamodb") -> Any:
        """A boto3 client of this server."""
        return self._session().client(service, endpoint_url=self.url, config=Config(max_pool_connections=16))

    def resource(self, service: str = "dynamodb") -> Any:
        """A boto3 resource of this server."""
        return self._session().resource(service, endpoint_url=self.url)

    def stop(self) -> None:
        self.program.stop()

    def _session(self) -> boto3.Session:
        return boto3.Session(
            aws_access_key_id="specimen",
            aws_secret_access_key="specimen",
            aws_session_token="specimen",
            region_name=REGION,
        )
