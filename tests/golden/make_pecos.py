"""Record what libpecos answers: run by the Python of its environment.

    .venv-pecos/bin/python -m tests.golden.make_pecos

``pecos/seed*.npz`` is a random model with questions and answers; ``pecos/trained`` is a
folder as libpecos itself saves it, trained on random rows. As with index files, what
exists is left alone.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Final

import numpy as np
import scipy.sparse
from pecos.xmc import Indexer, LabelEmbeddingFactory
from pecos.xmc.xlinear.model import XLinearModel

from tests.differential.models import POST_PROCESSORS, random_case, save_arrays
from tests.differential.peer import LAYOUTS, answers_of

FOLDER: Final = Path(__file__).resolve().parent / "pecos"
LARGEST: Final = 1_500
"""Numbers in a recorded model and its questions, at most."""


def record_random_models() -> None:
    """Write the first small model of each post-processor."""
    for number in range(len(POST_PROCESSORS)):
        for seed in count(number, len(POST_PROCESSORS)):
            case = random_case(seed)
            size = sum(layer.weights.nnz for layer in case.layers) + case.x.nnz
            if LARGEST // 6 < size <= LARGEST and 8 < case.n_labels <= 100:
                break
        path = FOLDER / f"seed{seed}.npz"
        if not path.exists():
            save_arrays(path, {**case.to_arrays(), **answers_of(case, LAYOUTS[:1])})


def record_trained_model() -> None:
    """Train on random rows, clusters found by libpecos, and save as libpecos does."""
    folder = FOLDER / "trained"
    if folder.exists():
        return
    rng = np.random.default_rng(3)
    x = scipy.sparse.random(120, 40, 0.15, format="csr", dtype=np.float32, random_state=1)
    y = scipy.sparse.csc_matrix((rng.random((120, 30)) < 0.08).astype(np.float32))
    vectors = LabelEmbeddingFactory.create(y.tocsr(), x, method="pifa")
    chain = Indexer.gen(vectors, indexer_type="hierarchicalkmeans", nr_splits=3, max_leaf_size=4)
    model = XLinearModel.train(x, y, C=chain, threshold=0.05, threads=1)
    model.save(str(folder))
    questions = scipy.sparse.random(25, 40, 0.2, format="csr", dtype=np.float32, random_state=2)
    scipy.sparse.save_npz(folder / "X.npz", questions)
    answers = model.predict(questions, beam_size=2, only_topk=5, threads=1)
    scipy.sparse.save_npz(folder / "Y_beam2_k5.npz", answers)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    record_random_models()
    record_trained_model()
