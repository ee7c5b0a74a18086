"""Giving way: for as long as it lasts, for threads begun meanwhile, and for nobody afterwards."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from forensics.capture.yielding import SLICE_NS, slice_of, yielding

#: Kernels before 6.12 know no slice of a thread, and tell 0.
LONGER = SLICE_NS if slice_of() else 0


def test_this_thread_and_those_it_starts_have_the_longer_slice_and_this_one_its_own_again():
    before = slice_of()
    assert before != SLICE_NS
    with yielding():
        assert slice_of() == LONGER
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(slice_of).result() == LONGER
        with yielding():
            assert slice_of() == LONGER
        assert slice_of() == LONGER
    assert slice_of() == before


def test_policy_and_niceness_are_left_alone():
    before = os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)
    with yielding():
        assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before
    assert (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == before


def test_a_thread_before_all_others_stays_so():
    """The thread that stops one of the service's must not lose its place; only root has one before others."""
    policy = os.SCHED_FIFO if os.geteuid() == 0 else os.SCHED_IDLE

    def inside() -> int:
        os.sched_setscheduler(0, policy, os.sched_param(int(policy == os.SCHED_FIFO)))
        with yielding():
            return os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(inside).result() == policy
