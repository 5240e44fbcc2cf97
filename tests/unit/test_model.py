"""An index as a ranking model: questions in sparse matrices, answers in sparse matrices."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import espalier
from espalier.errors import (
    IndexCorruptError,
    IndexMissingError,
    InputError,
    LimitError,
    MatrixError,
    UnsupportedError,
)
from espalier.interop import import_pecos
from tests.differential.models import Case, Layer, random_case, save_model
from tests.golden.make import FOLDER

CASE = random_case(205)
BEAM = 9


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an index of 80 labels under 40 nodes."""
    folder = tmp_path_factory.mktemp("model")
    save_model(folder / "model", CASE)
    import_pecos(folder / "model", folder / "m.esp")
    return folder / "m.esp"


@pytest.fixture
def model(path: Path) -> Iterator[espalier.Model]:
    """Return it open."""
    with espalier.open_model(path) as opened:
        yield opened


def test_a_model_says_what_it_holds(model: espalier.Model, path: Path) -> None:
    """Sizes and defaults."""
    assert (model.labels, model.features) == (80, 17)
    assert (model.beam, model.k) == (10, 10)
    assert repr(model) == f"<espalier.Model {path}>"


def test_an_answer_has_a_row_a_question_best_first(model: espalier.Model) -> None:
    """Exactly k entries, scores descending, columns the labels."""
    found = model.predict(CASE.x, beam=BEAM, k=7)

    assert isinstance(found, scipy.sparse.csr_matrix)
    assert found.dtype == np.float32
    assert found.shape == (CASE.x.shape[0], 80)
    assert set(np.diff(found.indptr)) == {7}
    for row in range(found.shape[0]):
        assert (np.diff(found.data[7 * row : 7 * row + 7]) <= 0).all()


def test_a_beam_that_reaches_fewer_labels_gives_fewer(model: espalier.Model) -> None:
    """One node of two labels."""
    assert set(np.diff(model.predict(CASE.x, beam=1, k=50).indptr)) <= set(range(1, 50))


@pytest.mark.parametrize("threads", [0, 1, 2, 3, 1000])
def test_threads_and_batches_change_nothing(model: espalier.Model, threads: int) -> None:
    """Row by row is the same as all at once on any number of threads."""
    found = model.predict(CASE.x, beam=BEAM, k=7, threads=threads)
    for row in range(CASE.x.shape[0]):
        alone = model.predict(CASE.x[row], beam=BEAM, k=7)
        part = slice(found.indptr[row], found.indptr[row + 1])

        assert np.array_equal(alone.indices, found.indices[part])
        assert np.array_equal(alone.data, found.data[part])


def test_a_row_alone_is_ranked_as_in_a_matrix(model: espalier.Model) -> None:
    """The quick way to one answer gives the same bits, in any order of columns."""
    found = model.predict(CASE.x, beam=BEAM, k=7)
    for row in range(CASE.x.shape[0]):
        asked = scipy.sparse.csr_matrix(CASE.x[row])
        labels, scores = model.predict_row(asked.indices, asked.data, beam=BEAM, k=7)
        part = slice(found.indptr[row], found.indptr[row + 1])

        assert labels.tolist() == found.indices[part].tolist()
        assert scores.tolist() == found.data[part].tolist()
        backwards, _ = model.predict_row(asked.indices[::-1], asked.data[::-1], beam=BEAM, k=7)
        assert set(backwards.tolist()) == set(labels.tolist())
    assert model.predict_row(np.zeros(0, np.uint32), np.zeros(0, np.float32))[0].size > 0


def test_a_row_alone_that_cannot_be_asked_is_refused(model: espalier.Model) -> None:
    """One value a column, finite, below the number of features."""
    one = np.ones(1, np.float32)
    with pytest.raises(MatrixError, match="one value for each column"):
        model.predict_row(np.zeros(2, np.uint32), one)
    with pytest.raises(MatrixError, match="not finite"):
        model.predict_row(np.zeros(1, np.uint32), np.array([np.inf], np.float32))
    for columns, said in (([17], "columns 17 to 17"), ([-1], "columns -1"), ([1 << 40], "columns")):
        with pytest.raises(InputError, match=said):
            model.predict_row(np.array(columns), one)
    with pytest.raises(MatrixError, match="columns of type float64"):
        model.predict_row(np.array([1.7]), one)
    with pytest.raises(LimitError, match="beam"):
        model.predict_row(np.zeros(1, np.uint32), one, beam=-1)


def test_features_that_overflow_give_scores_all_the_same(model: espalier.Model) -> None:
    """Infinities that cancel are no number, which nothing orders; such labels come last."""
    huge = CASE.x.copy()
    huge.data = np.where(np.arange(huge.nnz) % 2 == 0, 3e38, -3e38).astype(np.float32)

    assert not np.isnan(model.predict(huge, beam=BEAM, k=80).data).any()


def test_a_model_is_shared_between_threads(model: espalier.Model) -> None:
    """Many callers at once get what one gets."""
    expected = model.predict(CASE.x, k=3)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: model.predict(CASE.x, k=3), range(20)):
            assert np.array_equal(expected.indices, found.indices)


def test_the_order_of_columns_does_not_matter(model: espalier.Model) -> None:
    """Unsorted and split entries are the same question."""
    expected = model.predict(CASE.x, k=5)
    shuffled = CASE.x.tocoo()
    order = np.random.default_rng(1).permutation(shuffled.nnz)
    twice = np.repeat(order, 2)
    split = scipy.sparse.coo_matrix(
        (shuffled.data[twice] / 2, (shuffled.row[twice], shuffled.col[twice])),
        shape=shuffled.shape,
    )

    assert np.array_equal(expected.indices, model.predict(split, k=5).indices)


def test_wider_than_the_tree_is_as_wide_as_the_tree(model: espalier.Model) -> None:
    """A beam of billions costs nothing, and k is cut to the labels there are."""
    found = model.predict(CASE.x, beam=10**12, k=10**12)

    assert found.nnz == CASE.x.shape[0] * 80


def test_no_question_has_no_answer(model: espalier.Model) -> None:
    """Zero rows in, zero rows out."""
    assert model.predict(scipy.sparse.csr_matrix((0, 17))).shape == (0, 80)


def test_a_model_without_features_ranks_by_bias(tmp_path: Path) -> None:
    """Nothing but the constant."""
    weights = scipy.sparse.csc_matrix(np.array([[1, 3, 2]], np.float32))
    case = Case([Layer(weights, np.zeros(3, np.int64), 1.0)], "noop", None, [])
    save_model(tmp_path / "model", case)
    import_pecos(tmp_path / "model", tmp_path / "m.esp")
    with espalier.open_model(tmp_path / "m.esp") as model:
        found = model.predict(scipy.sparse.csr_matrix((1, 0)))

    assert found.indices.tolist() == [1, 2, 0]


def test_a_score_of_zero_is_an_entry(tmp_path: Path) -> None:
    """Scipy may drop zeros; an answer keeps its labels."""
    weights = scipy.sparse.csc_matrix((1, 4), dtype=np.float32)
    save_model(
        tmp_path / "model", Case([Layer(weights, np.zeros(4, np.int64), 0.0)], "noop", None, [])
    )
    import_pecos(tmp_path / "model", tmp_path / "m.esp")
    with espalier.open_model(tmp_path / "m.esp") as model:
        found = model.predict(scipy.sparse.csr_matrix([[1.0]]))

    assert found.indices.tolist() == [0, 1, 2, 3]
    assert found.data.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros((1, 17)), "dense"),
        (scipy.sparse.csr_matrix((1, 16)), "16 columns.*17"),
        (scipy.sparse.csr_matrix([[np.nan] * 17]), "not finite"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(
    model: espalier.Model, x: object, said: str
) -> None:
    """Before the C library sees it."""
    with pytest.raises(MatrixError, match=said):
        model.predict(x)


@pytest.mark.parametrize("wrong", [{"beam": -1}, {"k": -1}, {"threads": -1}])
def test_numbers_below_zero_are_refused(model: espalier.Model, wrong: dict[str, int]) -> None:
    """Zero is the default, less is a mistake."""
    with pytest.raises(LimitError, match=next(iter(wrong))):
        model.predict(CASE.x, **wrong)


def test_an_index_trained_here_is_a_model_too(demo_index: Path) -> None:
    """One code path for all tasks."""
    with espalier.open_model(demo_index) as model:
        found = model.predict(scipy.sparse.csr_matrix((2, model.features)), k=3)

    assert found.nnz == 6


def test_an_index_without_a_tree_is_no_model() -> None:
    """Popularity alone ranks nothing."""
    with pytest.raises(UnsupportedError, match="no ranking model"):
        espalier.open_model(FOLDER / "popularity.esp")


def test_an_imported_index_does_not_complete(path: Path) -> None:
    """It has no texts, and says so."""
    with (
        espalier.open(path) as index,
        pytest.raises(UnsupportedError, match="predict, not complete"),
    ):
        index.complete("a")


def test_a_file_is_checked_before_it_is_asked(path: Path, tmp_path: Path) -> None:
    """Checksums are compared unless the caller says not to."""
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "m.esp").write_bytes(damaged)
    with pytest.raises(IndexCorruptError):
        espalier.open_model(tmp_path / "m.esp")
    espalier.open_model(tmp_path / "m.esp", verify=False).close()


def test_a_closed_model_says_so(path: Path) -> None:
    """No crash."""
    model = espalier.open_model(path)
    model.close()
    with pytest.raises(UnsupportedError, match="closed"):
        model.predict(CASE.x)


def test_a_model_that_is_not_there_is_missing(tmp_path: Path) -> None:
    """As for any index."""
    with pytest.raises(IndexMissingError):
        espalier.open_model(tmp_path / "m.esp")
