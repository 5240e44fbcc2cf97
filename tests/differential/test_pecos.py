"""Random models answer through Espalier as they do through libpecos.

Skipped where libpecos is not at hand; ``make soak`` brings it. What it said once is
recorded in ``tests/golden/pecos`` and checked by every run.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.differential.compare import pecos_python, run

MODELS = {"dev": 45, "ci": 90, "long": 900}[os.environ.get("ESPALIER_PROFILE", "dev")]


@pytest.mark.slow
@pytest.mark.skipif(pecos_python() is None, reason="no libpecos; `make soak` sets it up")
def test_random_models_answer_as_in_libpecos(tmp_path: Path) -> None:
    """The same labels in the same order up to ties, in each of libpecos's layouts."""
    python = pecos_python()
    assert python is not None
    tally = run(python, tmp_path, range(MODELS))

    assert tally.wrong == []
    assert tally.models == MODELS
    # Questions in which a beam chose between equals prove less: they stay the exception.
    assert tally.open_rows < tally.rows / 2
    assert tally.same_order > tally.rows / 2
