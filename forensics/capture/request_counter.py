"""``--requests URL#NAME``: a Prometheus counter of the service, read beside the process's own counters.

``NAME`` is a metric's name as the service's page shows it, with labels where only some series are meant:
``http://127.0.0.1:8000/metrics#http_requests_total{handler="/orders"}``. All series that match are added up.

Format: Prometheus' text exposition format, version 0.0.4, read by prometheus_client.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from forensics.capture.asking import get, without_user
from forensics.errors import CaptureError, ForensicsError

#: The most a page of metrics may hold, bytes; those of real services are some kB to some MB.
LARGEST_PAGE = 16 << 20
#: Seconds that the page may take: at the beginning, and while the process is sampled once a second.
ANSWERS_WITHIN = 10.0
SAMPLED_WITHIN = 2.0
_TEXT = "text/plain;version=0.0.4"
_EXAMPLE = (
    "Write it like http://127.0.0.1:8000/metrics#http_requests_total: the URL of a page of Prometheus metrics, and the "
    'name of a counter on it, with {label="value"} where only some of its series are meant.'
)
_REDIRECTED = "It redirects: give the address it leads to, often the same with a slash at its end."
#: So many names are told where the one asked for is not there.
_NAMES_TOLD = 8


@dataclass(frozen=True)
class RequestCounter:
    """A counter on a page of metrics: ``url`` of the page, ``name`` of the metric, ``labels`` that must be equal."""

    url: str = field(repr=False)
    name: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> RequestCounter:
        """Read ``URL#NAME`` or ``URL#NAME{label="value"}``; nothing is asked of the service yet.

        Raises
        ------
        CaptureError : it cannot be read; the advice shows one that can.
        """
        url, _, metric = text.partition("#")
        sample = _sample_of(metric)
        if not _is_address(url) or sample is None:
            raise CaptureError(f"--requests {text!r} names no counter.", advice=_EXAMPLE, requests=text)
        return cls(url, sample.name, tuple(sorted(sample.labels.items())))

    def read(self, within: float = ANSWERS_WITHIN) -> int:
        """What it counts now: the sum of its series.

        Raises
        ------
        TargetError, CaptureError : the page does not answer, is no page of metrics, or has no such counter.
        """
        shown = without_user(self.url)
        status, body = get(self.url, within, LARGEST_PAGE, accept=_TEXT)
        if status != 200:
            raise CaptureError(
                f"{shown} was asked for {self.name} and answered {status}.",
                advice=_REDIRECTED if 300 <= status < 400 else _EXAMPLE,
                url=shown,
            )
        try:
            families = list(text_string_to_metric_families(body.decode("utf-8")))
        except (ValueError, KeyError, IndexError) as error:
            raise CaptureError(
                f"{shown} answered, and not with Prometheus' text format: {str(error)[:100] or 'unreadable'}.",
                advice=_EXAMPLE,
                url=shown,
            ) from None
        samples = [sample for family in families for sample in family.samples]
        found = [sample.value for sample in samples if self._is(sample) and math.isfinite(sample.value)]
        if not found:
            raise CaptureError(
                f"{shown} has no series of {self.name}{self._of_labels()}.",
                advice=_counters(families),
                url=shown,
                requests=self.name,
            )
        return round(sum(found))

    def now(self) -> int | None:
        """The same for one sample among many: None where the service did not say in time."""
        try:
            return self.read(SAMPLED_WITHIN)
        except ForensicsError:
            return None

    def _is(self, sample: Sample) -> bool:
        return sample.name == self.name and all(
            sample.labels.get(label) == value for label, value in self.labels
        )

    def _of_labels(self) -> str:
        return (
            " with " + ", ".join(f'{label}="{value}"' for label, value in self.labels) if self.labels else ""
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # half an IPv6 address, a port that is no number
        return False


def _sample_of(metric: str) -> Sample | None:
    """The name and the labels in ``name{label="value"}``; None where it is none."""
    if not metric or "\n" in metric or " " in metric.partition("{")[0]:
        return None
    try:
        samples = [
            each for family in text_string_to_metric_families(f"{metric} 0\n") for each in family.samples
        ]
    except (ValueError, KeyError, IndexError):
        return None
    return samples[0] if len(samples) == 1 else None


def _counters(families) -> str:
    """The names that can be given instead, those that count requests first."""
    names = dict.fromkeys(
        sample.name
        for family in families
        if family.type in ("counter", "histogram", "summary")
        for sample in family.samples
        if sample.name.endswith(("_total", "_count"))
    )
    first = sorted(names, key=lambda name: ("request" not in name, name))
    told = ", ".join(first[:_NAMES_TOLD]) + (" …" if len(first) > _NAMES_TOLD else "")
    return f"Its counters are: {told}." if first else f"It has no counter at all. {_EXAMPLE}"
