"""How a soak reads memory."""

from __future__ import annotations

import os

import pytest

from bench.serve_clients import memory_of
from bench.serve_soak import Reading, slope


def test_growth_is_that_of_the_second_half() -> None:
    """Warming up counts for nothing; afterwards 10 KiB a minute are 10 KiB a minute."""
    warming = [Reading(second, 0, second * 2**20) for second in range(60)]
    steady = [Reading(60 + n * 2, 0, 2**26 + n * 2 * 10 * 1024 // 60) for n in range(60)]

    assert slope([*warming, *steady]) == pytest.approx(10, abs=0.1)
    assert slope([Reading(n, n, 2**26) for n in range(20)]) == 0


def test_memory_is_read_by_kind() -> None:
    """Of this process: some of it private, and no more than is resident."""
    memory = memory_of(os.getpid())

    assert 2**20 < memory["Pss_Anon"] <= memory["Rss"] < 2**36
