"""One damaged file per invariant: each is found by its number and survived."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal

import pytest

import espalier
from espalier.errors import (
    IndexCorruptError,
    IndexFileError,
    IndexFormatError,
    IndexMissingError,
    IndexVersionError,
    UnsupportedError,
)
from espalier.index import Filter
from espalier.native import FEATURES, Caps, NativeIndex, Retrieval, Source
from tests.corrupt.make import (
    FOLDER,
    attribute_sections,
    catalogue_sections,
    damaged,
    sections,
    word_sections,
)
from tests.reference import build, invariants
from tests.reference import format as reference

ROOT = FOLDER.parent.parent
LABELS = sorted(path.stem for path in FOLDER.glob("*.esp"))
LABEL = r"[A-Z]\d+"
CLASSES: dict[str, type[IndexFileError]] = {
    "H1": IndexFormatError,
    "H2": IndexFormatError,
    "H3": IndexVersionError,
}
MATCHERS: Final[tuple[Literal["constrained", "unconstrained"], ...]] = (
    "constrained",
    "unconstrained",
)
PREFIXES = ("", "a", "a ", "ab", "b", "d ", "d é", "zz", "é")
CONTEXTS: tuple[list[str], ...] = ([], ["ab"], ["c", "d é", "x" * 300])


BESIDE: Final[dict[str, Callable[[], build.Sections]]] = {
    "labels": dict,
    "words": word_sections,
    "attributes": attribute_sections,
    "products": catalogue_sections,
}


@pytest.fixture(params=BESIDE)
def whole(request: pytest.FixtureRequest) -> bytes:
    """Return the index before it was damaged, alone and with what may stand beside it."""
    return build.assemble(sections() | BESIDE[request.param]())


def _check(data: bytes) -> None:
    with NativeIndex.from_bytes(data) as index:
        index.verify()
        index.validate()


def _check_by_the_twin(data: bytes) -> None:
    twin = reference.parse(data)
    invariants.verify(twin)
    invariants.validate(twin)


def _survives(ask: Callable[[], object]) -> None:
    """Ask; the answer may be anything, an error only that the index is damaged."""
    with contextlib.suppress(IndexCorruptError):
        ask()


def _use(index: espalier.Index) -> None:
    """Ask every kind of question."""
    for prefix in PREFIXES:
        for context in CONTEXTS:
            for sources in (None, Source.MODEL, Source.POPULAR, Source.TAIL):
                for matcher in MATCHERS:
                    _survives(
                        partial(index.complete, prefix, context, sources=sources, matcher=matcher)
                    )
        _survives(partial(index.popular, prefix))
        _survives(partial(index.find, prefix))
    _use_attributes(index)


def _use_words(index: NativeIndex) -> None:
    """Ask the word model, if there is one."""
    for before in ([], [b"a"], [b"d", b"a"], [b"x", b"b"]):
        with contextlib.suppress(UnsupportedError):
            _survives(partial(index.word_chance, before, b"\xc3\xa9"))
            _survives(partial(index.likely_words, before, b"a", 64))
            _survives(partial(index.likely_words, before, b"", 64))


FILTERS: Final = (
    Filter(all_of=["category:a"]),
    Filter(any_of=["category:b", "locale:é", "none:such"], none_of=["category:a"]),
    Filter(none_of=["category:a"]),
)


def _use_attributes(index: espalier.Index) -> None:
    """Filter by the attributes and list them, if there are any."""
    for chosen in FILTERS:
        for prefix in ("", "a", "d é", "bax"):
            with contextlib.suppress(UnsupportedError):
                _survives(partial(index.complete, prefix, ["ab d"], where=chosen))
    _survives(index.attributes)
    for label in range(79):
        _survives(partial(index.attributes_of, label))


def _use_candidates(index: NativeIndex) -> None:
    """Ask for the texts of everything a completion looked at, where it can complete."""
    scratch = index.scratch()
    for prefix, sources in ((b"", 0), (b"a", 0), (b"d \xc3\xa9", 0), (b"ba", Source.CORRECTED)):
        with contextlib.suppress(UnsupportedError, IndexCorruptError):
            scratch.ask(prefix, [b"ab d"], 10, sources=sources, flags=FEATURES)
            _survives(scratch.ranked_texts)
            _survives(scratch.candidates)


def _use_products(index: NativeIndex) -> None:
    """Ask for products, if there are any."""
    retrieval = Retrieval(index, Caps(k=20, pool=100))
    for text in (b"", b"ab d", b"a b c", "d é".encode(), b"x" * 200):
        for host in ((), (3, 78, 1)):
            with contextlib.suppress(UnsupportedError):
                _survives(
                    partial(
                        retrieval.ask,
                        (text, text),
                        20,
                        previous=((text, text),),
                        previous_weight=1.0,
                        host=host,
                        features=True,
                    )
                )
                retrieval.described()


def _use_bytes(data: bytes) -> None:
    """Open without checksums, ask a few questions."""
    try:
        native = NativeIndex.from_bytes(data)
    except IndexFileError:
        return
    with espalier.Index(native, Path("memory")) as index:
        _use_words(native)
        _use_candidates(native)
        _use_products(native)
        _use_attributes(index)
        for prefix in ("", "a", "d é", "a "):
            for matcher in MATCHERS:
                _survives(partial(index.complete, prefix, ["ab d"], matcher=matcher))


def _labels_in(paths: Iterator[Path], pattern: str) -> set[str]:
    return {
        label
        for path in paths
        for label in re.findall(pattern, path.read_text("utf-8"), flags=re.MULTILINE)
    }


def test_specification_source_and_files_name_the_same_checks() -> None:
    """A check is real only with its damaged file."""
    specified = _labels_in((ROOT / "native").glob("FORMAT.md"), rf"^- ({LABEL}): ")
    checked = _labels_in((ROOT / "native" / "src").glob("*.c"), rf'"({LABEL})"')

    assert sorted(specified) == sorted(checked) == LABELS


def test_files_are_what_their_generator_makes() -> None:
    """Nobody changed the generator without the files."""
    for label, data in damaged().items():
        assert data == (FOLDER / f"{label}.esp").read_bytes(), label


def test_the_index_is_whole_before_it_is_damaged(whole: bytes) -> None:
    """Both readers find nothing to complain about."""
    _check(whole)
    _check_by_the_twin(whole)


@pytest.mark.parametrize("label", LABELS)
def test_the_damage_is_reported_by_its_number(label: str) -> None:
    """Opening, verifying or validating names exactly the invariant that is broken."""
    with pytest.raises(IndexFileError) as caught:
        _check((FOLDER / f"{label}.esp").read_bytes())

    assert label == caught.value.check
    assert CLASSES.get(label, IndexCorruptError) is type(caught.value)


@pytest.mark.parametrize("label", LABELS)
def test_the_second_reader_agrees(label: str) -> None:
    """The twin breaks off at the same invariant."""
    with pytest.raises(reference.Violation) as caught:
        _check_by_the_twin((FOLDER / f"{label}.esp").read_bytes())

    assert label == caught.value.label


@pytest.mark.parametrize("label", LABELS)
def test_a_damaged_index_is_used_without_a_crash(label: str) -> None:
    """Without any check each question has an answer or says that the index is damaged."""
    with (
        contextlib.suppress(IndexFileError),
        espalier.open(FOLDER / f"{label}.esp", verify=False) as index,
    ):
        _use(index)
    with (
        contextlib.suppress(IndexFileError),
        NativeIndex.open(FOLDER / f"{label}.esp") as native,
    ):
        _use_words(native)
        _use_candidates(native)
        _use_products(native)


def test_a_candidate_that_is_no_text_is_told_by_its_number() -> None:
    """Candidates of a file with a broken label are refused, not decoded and not passed on."""
    with NativeIndex.open(FOLDER / "L3.esp") as index:
        scratch = index.scratch()
        # The answer, with fewer texts than the candidates, need not have met it.
        with contextlib.suppress(IndexCorruptError):
            scratch.ask(b"", [], 1, flags=FEATURES)
        with pytest.raises(IndexCorruptError) as caught:
            scratch.ranked_texts()

    assert ("L3", "LTXT") == (caught.value.check, caught.value.section)


def test_every_flipped_byte_is_found_and_survived(whole: bytes) -> None:
    """No byte of a file can change unseen, and none makes a query crash."""
    for at in range(len(whole)):
        flipped = whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :]
        with pytest.raises(IndexFileError), NativeIndex.from_bytes(flipped) as index:
            index.verify()
        if at % 3 == 0:
            _use_bytes(flipped)


def test_every_truncation_is_refused(whole: bytes) -> None:
    """A file that ends early is no index, or one that was cut short."""
    for length in range(len(whole)):
        with pytest.raises(IndexFileError) as caught:
            NativeIndex.from_bytes(whole[:length])
        assert ("H2" if length < 64 else "H5") == caught.value.check


@pytest.mark.parametrize(
    ("make", "kind", "advice"),
    [
        (lambda path, _: path.write_bytes(b""), IndexFormatError, "too few for a header"),
        (lambda path, _: path.write_bytes(b"q\tn\n" * 99), IndexFormatError, "signature"),
        (lambda path, _: path.mkdir(), IndexMissingError, "not a regular file"),
        (lambda _path, _: None, IndexMissingError, "espalier train"),
        (lambda path, data: path.write_bytes(data[:-1]), IndexCorruptError, "cut short"),
        (
            lambda path, data: path.write_bytes(data[:99] + b"\xff" + data[100:]),
            IndexCorruptError,
            "train it again",
        ),
        (
            lambda path, _: path.write_bytes((FOLDER / "H3.esp").read_bytes()),
            IndexVersionError,
            "format 2.1; this library reads 1.x",
        ),
    ],
    ids=["empty", "text", "folder", "missing", "truncated", "flipped", "version"],
)
def test_an_unusable_file_says_what_it_is_and_what_to_do(
    tmp_path: Path,
    whole: bytes,
    make: Callable[[Path, bytes], object],
    kind: type[IndexFileError],
    advice: str,
) -> None:
    """Each kind of unusable file has its class and a message with the way out."""
    path = tmp_path / "x.esp"
    make(path, whole)

    with pytest.raises(IndexFileError) as caught:
        espalier.open(path)

    assert kind is type(caught.value)
    assert advice in str(caught.value)
