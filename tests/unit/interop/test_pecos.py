"""Importing a PECOS model: its tree, its weights, and every way a folder can be wrong."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import espalier
from espalier.errors import ConfigError, ModelError, StorageError
from espalier.interop import import_pecos
from espalier.native import NativeIndex
from tests.differential.models import Case, Layer, random_case, save_model

F32 = np.float32


def csc(*rows: list[float]) -> Any:
    """Return a small ``csc_matrix`` of float32."""
    return scipy.sparse.csc_matrix(np.array(rows, F32))


def small(post_processor: str = "l3-hinge", bias: float = 1.0) -> Case:
    """Return three clusters over five labels, the clusters' labels not side by side."""
    n_rows = 2 + (bias > 0)
    rng = np.random.default_rng(5)
    layers = [
        Layer(csc(*rng.normal(size=(n_rows, 3)).tolist()), np.array([0, 0, 0]), bias),
        Layer(csc(*rng.normal(size=(n_rows, 5)).tolist()), np.array([2, 0, 1, 0, 2]), bias),
    ]
    return Case(layers, post_processor, scipy.sparse.csr_matrix((1, 2), dtype=F32), [])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a good model folder, to be spoiled."""
    save_model(tmp_path / "model", small(), only_topk=4)
    return tmp_path / "model"


# ---- what an import makes -------------------------------------------------------


def test_children_keep_their_order_and_clusters_come_breadth_first(
    folder: Path, tmp_path: Path
) -> None:
    """Labels stand by cluster, then by number; every invariant of the format holds."""
    import_pecos(folder, tmp_path / "m.esp")
    with NativeIndex.open(tmp_path / "m.esp") as index:
        index.verify()
        index.validate()
        positions = np.frombuffer(index.section("LPOS"), "<u4").tolist()
        info = index.info

    assert positions == [1, 3, 2, 0, 4]
    assert (info.labels, info.nodes, info.features, info.depth) == (5, 4, 2, 2)
    assert not info.has_labels
    assert not info.has_features


def test_weights_keep_all_their_bits(tmp_path: Path) -> None:
    """One feature of value 1 gives the weight back, to the last bit."""
    weights = csc([0.1, 1 / 3, 1e-30, -7e20])
    case = Case([Layer(weights, np.zeros(4, np.int64), 0.0)], "noop", None, [])
    save_model(tmp_path / "model", case)
    import_pecos(tmp_path / "model", tmp_path / "m.esp")
    with espalier.open_model(tmp_path / "m.esp") as model:
        found = model.predict(csc([1.0]), k=4)

    assert np.array_equal(weights.toarray(), found.toarray())


def test_the_bias_is_a_feature_every_question_has(tmp_path: Path) -> None:
    """A question without features scores bias times the last row."""
    case = Case([Layer(csc([5, 5], [1, -2]), np.zeros(2, np.int64), 0.5)], "noop", None, [])
    save_model(tmp_path / "model", case)
    import_pecos(tmp_path / "model", tmp_path / "m.esp")
    with espalier.open_model(tmp_path / "m.esp") as model:
        found = model.predict(csc([0.0]), k=2)

    assert found.toarray().tolist() == [[0.5, -1.0]]


def test_defaults_come_from_the_model(folder: Path, tmp_path: Path) -> None:
    """Inner layers give the beam, the last one k."""
    change(folder / "ranker/0.model/param.json", "pred_kwargs", only_topk=2)
    report = import_pecos(folder, tmp_path / "m.esp")
    with espalier.open_model(tmp_path / "m.esp") as model:
        assert (model.beam, model.k) == (2, 4)
    assert (report.beam, report.k, report.notes) == (2, 4, ())


def test_layers_with_different_beams_are_mentioned(tmp_path: Path) -> None:
    """An index has one beam: the widest."""
    layers = [Layer(csc([1.0]), np.array([0]), 0.0)] * 3
    save_model(tmp_path / "model", Case(layers, "noop", None, []), only_topk=3)
    change(tmp_path / "model/ranker/1.model/param.json", "pred_kwargs", only_topk=7)
    report = import_pecos(tmp_path / "model", tmp_path / "m.esp")

    assert report.beam == 7
    assert "3, 7" in report.notes[0]
    assert report.notes[0] in report.table()


def test_the_same_model_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    """An import is a function of the model."""
    first = import_pecos(folder, tmp_path / "a.esp")
    second = import_pecos(folder, tmp_path / "b.esp")

    assert (tmp_path / "a.esp").read_bytes() == (tmp_path / "b.esp").read_bytes()
    assert first.fingerprint == second.fingerprint
    assert first.to_json()["file_bytes"] == (tmp_path / "a.esp").stat().st_size


def test_a_node_of_more_than_a_chunk_is_imported(tmp_path: Path) -> None:
    """600 siblings take three chunks."""
    weights = scipy.sparse.random(4, 600, 0.5, format="csc", dtype=F32, random_state=1)
    case = Case([Layer(weights, np.zeros(600, np.int64), 0.0)], "noop", None, [])
    save_model(tmp_path / "model", case)
    import_pecos(tmp_path / "model", tmp_path / "m.esp")
    with espalier.open_model(tmp_path / "m.esp") as model:
        found = model.predict(csc([0, 1.0, 0, 0]), k=600)

    assert np.array_equal(weights.toarray()[1], found.toarray()[0])


def test_a_folder_that_cannot_be_written_is_a_storage_error(folder: Path, tmp_path: Path) -> None:
    """The system refused, the model is fine."""
    with pytest.raises(StorageError):
        import_pecos(folder, tmp_path / "missing" / "m.esp")


# ---- what cannot be imported ----------------------------------------------------


def change(path: Path, inside: str | None = None, **values: object) -> None:
    """Set keys of a JSON file; None removes one."""
    about = json.loads(path.read_text())
    part = about if inside is None else about[inside]
    part.update(values)
    for key in [key for key, value in values.items() if value is None]:
        del part[key]
    path.write_text(json.dumps(about))


def replace(path: Path, matrix: Any) -> None:
    """Write another matrix in its place."""
    scipy.sparse.save_npz(path, matrix, compressed=False)


def with_value(path: Path, value: float) -> None:
    """Put a number into a stored matrix."""
    matrix = scipy.sparse.load_npz(path)
    matrix.data[3] = value
    replace(path, matrix)


def cut(path: Path, share: float) -> None:
    """Leave the beginning of a file."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def flip(path: Path) -> None:
    """Damage one byte in the middle of the numbers."""
    data = bytearray(path.read_bytes())
    at = data.index(b"data.npy") + 8 + 128 + 5
    data[at] ^= 0x40
    path.write_bytes(bytes(data))


def objects(path: Path) -> None:
    """Put an array of Python objects, which numpy would unpickle, into an archive."""
    parts = dict(np.load(path))
    parts["data"] = np.array([{"a": 1}] * len(parts["data"]), object)
    np.savez(path, **parts)


def dense(path: Path) -> None:
    """Put a dense array in place of the archive."""
    with path.open("wb") as file:
        np.save(file, np.ones((3, 5)))


def too_much_bias(folder: Path) -> None:
    """Weights and a bias that float32 holds, but not their product."""
    replace(folder / "ranker/1.model/W.npz", csc([0] * 5, [0] * 5, [1e38] * 5))
    change(folder / "ranker/1.model/param.json", bias=1e30)


def other_features(folder: Path) -> None:
    """Let the second layer know fewer features than the first."""
    replace(folder / "ranker/1.model/W.npz", csc([1] * 5))
    change(folder / "ranker/1.model/param.json", nr_features=0)


def folder_for_file(folder: Path) -> None:
    """Something else goes by the name."""
    (folder / "param.json").unlink()
    (folder / "param.json").mkdir()


SPOILED: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no param.json": (lambda at: (at / "param.json").unlink(), "param.json", "missing"),
    "no ranker": (lambda at: shutil.rmtree(at / "ranker"), "ranker/param.json", "missing"),
    "no layer": (lambda at: shutil.rmtree(at / "ranker/1.model"), "1.model", "missing"),
    "no weights": (lambda at: (at / "ranker/1.model/W.npz").unlink(), "W.npz", "missing"),
    "no clusters": (lambda at: (at / "ranker/0.model/C.npz").unlink(), "C.npz", "missing"),
    "no parameters": (
        lambda at: (at / "ranker/0.model/param.json").unlink(),
        "0.model/param.json",
        "missing",
    ),
    "broken JSON": (lambda at: cut(at / "ranker/param.json", 0.6), "param.json", "not JSON"),
    "JSON of another kind": (
        lambda at: (at / "ranker/0.model/param.json").write_text("[1]"),
        "0.model/param.json",
        "not a JSON object",
    ),
    "deep JSON": (
        lambda at: (at / "param.json").write_text("[" * 100_000),
        "param.json",
        "not JSON",
    ),
    "bytes for JSON": (
        lambda at: (at / "param.json").write_bytes(b"\xff\xfe\xfa"),
        "param.json",
        "not JSON",
    ),
    "another class": (
        lambda at: change(at / "param.json", "__meta__", class_fullname="pecos.x###XTransformer"),
        "param.json",
        "XTransformer",
    ),
    "another ranker": (
        lambda at: change(at / "ranker/param.json", model="Other"),
        "ranker/param.json",
        "'Other'",
    ),
    "another layer": (
        lambda at: change(at / "ranker/1.model/param.json", model="Other"),
        "1.model/param.json",
        "'Other'",
    ),
    "no depth": (
        lambda at: change(at / "ranker/param.json", depth=None),
        "ranker/param.json",
        "depth",
    ),
    "a depth of 0": (
        lambda at: change(at / "ranker/param.json", depth=0),
        "ranker/param.json",
        "depth is 0",
    ),
    "a depth of billions": (
        lambda at: change(at / "ranker/param.json", depth=10**15),
        "2.model",
        "missing",
    ),
    "no bias": (lambda at: change(at / "ranker/1.model/param.json", bias=None), "1.model", "bias"),
    "a bias of NaN": (
        lambda at: change(at / "ranker/1.model/param.json", bias=float("nan")),
        "1.model/param.json",
        "bias is nan",
    ),
    "no pred_kwargs": (
        lambda at: change(at / "ranker/1.model/param.json", pred_kwargs=None),
        "1.model/param.json",
        "pred_kwargs",
    ),
    "an unknown post-processor": (
        lambda at: change(at / "ranker/1.model/param.json", "pred_kwargs", post_processor="l9"),
        "1.model/param.json",
        "'l9'",
    ),
    "the fourth hinge": (
        lambda at: change(
            at / "ranker/1.model/param.json", "pred_kwargs", post_processor="l4-hinge"
        ),
        "1.model/param.json",
        "l3-hinge",
    ),
    "two post-processors": (
        lambda at: change(at / "ranker/1.model/param.json", "pred_kwargs", post_processor="noop"),
        "ranker",
        "l3-hinge, noop",
    ),
    "only_topk of 0": (
        lambda at: change(at / "ranker/1.model/param.json", "pred_kwargs", only_topk=0),
        "1.model/param.json",
        "only_topk is 0",
    ),
    "other sizes": (
        lambda at: change(at / "ranker/1.model/param.json", nr_features=9),
        "1.model/param.json",
        "nr_features is 9",
    ),
    "weights of NaN": (
        lambda at: with_value(at / "ranker/1.model/W.npz", np.nan),
        "1.model/W.npz",
        "not finite",
    ),
    "infinite weights": (
        lambda at: with_value(at / "ranker/0.model/W.npz", np.inf),
        "0.model/W.npz",
        "not finite",
    ),
    "an infinite bias": (
        too_much_bias,
        "1.model/W.npz",
        "too large",
    ),
    "weights for other children": (
        lambda at: replace(at / "ranker/1.model/W.npz", csc([1, 2], [3, 4], [5, 6])),
        "1.model/W.npz",
        "2 columns",
    ),
    "weights of other features": (
        other_features,
        "1.model/W.npz",
        "0 features",
    ),
    "clusters of another layer": (
        lambda at: replace(at / "ranker/1.model/C.npz", csc([1], [1], [1], [1], [1])),
        "1.model/C.npz",
        "1 clusters",
    ),
    "many roots": (
        lambda at: replace(at / "ranker/0.model/C.npz", csc([1, 0], [0, 1], [0, 1])),
        "0.model/C.npz",
        "root",
    ),
    "a child in two clusters": (
        lambda at: replace(
            at / "ranker/1.model/C.npz",
            csc([1, 0, 1], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]),
        ),
        "1.model/C.npz",
        "more than one cluster",
    ),
    "a child in no cluster": (
        lambda at: replace(
            at / "ranker/1.model/C.npz",
            csc([1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]),
        ),
        "1.model/C.npz",
        "no cluster",
    ),
    "an empty cluster": (
        lambda at: replace(
            at / "ranker/1.model/C.npz", csc([1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0])
        ),
        "1.model/C.npz",
        "cluster 2 has no child",
    ),
    "stored zeros": (
        lambda at: with_value(at / "ranker/1.model/C.npz", 0),
        "1.model/C.npz",
        "eliminate_zeros",
    ),
    "no children": (
        lambda at: replace(at / "ranker/0.model/C.npz", scipy.sparse.csc_matrix((0, 1), dtype=F32)),
        "0.model/C.npz",
        "no partition",
    ),
    "a pickle": (
        lambda at: (at / "ranker/1.model/W.npz").write_bytes(pickle.dumps(csc([1.0]))),
        "1.model/W.npz",
        "never opened",
    ),
    "pickled objects inside": (
        lambda at: objects(at / "ranker/1.model/W.npz"),
        "1.model/W.npz",
        "never opened",
    ),
    "half an archive": (
        lambda at: cut(at / "ranker/1.model/W.npz", 0.5),
        "1.model/W.npz",
        "cut short",
    ),
    "a damaged archive": (lambda at: flip(at / "ranker/1.model/W.npz"), "1.model/W.npz", "damaged"),
    "an empty file": (
        lambda at: (at / "ranker/1.model/W.npz").write_bytes(b""),
        "1.model/W.npz",
        "no .npz file",
    ),
    "a folder for a file": (
        folder_for_file,
        "param.json",
        "cannot be read",
    ),
    "a dense array": (
        lambda at: dense(at / "ranker/1.model/W.npz"),
        "1.model/W.npz",
        "dense",
    ),
    "more layers than stated": (
        lambda at: change(at / "ranker/param.json", depth=1),
        "ranker/param.json",
        "a layer 1.model too",
    ),
    "more labels stated than there are": (
        lambda at: change(at / "ranker/param.json", nr_labels=4711),
        "ranker/param.json",
        "nr_labels is 4711",
    ),
    "a bias beyond all floats": (
        lambda at: change(at / "ranker/1.model/param.json", bias=10**400),
        "1.model/param.json",
        "not a number",
    ),
    "compiled for memory mapping": (
        lambda at: change(at / "ranker/param.json", is_mmap=True),
        "ranker",
        "compile_mmap_model",
    ),
    "a layer compiled for memory mapping": (
        lambda at: (at / "ranker/1.model/W.mmap_store").write_bytes(b""),
        "1.model",
        "compile_mmap_model",
    ),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_folder_is_refused_and_nothing_is_written(
    how: str, folder: Path, tmp_path: Path
) -> None:
    """The error names the file and what to do; an old index stays, no other file appears."""
    spoil, named, said = SPOILED[how]
    out = tmp_path / "m.esp"
    out.write_bytes(b"old")
    spoil(folder)
    with pytest.raises(ModelError) as caught:
        import_pecos(folder, out)

    message = str(caught.value)
    assert str(folder / named) in message or named in message.split(":", maxsplit=1)[0]
    assert said in message
    assert "; " in message
    assert caught.value.exit_code == 2
    assert out.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.esp", "model"]


def test_the_index_does_not_replace_a_part_of_the_model(folder: Path) -> None:
    """Neither a file of the model nor a new one beside them."""
    weights = folder / "ranker/1.model/W.npz"
    before = weights.read_bytes()
    for out in (weights, folder / "m.esp"):
        with pytest.raises(ConfigError, match="into the model's folder"):
            import_pecos(folder, out)

    assert weights.read_bytes() == before


def test_a_beam_of_billions_is_cut(folder: Path, tmp_path: Path) -> None:
    """No tree has so many nodes, and no field of the file so many bits."""
    change(folder / "ranker/0.model/param.json", "pred_kwargs", only_topk=10**12)

    import_pecos(folder, tmp_path / "m.esp")


def test_a_pickle_is_never_executed(folder: Path, tmp_path: Path) -> None:
    """Neither in place of a file nor inside one."""
    trap = tmp_path / "sprung"

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (Path.touch, (trap,))

    weights = folder / "ranker/1.model/W.npz"
    weights.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelError):
        import_pecos(folder, tmp_path / "m.esp")
    np.savez(weights, data=np.array([Trap()], object), format=np.array("csc"))
    with pytest.raises(ModelError):
        import_pecos(folder, tmp_path / "m.esp")

    assert not trap.exists()


def test_the_ranker_of_a_model_is_not_the_model(folder: Path, tmp_path: Path) -> None:
    """The error says which folder to name."""
    with pytest.raises(ModelError, match="the folder above"):
        import_pecos(folder / "ranker", tmp_path / "m.esp")


def test_no_folder_is_said_to_be_none(tmp_path: Path) -> None:
    """A name mistyped."""
    with pytest.raises(ModelError, match="no such folder"):
        import_pecos(tmp_path / "nothing", tmp_path / "m.esp")


@pytest.mark.parametrize("seed", range(0, 30, 3))
def test_random_models_import_into_valid_indexes(seed: int, tmp_path: Path) -> None:
    """Any arity, any order of labels, a label alone."""
    case = random_case(seed)
    save_model(tmp_path / "model", case)
    report = import_pecos(tmp_path / "model", tmp_path / "m.esp")
    with espalier.open(tmp_path / "m.esp") as index:
        index.validate(deep=True)

    assert report.counts["labels"] == case.n_labels
    assert report.counts["levels"] == len(case.layers)
