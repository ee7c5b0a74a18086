"""Asking a service one thing over HTTP: bounded in bytes and time, by no proxy, to no other place than was named."""

from __future__ import annotations

import time
from urllib.parse import urlsplit, urlunsplit

import httpx

from forensics.errors import CaptureError, TargetError


def without_user(url: str) -> str:
    """The address as it may be shown: without user and password, and without its query."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def get(url: str, within: float, largest: int, *, accept: str = "*/*") -> tuple[int, bytes]:
    """Status and body, as it was sent: a gzipped one stays gzipped, and no bomb is unpacked here.

    Parameters
    ----------
    within : seconds for each step; twice as long for all of it
    largest : bytes; more than that is an error

    Raises
    ------
    TargetError : nothing answers there, or not in time.
    CaptureError : the answer is larger than ``largest``.
    """
    shown = without_user(url)
    headers = {"Accept": accept, "Accept-Encoding": "identity"}
    ends = time.monotonic() + 2 * within
    # Without TLS there is nothing to verify, and to read the certificates takes longer than to ask.
    verify = urlsplit(url).scheme != "http"
    try:
        with (
            httpx.Client(
                timeout=within, trust_env=False, follow_redirects=False, headers=headers, verify=verify
            ) as client,
            client.stream("GET", url) as answer,
        ):
            body = bytearray()
            for piece in answer.iter_raw():
                body += piece
                if len(body) > largest:
                    raise CaptureError(
                        f"{shown} answered with more than {largest >> 20} MiB; reading stopped there.",
                        advice="What is asked for is far smaller: see that this is the address you mean.",
                        url=shown,
                    )
                if time.monotonic() > ends:
                    raise TargetError(
                        f"{shown} was still answering after {2 * within:.0f} seconds.",
                        advice="Try again when the service is less busy.",
                    )
            return answer.status_code, bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise TargetError(
            f"{shown} was asked and did not answer: {str(error) or type(error).__name__}.",
            advice="See that the service runs and listens there; `forensics targets` lists what runs here.",
            url=shown,
        ) from error
