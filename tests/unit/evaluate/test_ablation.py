"""Switching a part off: which systems ask how, and what the difference is worth."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import espalier
from espalier.evaluate import evaluate
from espalier.evaluate.ablation import WHOLE, ablation_of
from espalier.evaluate.measures import rank_of, reciprocal_rank
from espalier.evaluate.outcomes import ask_all
from espalier.evaluate.questions import Question, Questions, prepare
from espalier.evaluate.sampling import sample
from espalier.evaluate.systems import ABLATED, EVERY_SOURCE, Completion, select
from espalier.index import Source
from espalier.native import FEATURE_GROUPS
from espalier.querylog import read_pairs, write_pairs
from espalier.settings import TrainSettings
from tests.unit.evaluate.twin import TwinIndex

USERS = {"b red": 1, "b blue": 5, "b green": 3, "a": 2}
ASKED = (
    Question("b", ("red",), "b red", 0),
    Question("b", ("green",), "b green", 1),
    Question("b", (), "b blue", 2),
    Question("a", (), "a", 2),
)


def test_every_source_and_every_group_is_switched_off_once() -> None:
    """Four sources, the session, then the groups, each name telling what is missing."""
    assert [system.name for system in ABLATED] == [
        "without_model",
        "without_popular",
        "without_tail",
        "without_corrected",
        "without_session",
        *(f"without_group_{group}" for group in FEATURE_GROUPS),
    ]
    for system, source in zip(ABLATED, Source, strict=False):
        assert isinstance(system, Completion)
        assert system.sources == EVERY_SOURCE & ~source
        assert system.promises_k == (source is not Source.POPULAR)


def test_differences_by_hand() -> None:
    """Without context the two rows that need it fall from place 1 to places 3 and 2."""
    questions = Questions(ASKED, 0, {}, 3)
    everything = ask_all(
        TwinIndex(USERS), questions, (*select(), *ABLATED), k=10, advance=lambda _: None
    )
    figures = ablation_of(everything.of(select()), everything.of(ABLATED), questions, seed=1)
    context = figures["without_group_context"]
    assert figures["without_session"].delta["all"] == context.delta["all"]
    interval = context.delta_interval["all"]

    assert context.mrr10["all"] == pytest.approx((1 / 3 + 1 / 2 + 1 + 1) / 4)
    assert context.delta["all"] == pytest.approx((-2 / 3 - 1 / 2) / 4)
    assert interval is not None
    assert interval.low < -0.29 < interval.high <= 0.0
    assert context.delta["len_2"] is None
    assert figures["without_tail"].delta["all"] == 0.0
    assert figures["without_tail"].delta_interval["all"] == dataclasses.replace(
        interval, low=0.0, high=0.0
    )


def test_the_ablation_of_a_real_index_is_what_asking_it_again_gives(
    demo_index: Path, demo_log: Path, tmp_path: Path
) -> None:
    """Each figure of the report equals one computed here from plain calls."""
    pairs = tmp_path / "pairs.tsv"
    write_pairs([demo_log], pairs, settings=TrainSettings().log, seed=2)
    report = evaluate([demo_index], pairs, ablate=True, sample=120, latency_rows=1)
    document = report.to_json()
    index = report.indexes[0]
    questions = prepare(read_pairs(pairs).rows)

    assert set(document["ablation"]) == {system.name for system in ABLATED}
    assert document["rows"] == 120
    assert document["rows_left_out"] == len(questions.asked) - 120
    chosen = sample(questions, 120).asked
    with espalier.open(demo_index) as opened:
        for source in Source:
            ranks = np.array(
                [
                    rank_of(
                        question.wanted,
                        [
                            suggestion.text
                            for suggestion in opened.complete(
                                question.prefix,
                                question.previous,
                                previous_age=question.ages,
                                sources=EVERY_SOURCE & ~source,
                            )
                        ],
                    )
                    for question in chosen
                ]
            )
            expected = float(reciprocal_rank(ranks).mean())
            found = document["ablation"][f"without_{str(source.name).lower()}"]
            whole = index.summary.systems[WHOLE].measures["mrr10"]["all"]

            assert whole is not None
            assert found["mrr10"]["all"] == pytest.approx(expected)
            assert found["delta"]["all"] == pytest.approx(expected - whole)
