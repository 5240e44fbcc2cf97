"""Recorded answers of libpecos: an imported model gives the same ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import espalier
from espalier.interop import import_pecos
from espalier.matrices import read_matrix
from tests.differential.compare import Tally, compare
from tests.differential.models import POST_PROCESSORS, Case
from tests.reference import xlinear

FOLDER = Path(__file__).resolve().parent / "pecos"
RECORDED = sorted(FOLDER.glob("seed*.npz"))


def test_every_post_processor_is_recorded() -> None:
    """Nine ways to turn a margin into a score, in 200 kB."""
    found = set()
    for path in RECORDED:
        with np.load(path) as arrays:
            found.add(str(arrays["post_processor"]))

    assert found == set(POST_PROCESSORS)
    assert sum(path.stat().st_size for path in FOLDER.rglob("*.npz")) < 200_000


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_model_answers_as_libpecos_did(path: Path, tmp_path: Path) -> None:
    """The same labels in the same order up to ties, the same scores."""
    tally = Tally()
    with np.load(path) as arrays:
        compare(path.stem, Case.from_arrays(arrays), arrays, tmp_path, tally)

    assert tally.wrong == []
    assert tally.rows > tally.open_rows


def test_a_model_that_libpecos_trained_and_saved_is_read(tmp_path: Path) -> None:
    """The folder as it is on disk, clusters not side by side, default beam and k."""
    trained = FOLDER / "trained"
    report = import_pecos(trained, tmp_path / "trained.esp")
    expected = read_matrix(trained / "Y_beam2_k5.npz", "csr")
    with espalier.open_model(tmp_path / "trained.esp") as model:
        found = model.predict(read_matrix(trained / "X.npz", "csr"), beam=2, k=5)
        found.sort_indices()

        assert (model.beam, model.k) == (20, 20)
    assert report.counts["labels"] == 30
    assert np.array_equal(expected.indices, found.indices)
    np.testing.assert_allclose(expected.data, found.data, rtol=0, atol=1e-5)


def _spoil(labels: Any, scores: Any, how: str) -> tuple[Any, Any]:
    if how == "another label":
        labels[0] = np.setdiff1d(np.arange(labels.max() + 2), labels)[0]
    elif how == "another score":
        scores[0] += 2e-5
    elif how == "one fewer":
        return labels[1:], scores[1:]
    elif how == "one twice":
        labels[1] = labels[0]
    else:
        return labels[::-1], scores[::-1]
    return labels, scores


@pytest.mark.parametrize(
    "how", ["another label", "another score", "one fewer", "one twice", "worst first"]
)
def test_the_comparison_would_notice(how: str) -> None:
    """A wrong answer is called wrong."""
    weights = np.array([[1.0, -0.5, 0.25, 0.6], [0.3, 0.2, -0.9, 0.1]])
    layers = [(weights, np.zeros(4, np.int64), 0.0)]
    row = scipy.sparse.csr_matrix([[1.0, 0.5]])
    expected = xlinear.expect(layers, "l3-hinge", row, 1, 3)
    labels = np.argsort(-np.nan_to_num(expected.score, nan=-1))[:3]
    scores = expected.score[labels]

    assert xlinear.problem_with(expected, "l3-hinge", labels, scores) is None
    spoiled = _spoil(labels.copy(), scores.copy(), how)
    assert xlinear.problem_with(expected, "l3-hinge", *spoiled) is not None
