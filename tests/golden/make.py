"""Make golden index files and the replies they must give for ever.

Files are only added: one that exists is left as it is, whatever the code says by
now. A new name belongs into ``CASES``, then:

    python -m tests.golden.make

Replies too are left as they are. Where an answer was changed on purpose, or a question
was added, remove the ``.json`` and make it again; the commit says why.
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
from espalier.native import Csr, NativeIndex, Source, feature_names, features_id
from espalier.querylog import QueryLog
from espalier.settings import TrainSettings
from espalier.train.forest_model import Forest, ForestTree
from espalier.train.rows import choose_labels
from espalier.train.words import learn_words
from tests.corrupt.make import sections as plain
from tests.reference import build, query
from tests.unit.train.conftest import make_log

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


def _sessions() -> QueryLog:
    """Return what twenty people typed: a thing, a brand of it, and now and then more."""
    brands = ["nike", "nikon", "adidas", "grösse"]
    things = ["shoes", "bag", "lamp", "赤い靴"]
    extras = ["red", "running", "2024"]
    sessions, users = [], []
    for user in range(20):
        for visit in range(3):
            brand = brands[(user + visit) % 4]
            thing = things[(user // 2 + visit) % 4]
            session = [thing, f"{brand} {thing}", f"{brand} {thing} {extras[user % 3]}"]
            if visit == 2:
                session.append(f"{extras[user % 2]} {thing} of {user}")
            sessions.append(session)
            users.append(user)
    return make_log(sessions, users=users)


def words() -> build.Sections:
    """Return an index that puts queries together from words, and ranks with fixed weights."""
    settings = TrainSettings(min_users=2)
    log = _sessions()
    chosen = choose_labels(log, settings)
    labels = [
        build.Label(text.encode(), int(users), shown.encode() if shown != text else None)
        for text, shown, users in zip(chosen.texts, chosen.display, chosen.users, strict=True)
    ]
    n = list(range(len(labels)))
    space = _space(chosen.texts)
    made = build.sections(
        labels,
        params=build.Params(max_context=3, default_beam=4, default_pool=16, blend_popularity=1.5),
        space=space,
        tree=build.flatten([n[0::3], [n[1::3], n[2::3]]]),
        weigh=_weights(len(space.keys)),
        weight_bits=16,
        meta=b'{"golden": "words"}',
    )
    return made | learn_words(log, chosen, settings).sections


def session() -> build.Sections:
    """Return the same with labels that age, and a scorer of weights and two trees."""
    made = words()
    users = np.frombuffer(made["USER"], "<u4")
    faded = [build.Label(b"%02d" % i, recent=int(u) * 1000 >> i % 4) for i, u in enumerate(users)]
    recency = build.label_sections(faded)
    names = feature_names()
    weight, fill = np.zeros((2, len(names)), np.float32)
    for name, factor, unknown in (
        ("log_users", 0.5, 0.0),
        ("is_label", 0.25, 0.0),
        ("model", 0.25, -4.0),
        ("session_chance", 0.5, -12.0),
        ("shared_words", 0.5, 0.0),
        ("followed_share", 2.0, 0.0),
        ("edits", -1.0, 0.0),
    ):
        weight[names.index(name)], fill[names.index(name)] = factor, unknown
    stump = ForestTree(
        feature=np.array([names.index("bytes_left")]),
        threshold=np.array([6.0], np.float32),
        missing=np.array([np.inf], np.float32),
        first=np.array([0]),
        leaf=np.array([0.25, -0.5], np.float32),
        expected=np.array([0.0], np.float32),
    )
    tree = ForestTree(
        feature=np.array([names.index("n_previous"), names.index("repeats")]),
        threshold=np.array([0.5, 0.0], np.float32),
        missing=np.array([-np.inf, 0.0], np.float32),
        first=np.array([0, 1]),
        leaf=np.array([0.125, -0.25, 1.5], np.float32),
        expected=np.array([0.0, 0.5], np.float32),
    )
    forest = Forest(names, features_id(), -0.5, weight, fill, (stump, tree))
    return made | {
        "META": b'{"golden": "session"}',
        "RCNT": recency["RCNT"],
        "RMAX": recency["RMAX"],
        "FRST": forest.section(),
    }


CASES: Final[dict[str, Callable[[], build.Sections]]] = {
    "model": model,
    "plain": plain,
    "popularity": popularity,
    "scripts": scripts,
    "session": session,
    "shop": shop,
    "wide": wide,
    "words": words,
}

Question = dict[str, Any]
QUESTIONS: Final[dict[str, list[Question]]] = {
    "plain": [{"prefix": "a"}, {"prefix": "d", "previous": ["ab", "c"]}, {"prefix": "zz"}],
    "popularity": [{"prefix": ""}, {"prefix": "ab"}, {"prefix": "b", "k": 1}],
    "scripts": [
        {"prefix": "", "k": 18},
        {"prefix": "", "k": 18, "previous": ["ラーメン"]},
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
        {"prefix": "", "k": 8, "beam": 10, "pool": 64, "previous": ["canon bag"]},
        {"prefix": "Nike ", "sources": ["MODEL"]},
        {"prefix": "a", "sources": ["POPULAR"], "k": 4},
        {"prefix": "ap", "matcher": "unconstrained", "pool": 5},
    ],
    "session": [
        {"prefix": ""},
        {"prefix": "", "previous": ["shoes"], "previous_age": [30]},
        {"prefix": "n", "previous": ["nikon bag red", "red lamp"], "k": 20},
        {"prefix": "nike sh", "previous": ["never typed", "nike shelf"], "keep_variants": True},
        {"prefix": "red ", "previous": ["lamp", "赤い靴"], "sources": ["MODEL", "TAIL"]},
        {"prefix": "addidas l"},
        {"prefix": "GRÖSSE l", "previous": ["grösse bag"]},
        {"prefix": "赤", "previous": ["adidas 赤い靴 2024"]},
    ],
    "wide": [{"prefix": "q1", "k": 12, "previous": ["q100"]}, {"prefix": "q29", "pool": 100}],
    "words": [
        {"prefix": "shoes", "k": 20},
        {"prefix": "", "previous": ["nike bag"]},
        {"prefix": "nike ", "sources": ["TAIL"], "previous": ["red lamp"]},
        {"prefix": "nikn", "previous": ["bag"]},
        {"prefix": "b", "sources": ["MODEL", "POPULAR", "TAIL", "CORRECTED"], "k": 20},
    ],
}
VECTORS: Final = [{0: 1.0}, {3: 0.5, 7: -1.0, 19: 2.0}, {}]


def ask(index: espalier.Index, question: Question) -> list[dict[str, Any]]:
    """Return the suggestions for a question as plain data."""
    arguments = dict(question)
    if "sources" in arguments:
        arguments["sources"] = Source(sum(Source[name] for name in arguments["sources"]))
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
        replies = target.with_suffix(".json")
        if not target.exists():
            target.write_bytes(build.assemble(case(), fingerprint=0xE5A1))
        if not replies.exists():
            text = json.dumps(expected(target), ensure_ascii=False, indent=1)
            replies.write_text(text + "\n", encoding="utf-8")
