"""Make golden index files and the replies they must give for ever.

Files are only added: one that exists is left as it is, whatever the code says by
now. A new name belongs into ``CASES``, then:

    python -m tests.golden.make
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import espalier
from espalier.native import Csr, NativeIndex, Source
from tests.corrupt.make import sections as plain
from tests.reference import build, query

FOLDER: Final = Path(__file__).resolve().parent / "v1"
F32 = NDArray[np.float32]


def _weights(n_features: int) -> Callable[[int, int], tuple[F32, F32]]:
    """Return weights that any arithmetic gives alike: small multiples of 1/8."""

    def weigh(node: int, n: int) -> tuple[F32, F32]:
        feature, child = np.indices((n_features, n))
        weights = ((feature * 7 + child * 5 + node * 3) % 23 - 11) / 8
        weights[(feature + 2 * child + node) % 3 > 0] = 0
        return weights.astype(np.float32), ((np.arange(n) * 5 % 9 - 4) / 8).astype(np.float32)

    return weigh


def _space(texts: list[str], every: int = 1) -> build.Space:
    keys: set[int] = set()
    for text in texts[::every]:
        keys |= query.word_terms(text).keys()
        keys |= query.char_terms(text[:5], position_weighted=False).keys()
    return build.Space(sorted(keys), [1 + i % 5 / 4 for i in range(len(keys))])


def shop() -> build.Sections:
    """Return queries of a shop, some shown in capitals; 16-bit weights, a ragged tree."""
    brands = ["nike", "nikon", "new balance", "adidas", "asics", "apple", "canon", "dell"]
    things = ["", " air", " shoes", " running shoes", " lens", " bag", " xl", " 2024"]
    texts = sorted(brand + thing for brand in brands for thing in things)
    labels = [
        build.Label(text.encode(), (i * 37) % 50, text.title().encode() if i % 4 == 0 else None)
        for i, text in enumerate(texts)
    ]
    n = list(range(len(texts)))
    tree: build.Nested = [[n[0:5], [n[5:12], n[12:24]]], n[24:30], [[n[30:64]]]]
    space = _space(texts)
    return build.sections(
        labels,
        params=build.Params(max_context=2, default_beam=3, default_pool=12),
        space=space,
        tree=build.flatten(tree),
        weigh=_weights(len(space.keys)),
        weight_bits=16,
        meta=b'{"golden": "shop"}',
    )


def scripts() -> build.Sections:
    """Return labels in many scripts; 32-bit weights, leaves across the label order."""
    texts = sorted(
        (
            "cafe",
            "café",
            "caffè latte",
            "straße",
            "ελληνικά",
            "русский язык",
            "שלום עולם",
            "مرحبا",
            "नमस्ते",
            "กรุงเทพ",
            "東京",
            "東京 ラーメン",
            "東京タワー",
            "서울",
            "👟",
            "👟 nike",
            "👩‍💻",
            "e\u0301",
        ),
        key=str.encode,
    )
    labels = [build.Label(text.encode(), 1 + i % 4) for i, text in enumerate(texts)]
    n = list(range(len(texts)))
    space = _space(texts)
    return build.sections(
        labels,
        params=build.Params(
            post_processor=1, prefix_features=1, default_matcher=2, blend_popularity=0.25
        ),
        space=space,
        tree=build.flatten([n[0::3], n[1::3], n[2::3]]),
        weigh=_weights(len(space.keys)),
        meta=b'{"golden": "scripts"}',
    )


def wide() -> build.Sections:
    """Return a node of 300 children, so two chunks, and blocks of labels for the maxima."""
    texts = sorted(f"q{i:03d}" for i in range(300))
    labels = [build.Label(text.encode(), i * 7919 % 101) for i, text in enumerate(texts)]
    space = _space(texts, every=9)
    return build.sections(
        labels,
        params=build.Params(post_processor=22, blend_popularity=0.5),
        space=space,
        tree=build.flatten(list(range(299, -1, -1))),
        weigh=_weights(len(space.keys)),
        weight_bits=16,
        meta=b'{"golden": "wide"}',
    )


def popularity() -> build.Sections:
    """Return labels and users alone: no features, no model."""
    texts = ["a", "ab", "abc", "b"]
    made = build.sections([build.Label(t.encode(), 5 - i) for i, t in enumerate(texts)])
    del made["FKEY"], made["FIDF"], made["META"]
    return made


def model() -> build.Sections:
    """Return a model alone: no texts, no features; ranks vectors the caller brings."""
    made = build.sections(
        [build.Label(b"%02d" % i) for i in range(12)],
        params=build.Params(post_processor=13),
        space=build.Space(range(20), [1.0] * 20),
        tree=build.flatten([[0, 5, 7], [[1, 2, 3, 4], [6, 8, 9, 10, 11]]]),
        weigh=_weights(20),
    )
    return {name: made[name] for name in ("PARM", "TREE", "LPOS", "POSL", "WGHT")}


CASES: Final[dict[str, Callable[[], build.Sections]]] = {
    "model": model,
    "plain": plain,
    "popularity": popularity,
    "scripts": scripts,
    "shop": shop,
    "wide": wide,
}

Question = dict[str, Any]
QUESTIONS: Final[dict[str, list[Question]]] = {
    "plain": [{"prefix": "a"}, {"prefix": "d", "previous": ["ab", "c"]}, {"prefix": "zz"}],
    "popularity": [{"prefix": ""}, {"prefix": "ab"}, {"prefix": "b", "k": 1}],
    "scripts": [
        {"prefix": "", "k": 18},
        {"prefix": "東京", "previous": ["ラーメン"]},
        {"prefix": "CAFE"},
        {"prefix": "é", "matcher": "constrained"},
        {"prefix": "👟 "},
    ],
    "shop": [
        {"prefix": "n", "k": 5},
        {"prefix": "n", "k": 5, "previous": ["running shoes"]},
        {"prefix": "ni", "previous": ["nikon lens", "camera bag"], "beam": 1},
        {"prefix": "", "k": 8, "beam": 10, "pool": 64},
        {"prefix": "Nike ", "sources": ["MODEL"]},
        {"prefix": "a", "sources": ["POPULAR"], "k": 4},
        {"prefix": "ap", "matcher": "unconstrained", "pool": 5},
    ],
    "wide": [{"prefix": "q1", "k": 12, "previous": ["q100"]}, {"prefix": "q29", "pool": 100}],
}
VECTORS: Final = [{0: 1.0}, {3: 0.5, 7: -1.0, 19: 2.0}, {}]


def ask(index: espalier.Index, question: Question) -> list[dict[str, Any]]:
    """Return the suggestions for a question as plain data."""
    arguments = dict(question)
    if "sources" in arguments:
        arguments["sources"] = Source[arguments["sources"][0]]
    return [
        {
            "text": one.text,
            "display_text": one.display_text,
            "source": one.source,
            "score": round(one.score, 5),
            "model": round(one.model, 5),
            "popularity": round(one.popularity, 5),
            "matched_code_points": one.matched_code_points,
        }
        for one in index.complete(**arguments)
    ]


def rank(index: NativeIndex, vector: dict[int, float]) -> list[list[float]]:
    """Return label and score of every label for one vector."""
    x = Csr(
        np.array([0, len(vector)], np.uint64),
        np.array(list(vector), np.uint32),
        np.array(list(vector.values()), np.float32),
        index.info.features,
    )
    labels, scores, counts = index.predict_top(x, beam=10, k=index.info.labels)
    pairs = zip(labels[0], scores[0], strict=True)
    return [[int(label), round(float(score), 5)] for label, score in list(pairs)[: int(counts[0])]]


def expected(path: Path) -> dict[str, Any]:
    """Return what an index file answers, and what the file is."""
    answers: dict[str, Any] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    with espalier.open(path) as index:
        info = index.info
        answers["info"] = {
            "labels": info.labels,
            "nodes": info.nodes,
            "features": info.features,
            "depth": info.depth,
            "fingerprint": info.fingerprint,
            "format_version": info.format_version,
            "meta": info.meta,
        }
        answers["replies"] = [
            {"question": question, "suggestions": ask(index, question)}
            for question in QUESTIONS.get(path.stem, [])
        ]
    if path.stem == "model":
        with NativeIndex.open(path) as native:
            answers["rankings"] = [
                {"vector": {str(i): v for i, v in vector.items()}, "labels": rank(native, vector)}
                for vector in VECTORS
            ]
    return answers


if __name__ == "__main__":
    for name, case in CASES.items():
        target = FOLDER / f"{name}.esp"
        if not target.exists():
            target.write_bytes(build.assemble(case(), fingerprint=0xE5A1))
            text = json.dumps(expected(target), ensure_ascii=False, indent=1)
            target.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
