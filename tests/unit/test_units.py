"""Sizes as a person reads them: never a power of ten, never less than nothing."""

from __future__ import annotations

import pytest

from forensics import units

KIB = 1024


@pytest.mark.parametrize(
    ("n_bytes", "said"),
    [
        (0, "0 bytes"),
        (-0.3, "0 bytes"),
        (812, "812 bytes"),
        (-812, "−812 bytes"),
        (12.4 * KIB, "12.4 KiB"),
        (999.4 * KIB, "999 KiB"),
        (999.6 * KIB, "1,000 KiB"),
        (1023 * KIB, "1,023 KiB"),
        (3.2 * KIB**2, "3.2 MiB"),
        (-1.25 * KIB**3, "−1.25 GiB"),
        (5000 * KIB**3, "5,000 GiB"),
        (None, "unknown"),
        (float("nan"), "unknown"),
    ],
)
def test_sizes(n_bytes: float | None, said: str) -> None:
    assert units.size(n_bytes) == said
