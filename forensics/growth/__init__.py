"""Time series of a process and what their shape says."""

from __future__ import annotations

from forensics.growth.series import GrowthSeries
from forensics.growth.verdict import Verdict, judge, judge_process

__all__ = ["GrowthSeries", "Verdict", "judge", "judge_process"]
