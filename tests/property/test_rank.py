"""Features of candidates, against their sentences."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from espalier.native import FEATURES, Caps, feature_names
from tests.property.languages import Spoken, sessions, spoken
from tests.reference import fuzzy, query, rank

NAMES = feature_names()
FULL = 2048
FOLLOWERS = 64


class _Facts:
    """What an index says about the candidates of one query, looked up the long way."""

    def __init__(self, index: Spoken, asked: query.Asked) -> None:
        self.asked = asked
        self.twin = twin = index.pair.twin
        self.labels = twin.labels()
        assert twin.users is not None
        self.users = twin.users.tolist()
        self.now = query.popularity_now(twin)
        self.lo, self.hi = query.prefix_range(self.labels, asked.prefix)
        self.popular = query.by_popularity(self.now, self.lo, self.hi)
        self.has_model = asked.wants(twin, query.MODEL)
        vector = query.vectorise(twin, asked.counted, asked.prefix.decode())
        ranker = query.Ranker(twin, vector)
        self.model = ranker.label_scores(ranker.start(self.lo, self.hi) if self.popular else 0)
        self.followed, self.first_users = self._followers(index)
        offered = [label for label in self.popular if asked.eligible(self.labels[label])]
        self.offered = set(offered[: max(2 * asked.k, 32)])
        errors = len(asked.prefix.decode())
        self.near = [
            match
            for match in fuzzy.ranges(
                [label.decode() for label in self.labels],
                self.now,
                asked.prefix.decode(),
                0 if errors < 4 else 1 if errors < 8 else 2,
            )
            if errors
        ]

    def _followers(self, index: Spoken) -> tuple[dict[int, int], int]:
        first = self.asked.counted[0].encode() if self.asked.counted else None
        if first not in self.labels or self.lo == self.hi or not index.max_context:
            return {}, 1
        number = self.labels.index(first)
        after = index.relations.followers.get(number, [])
        inside = [item for item in after if self.lo <= item[0] < self.hi][:FOLLOWERS]
        return dict(inside), max(1, self.users[number])

    def asked_of(self, index: Spoken, ages: list[int]) -> rank.Asked:
        """Return what all candidates share."""
        previous = [text.encode() for text in self.asked.counted]
        most = self.users[self.popular[0]] if self.popular else 1
        session = index.session(previous, self.asked.prefix, ages)
        known = previous if index.max_context else []
        age = ages[0] if ages and known else None
        return rank.Asked(session, self.hi - self.lo, max(1, most), self.first_users, known, age)

    def of(self, text: bytes) -> rank.Facts:
        """Return what is known of one candidate."""
        if text not in self.labels:
            found = frozenset({"by_tail"})
            return rank.Facts(None, 0.0, math.nan, 0, len(self.asked.prefix), found)
        label = self.labels.index(text)
        most = max(1, self.now[self.popular[0]]) if self.popular else 1
        popularity = self.now[label] / most
        if not self.lo <= label < self.hi:
            match = next(match for match in self.near if match.lo <= label < match.hi)
            return rank.Facts(
                self.users[label],
                popularity,
                math.nan,
                0,
                match.matched,
                edits=match.distance,
            )
        sources = {"by_model"} if self.has_model else set()
        sources |= {"by_popularity"} if label in self.offered else set()
        return rank.Facts(
            self.users[label],
            popularity,
            self.model[label] if self.has_model else math.nan,
            self.followed.get(label, 0),
            len(self.asked.prefix),
            frozenset(sources),
        )


@given(spoken(), st.data())
def test_every_feature_is_what_its_sentence_says(index: Spoken, data: st.DataObject) -> None:
    """Of every candidate, whatever found it, in every script."""
    previous, ages, prefix = data.draw(sessions(index, most_queries=10))
    k = data.draw(st.integers(1, 20))
    fresh = index.session(previous, prefix, ages).fresh(ages)
    asked = query.Asked(
        prefix,
        [text.decode() for text in previous],
        k,
        FULL,
        FULL,
        fresh=32 if fresh is None else fresh,
    )
    facts = _Facts(index, asked)
    scratch = index.pair.native.scratch(Caps(beam=FULL, pool=FULL))

    scratch.complete(prefix, previous, k, beam=FULL, pool=FULL, flags=FEATURES, age=ages or None)

    texts = [text.encode() for text in scratch.ranked_texts()]
    expected = rank.rows(facts.asked_of(index, ages), [(text, facts.of(text)) for text in texts])
    for text, wanted, row in zip(texts, expected, scratch.ranked_features().tolist(), strict=True):
        found = dict(zip(NAMES, row, strict=True))
        if text in facts.labels:
            del found["by_tail"]  # the generator may have found it too
        assert wanted.keys() <= dict.fromkeys(NAMES).keys()
        for name, value in found.items():
            definition = wanted.get(name, 0.0)
            assert math.isnan(definition) == math.isnan(value), name
            assert math.isnan(value) or math.isclose(
                definition, value, rel_tol=1e-4, abs_tol=1e-4
            ), name
