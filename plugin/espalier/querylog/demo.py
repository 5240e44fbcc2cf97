"""A synthetic shopping log: nobody typed these queries and no shop sells these products.

It is made so that what Espalier learns from is there to be found. People have a favourite
department, brand and size; popularity falls off as Zipf's law; demand follows seasons,
weekends and hours, some products come into fashion; within a session a query is
extended, cut short, has one word exchanged, is mistyped and corrected, repeated, followed
by a related product or by something else altogether. The number of results is counted in
the catalogue, so a misspelt query has none. A few rows hold order numbers and addresses,
which the privacy rules must keep out.

Equal arguments give equal bytes. Only ``random.Random.random`` is drawn from, whose
sequence Python promises to keep.
"""

from __future__ import annotations

import bisect
import datetime as dt
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from espalier.files import refuse_to_overwrite
from espalier.querylog.demo_words import (
    ACCOUNT_QUERIES,
    COLOURS,
    DEPARTMENTS,
    LOCALES,
    MODIFIERS_AFTER,
    MODIFIERS_BEFORE,
    Department,
)
from espalier.querylog.output import new_text_file

_Item = TypeVar("_Item")

_START: Final = 1_759_276_800  # 2025-10-01T00:00:00Z
_DAYS: Final = 182
_DAY: Final = 86_400
_MONTH: Final = _DAYS / 6
_HOURS: Final = (
    2,
    1,
    1,
    1,
    1,
    2,
    5,
    8,
    10,
    11,
    12,
    12,
    13,
    12,
    11,
    11,
    12,
    14,
    16,
    18,
    19,
    17,
    12,
    6,
)
_WEEKEND: Final = 1.35
_SESSIONS_PER_USER: Final = 5.6
_LEAST_PRODUCTS: Final = 8
_MOST_BOUGHT: Final = 3
_MOST_PRODUCTS: Final = 48
_ZIPF: Final = 0.9


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the catalogue; empty text where it has no such property."""

    number: int
    department: Department
    noun: str
    brand: str
    audience: str
    colour: str
    attribute: str
    option: str
    price: float

    @property
    def title(self) -> str:
        """Return the name of the product as the shop shows it."""
        parts = (self.brand, self.audience, self.attribute, self.noun, self.colour, self.option)
        return " ".join(part if part == self.brand else part.title() for part in parts if part)


@dataclass(frozen=True, slots=True)
class Need:
    """What somebody is looking for, as far as it has been typed."""

    department: Department
    noun: str
    brand: str = ""
    audience: str = ""
    colour: str = ""
    attribute: str = ""
    option: str = ""
    before: str = ""
    after: str = ""

    @property
    def text(self) -> str:
        """Return the query."""
        parts = (
            self.before, self.brand.lower(), self.audience, self.colour, self.attribute,
            self.noun, self.option, self.after,
        )  # fmt: skip
        return " ".join(part for part in parts if part)


_MODIFIERS: Final = frozenset((*MODIFIERS_BEFORE, *MODIFIERS_AFTER))
_SLOTS: Final = ("brand", "audience", "colour", "attribute", "option", "before", "after")
_SLOT_WEIGHTS: Final = (5.0, 4.0, 4.0, 6.0, 3.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with habits."""

    name: str
    locale: str
    sessions: int
    departments: tuple[Department, ...]
    audience: int
    loyalty: float
    typos: float
    capitals: float


class Shop:
    """The catalogue, what is popular in it, and how many products a query finds."""

    def __init__(self, rng: random.Random) -> None:
        """Fill the shop."""
        self.products = list(_products(rng))
        self._having: dict[str, set[int]] = {}
        for product in self.products:
            for word in product.title.lower().split():
                self._having.setdefault(word, set()).add(product.number)
        self._found: dict[str, int] = {}
        # Products in fashion: demand grows or fades over the six months.
        self.fashion = {
            noun: rng.random() * 6 - 2
            for department in DEPARTMENTS
            for noun in department.nouns
            if rng.random() < 0.15
        }

    def results(self, query: str) -> int:
        """Return the number of products with every word of a query in their title.

        Like any shop, this one takes no notice of "cheap" and "sale".
        """
        query = query.lower()
        if query not in self._found:
            self._found[query] = len(self.found(query))
        return self._found[query]

    def found(self, query: str) -> list[int]:
        """Return the numbers of those products, ascending."""
        words = [word for word in query.lower().split() if word not in _MODIFIERS]
        sets = sorted((self._having.get(word, set()) for word in words), key=len)
        return sorted(set.intersection(*sets)) if sets else []

    def demand(self, noun: str, share: float) -> float:
        """Return how much a noun is in fashion when ``share`` of the log's time is over."""
        return max(0.05, 1 + self.fashion.get(noun, 0.0) * share)


def write_demo_log(
    out: Path,
    *,
    catalogue: Path | None = None,
    pairs: Path | None = None,
    users: int = 2000,
    seed: int = 1,
) -> None:
    """Write a synthetic shopping log, the catalogue it is about, and what was bought.

    The log is TSV with the columns time (ISO 8601), user, session, query, locale, category
    and results, ordered by time, about 20 rows a user; the catalogue is TSV with
    product_id, title, category, brand, colour and price. Pairs are TSV with query,
    product_id and relevance: up to three products that every query finds, graded 3. Names
    that end in ``.gz`` or ``.zst`` are compressed.

    Args:
        out: Log to write.
        catalogue: Catalogue to write, if any.
        pairs: Pairs to write, if any.
        users: People, at least 1.
        seed: Of everything random.

    Raises:
        ConfigError: Two of them are one file.
        StorageError: A file cannot be written. None is left half-written.
    """
    refuse_to_overwrite([], [path for path in (out, catalogue, pairs) if path is not None])
    rng = random.Random(seed)  # noqa: S311 - a demonstration needs repeatable chance
    shop = Shop(rng)
    rows = sorted(
        row for number in range(users) for row in _rows(rng, shop, _person(rng, number), number)
    )
    if catalogue is not None:
        with new_text_file(catalogue) as stream:
            stream.write("product_id\ttitle\tcategory\tbrand\tcolour\tprice\n")
            stream.writelines(
                f"P{p.number:05d}\t{p.title}\t{p.department.name}\t{p.brand}\t{p.colour}\t"
                f"{p.price:.2f}\n"
                for p in shop.products
            )
    if pairs is not None:
        queries = sorted({row[4] for row in rows})
        with new_text_file(pairs) as stream:
            stream.write("query\tproduct_id\trelevance\n")
            stream.writelines(
                f"{query}\tP{number:05d}\t3\n"
                for query in queries
                for number in shop.found(query)[:_MOST_BOUGHT]
            )
    with new_text_file(out) as stream:
        stream.write("time\tuser\tsession\tquery\tlocale\tcategory\tresults\n")
        stream.writelines(
            f"{_iso(second)}\t{user}\t{session}\t{query}\t{locale}\t{category}\t{results}\n"
            for second, user, session, _, query, locale, category, results in rows
        )


def _products(rng: random.Random) -> Iterator[Product]:
    numbers = itertools.count(1)
    for department in DEPARTMENTS:
        for place, noun in enumerate(department.nouns):
            for _ in range(max(_LEAST_PRODUCTS, _MOST_PRODUCTS // (place + 1))):
                yield Product(
                    number=next(numbers),
                    department=department,
                    noun=noun,
                    brand=_zipf(rng, department.brands),
                    audience=_sometimes(rng, 0.7, department.audiences),
                    colour=_sometimes(rng, 0.8, COLOURS if department.has_colours else ()),
                    attribute=_sometimes(rng, 0.9, department.attributes),
                    option=_sometimes(rng, 0.7, department.options),
                    price=math.ceil(department.price * math.exp(rng.random() * 1.6 - 0.8)) - 0.01,
                )


def _person(rng: random.Random, number: int) -> Person:
    favourites = tuple(_zipf(rng, DEPARTMENTS, 0.3) for _ in range(3))
    return Person(
        name=f"synthetic-{number:05d}",
        locale=_weighted(rng, [name for name, _ in LOCALES], [share for _, share in LOCALES]),
        # Most people come a few times, a few come often.
        sessions=1 + int(-math.log(1 - rng.random()) * (_SESSIONS_PER_USER - 0.5)),
        departments=favourites,
        audience=int(rng.random() * 6),
        loyalty=rng.random() * 0.6,
        typos=rng.random() * 0.12,
        capitals=0.8 if rng.random() < 0.12 else 0.02,
    )


_Row = tuple[int, str, str, int, str, str, str, int]


def _rows(rng: random.Random, shop: Shop, person: Person, number: int) -> Iterator[_Row]:
    for visit in range(person.sessions):
        second = _visit_time(rng)
        session = f"{number:05d}-{visit:03d}"
        share = (second - _START) / (_DAYS * _DAY)
        previous = ""
        for place, (department, query) in enumerate(_session(rng, shop, person, share)):
            if previous:
                # People read results between queries, now and then for a long time.
                second += 5 + int(math.exp(rng.random() * 4.4 + 0.7))
            typed = query.title() if rng.random() < person.capitals else query
            results = shop.results(typed)
            yield (
                second, person.name, session, place, typed, person.locale, department.name, results
            )  # fmt: skip
            previous = query


def _session(
    rng: random.Random, shop: Shop, person: Person, share: float
) -> Iterator[tuple[Department, str]]:
    """Yield the queries of one visit."""
    need = _first_need(rng, shop, person, share)
    while True:
        text = need.text
        if rng.random() < person.typos:
            yield need.department, _mistyped(rng, text)
        yield need.department, text
        chance = rng.random()
        if chance < 0.28:
            return
        if chance < 0.2805:
            form = ACCOUNT_QUERIES[int(rng.random() * len(ACCOUNT_QUERIES))]
            number = int(rng.random() * 1e8)
            yield need.department, form.format(number=number, short=number % 1000)
            return
        need = _next_need(rng, shop, person, need, share)


def _first_need(rng: random.Random, shop: Shop, person: Person, share: float) -> Need:
    department = person.departments[int(rng.random() * len(person.departments))]
    if rng.random() < 0.45:
        month = min(int(share * _DAYS / _MONTH), 5)
        weights = [each.season[month] for each in DEPARTMENTS]
        department = _weighted(rng, DEPARTMENTS, weights)
    need = Need(department, _noun(rng, shop, department, share))
    for _ in range(int(rng.random() * 2.4)):
        need = _extended(rng, person, need)
    return need


def _next_need(rng: random.Random, shop: Shop, person: Person, need: Need, share: float) -> Need:
    """Return what is looked for after ``need``: usually a variation of it."""
    chance = rng.random()
    typed = [slot for slot in _SLOTS if getattr(need, slot)]
    if chance < 0.42:
        return _extended(rng, person, need)
    if chance < 0.54 and typed:
        return _with(need, typed[int(rng.random() * len(typed))], "")
    if chance < 0.74 and typed:
        return _exchanged(rng, person, need, typed[int(rng.random() * len(typed))])
    if chance < 0.78:
        return need
    if chance < 0.92:
        related = Need(need.department, _noun(rng, shop, need.department, share))
        # The brand, the colour or whom it is for is often kept.
        return replace(
            related,
            brand=need.brand if rng.random() < 0.5 else "",
            colour=need.colour if rng.random() < 0.4 else "",
            audience=need.audience if rng.random() < 0.7 else "",
        )
    return _first_need(rng, shop, person, share)


def _values(person: Person, need: Need) -> Mapping[str, Sequence[str]]:
    department = need.department
    audiences = department.audiences
    if audiences:
        first = person.audience % len(audiences)
        audiences = (audiences[first], *audiences[:first], *audiences[first + 1 :])
    return {
        "brand": department.brands,
        "audience": audiences,
        "colour": COLOURS if department.has_colours else (),
        "attribute": department.attributes,
        "option": department.options,
        "before": MODIFIERS_BEFORE,
        "after": MODIFIERS_AFTER,
    }


def _extended(rng: random.Random, person: Person, need: Need) -> Need:
    """Return ``need`` with one property more; itself where it has them all."""
    values = _values(person, need)
    free = [slot for slot in _SLOTS if values[slot] and not getattr(need, slot)]
    if not free or len(need.text.split()) > 6:
        return need
    slot = _weighted(rng, free, [_SLOT_WEIGHTS[_SLOTS.index(slot)] for slot in free])
    if slot == "brand" and rng.random() < person.loyalty:
        return _with(need, slot, values[slot][person.audience % len(values[slot])])
    steep = 1.6 if slot == "audience" else _ZIPF
    return _with(need, slot, _zipf(rng, values[slot], steep))


def _exchanged(rng: random.Random, person: Person, need: Need, slot: str) -> Need:
    others = [value for value in _values(person, need)[slot] if value != getattr(need, slot)]
    return _with(need, slot, _zipf(rng, others))


def _with(need: Need, slot: str, value: str) -> Need:
    change: dict[str, Any] = {slot: value}
    return replace(need, **change)


def _noun(rng: random.Random, shop: Shop, department: Department, share: float) -> str:
    weights = [
        shop.demand(noun, share) / (place + 1) ** _ZIPF
        for place, noun in enumerate(department.nouns)
    ]
    return _weighted(rng, department.nouns, weights)


def _mistyped(rng: random.Random, text: str) -> str:
    """Return ``text`` with two letters swapped, one left out or one doubled."""
    at = int(rng.random() * (len(text) - 1))
    kind = rng.random()
    if kind < 0.4:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind < 0.75:
        return text[:at] + text[at + 1 :]
    return text[: at + 1] + text[at:]


def _visit_time(rng: random.Random) -> int:
    # Days before the winter holidays are busier, weekends too.
    while True:
        day = int(rng.random() * _DAYS)
        busy = _WEEKEND if (day + 2) % 7 >= 5 else 1.0  # the first day is a Wednesday
        busy *= 1 + math.exp(-(((day - 72) / 14) ** 2))
        if rng.random() * 2 * _WEEKEND < busy:
            break
    hour = _weighted(rng, range(24), _HOURS)
    return _START + day * _DAY + hour * 3600 + int(rng.random() * 3600)


def _iso(second: int) -> str:
    moment = dt.datetime.fromtimestamp(second, tz=dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _weighted(rng: random.Random, items: Sequence[_Item], weights: Sequence[float]) -> _Item:
    """Return one of ``items`` with a chance in proportion to its weight."""
    sums = list(itertools.accumulate(weights))
    return items[min(bisect.bisect(sums, rng.random() * sums[-1]), len(items) - 1)]


def _zipf(rng: random.Random, items: Sequence[_Item], steep: float = _ZIPF) -> _Item:
    """Return one of ``items``, the one in place n with a chance like 1 / n ** steep."""
    return _weighted(rng, items, [1 / (place + 1) ** steep for place in range(len(items))])


def _sometimes(rng: random.Random, chance: float, items: Sequence[str]) -> str:
    return _zipf(rng, items) if items and rng.random() < chance else ""
