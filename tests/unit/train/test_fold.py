"""What the blender is asked to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import espalier
from espalier.native import Source, feature_names
from espalier.querylog import read_log
from espalier.settings import TrainSettings
from espalier.train import train_index
from espalier.train.fold import answer, pose


def test_every_source_stands_for_choice(demo_log: Path, tmp_path: Path) -> None:
    """The index that is asked has no scorer; what it generates is looked at all the same."""
    settings = TrainSettings(min_users=1, threads=1, blender="fixed")
    path = tmp_path / "unscored.esp"
    train_index([demo_log], path, settings)
    log = read_log([demo_log], settings.log)
    questions = pose(log, 500, most_previous=5, seed=1)

    answers = answer(path, log, questions, threads=1)

    assert answers.relevant.sum() == len(answers.group)
    column = {name: answers.x[:, i] for i, name in enumerate(feature_names())}
    for name in ("by_model", "by_popularity", "by_tail", "edits"):
        assert (column[name] > 0).any()
    generated = column["is_label"] == 0
    assert np.isfinite(column["session_chance"][generated]).all()
    assert generated.any()
    with espalier.open(path) as index:
        found = index.complete("re", ["zzz unheard"], k=50)
        assert not any(one.source == Source.TAIL.name for one in found)
