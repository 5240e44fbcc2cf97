"""The border to the C library: arguments, errors and ownership."""

from __future__ import annotations

import gc
import re
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from espalier import errors
from espalier._native import lib
from espalier.native import (
    Caps,
    Csr,
    FeatureKind,
    IndexWriter,
    Matcher,
    NativeIndex,
    PostProcessor,
    PrefixFeatures,
    Source,
    Space,
    TextTable,
    Trainer,
    chunk_encode,
    crc32c,
    features_hash,
    features_vectorise,
    maxima_build,
    section_id,
    section_name,
    trie_build,
    version,
)
from espalier.native.border import check
from tests.golden.make import FOLDER
from tests.reference.format import crc32c as slow_crc32c

U32 = np.uint32
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def index() -> NativeIndex:
    """Return the golden index of a shop."""
    return NativeIndex.open(FOLDER / "shop.esp")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_checksums_have_their_published_values(data: bytes, expected: int) -> None:
    """CRC-32C of RFC 3720, appendix B.4, and the usual check value; the twin agrees."""
    assert expected == crc32c(data) == slow_crc32c(data)


def test_a_checksum_continues() -> None:
    """The checksum of two halves is that of the whole, short or long."""
    data = bytes(i * i % 251 for i in range(20_000))
    for cut in (0, 1, 4095, 4096, 4097, 19_999):
        assert crc32c(data) == crc32c(data[cut:], crc32c(data[:cut]))


def test_section_names_and_numbers_are_each_others_inverse() -> None:
    """The first letter is the lowest byte; 0 is no section."""
    assert section_id("LTXT") == 0x5458544C
    assert section_name(section_id("LTXT")) == "LTXT"
    assert not section_name(0)


def test_the_library_has_the_version_of_the_package() -> None:
    """One version for both."""
    assert re.search(rf'^version = "{re.escape(version())}"$', _project(), re.MULTILINE)


def _project() -> str:
    return (ROOT / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("enum", "prefix"),
    [
        (Source, "ESP_SOURCE_"),
        (Matcher, "ESP_MATCH_"),
        (PostProcessor, "ESP_POST_"),
        (PrefixFeatures, "ESP_PREFIX_"),
        (FeatureKind, "ESP_FEATURE_"),
    ],
)
def test_numbers_are_those_of_the_header(enum: type[Enum], prefix: str) -> None:
    """Every name on one side is on the other, with the same number."""
    header = {
        name.removeprefix(prefix): getattr(lib, name)
        for name in dir(lib)
        if name.startswith(prefix)
    }

    assert header == {member.name: member.value for member in enum}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("ESP_E_ARGUMENT", errors.InputError),
        ("ESP_E_LIMIT", errors.LimitError),
        ("ESP_E_UTF8", errors.InvalidTextError),
        ("ESP_E_MEMORY", errors.ResourceError),
        ("ESP_E_IO", errors.StorageError),
        ("ESP_E_FORMAT", errors.IndexFormatError),
        ("ESP_E_VERSION", errors.IndexVersionError),
        ("ESP_E_CORRUPT", errors.IndexCorruptError),
        ("ESP_E_UNSUPPORTED", errors.UnsupportedError),
    ],
)
def test_every_status_has_its_exception(status: str, kind: type[Exception]) -> None:
    """No status of the header is without a class, and no class is shared."""
    from espalier._native import ffi

    error = ffi.new("esp_error *", {"message": b"what happened"})
    with pytest.raises(kind, match="what happened") as caught:
        check(getattr(lib, status), error)
    assert type(caught.value) is kind


def test_the_list_of_statuses_is_complete() -> None:
    """The test above covers what the header has."""
    assert sum(name.startswith("ESP_E_") for name in dir(lib)) == 9


class TestBuilding:
    """Functions that make sections refuse what they cannot make right."""

    def test_labels_must_be_sorted(self) -> None:
        """The error names the first label out of order."""
        blob = np.frombuffer(b"bac", np.uint8)
        with pytest.raises(errors.InputError, match="label 1 is not above the one before"):
            trie_build(blob, np.array([0, 1, 2, 3], np.uint64))

    def test_nothing_is_a_valid_trie_and_valid_maxima(self) -> None:
        """An index without labels has sections without entries."""
        assert trie_build(np.zeros(0, np.uint8), np.zeros(1, np.uint64)) == b""
        assert maxima_build(np.zeros(0, U32)) == bytes(16)

    @pytest.mark.parametrize(
        ("rows", "values", "bits", "complaint"),
        [
            ([1, 0], [1, 1], 32, "not ascending"),
            ([0, 3], [1, 1], 32, "not ascending below 3"),
            ([0, 1], [1, np.nan], 32, "not finite"),
            ([0, 1], [1, 1], 8, "16 or 32 bits"),
        ],
    )
    def test_weights_must_be_possible(
        self, rows: list[int], values: list[float], bits: int, complaint: str
    ) -> None:
        """Order, range, finiteness and width are checked."""
        with pytest.raises(errors.InputError, match=complaint):
            chunk_encode(
                1,
                3,
                np.array([0, 2], np.uint64),
                np.array(rows, U32),
                np.array(values, np.float32),
                np.zeros(1, np.float32),
                weight_bits=bits,
            )

    def test_texts_must_be_utf8(self) -> None:
        """The error names the text."""
        table = TextTable(
            np.frombuffer(b"ok\xff", np.uint8), np.array([0, 2], np.uint64), np.array([2, 1], U32)
        )
        with pytest.raises(errors.InvalidTextError, match="text 1 is not UTF-8"):
            features_hash(table, FeatureKind.WORDS)

    def test_a_prefix_ends_between_characters(self) -> None:
        """A row that cuts a character is refused, and one behind the text too."""
        table = TextTable.from_strings(["é"])
        space = Space(np.zeros(0, U32), np.zeros(0, np.float32), 2, 0.5, 2)
        none = np.zeros(0, U32)
        for cut, kind in ((1, errors.InvalidTextError), (3, errors.InputError)):
            with pytest.raises(kind):
                features_vectorise(
                    space,
                    table,
                    np.zeros(2, np.uint64),
                    none,
                    np.zeros(1, U32),
                    np.array([cut], U32),
                )

    def test_no_rows_give_an_empty_matrix(self) -> None:
        """Nothing in, nothing out."""
        space = Space(np.zeros(0, U32), np.zeros(0, np.float32), 2, 0.5, 2)
        none = np.zeros(0, U32)
        found = features_vectorise(
            space, TextTable.from_strings([]), np.zeros(1, np.uint64), none, none, none
        )
        assert (found.n_rows, len(found.col)) == (0, 0)


class TestWriting:
    """An index file is whole or not there."""

    @staticmethod
    def _write(path: Path, interruption: BaseException | None = None) -> None:
        with IndexWriter(path, 1) as writer:
            writer.add("META", b"{}")
            if interruption is not None:
                raise interruption
            writer.add("META", b"{}")

    def test_an_exception_removes_what_was_written(self, tmp_path: Path) -> None:
        """The old file stays, nothing is left beside it, not even after Ctrl-C."""
        path = tmp_path / "x.esp"
        path.write_bytes(b"the old one")
        with pytest.raises(KeyboardInterrupt):
            self._write(path, KeyboardInterrupt())

        assert path.read_bytes() == b"the old one"
        assert list(tmp_path.iterdir()) == [path]

    def test_a_missing_folder_is_a_storage_error(self, tmp_path: Path) -> None:
        """The message has path and reason."""
        with pytest.raises(errors.StorageError, match=r"x\.esp: cannot create the index: No such"):
            IndexWriter(tmp_path / "no" / "x.esp", 1)

    def test_a_section_is_added_once(self, tmp_path: Path) -> None:
        """A second one of the same name is refused, and the file with it."""
        with pytest.raises(errors.InputError, match="written twice"):
            self._write(tmp_path / "x.esp")

        assert not list(tmp_path.iterdir())


class TestReading:
    """Open indexes: texts, limits, closing, threads."""

    def test_bytes_and_file_are_the_same_index(self, index: NativeIndex) -> None:
        """An index in memory has the sections of the one on disk."""
        copy = NativeIndex.from_bytes((FOLDER / "shop.esp").read_bytes())

        assert index.sections() == copy.sections()
        assert index.info == copy.info
        assert index.section("LTXT") == copy.section("LTXT")
        assert index.section("NONE") == b""

    def test_a_closed_index_says_so(self, index: NativeIndex) -> None:
        """Closing twice is fine, using it afterwards is an error and no crash."""
        index.close()
        index.close()
        for use in (index.verify, index.sections, index.scratch, lambda: index.prefix_range(b"")):
            with pytest.raises(errors.UnsupportedError, match="closed"):
                use()

    def test_a_scratch_knows_that_its_index_is_closed(self, index: NativeIndex) -> None:
        """Every question is an error then, not a look into memory given back."""
        scratch = index.scratch()
        x = Csr(np.zeros(2, np.uint64), np.zeros(0, U32), np.zeros(0, np.float32), 7)
        index.close()
        for use in (
            lambda: scratch.complete(b"n", [], 1),
            lambda: scratch.popular(b"n", 1),
            lambda: index.predict_top(x, beam=1, k=1),
        ):
            with pytest.raises(errors.UnsupportedError, match="closed"):
                use()

    def test_a_scratch_keeps_its_index_alive(self) -> None:
        """Of an index in memory nothing else may be left."""
        scratch = NativeIndex.from_bytes((FOLDER / "shop.esp").read_bytes()).scratch()
        gc.collect()
        np.full(20_000, 255, np.uint8)  # where the bytes were, if they were given back
        assert len(scratch.complete(b"n", [b"nike"], 5)) == 5

    def test_labels_outside_are_refused(self, index: NativeIndex) -> None:
        """A label that is not there is an error; it has no users."""
        with pytest.raises(errors.InputError, match="label 64 of 64"):
            index.label_texts(64)
        assert index.label_users(64) == 0

    @pytest.mark.parametrize(
        ("arguments", "kind"),
        [
            ({"prefix": b"x" * 9}, errors.LimitError),
            ({"prefix": b"\xff"}, errors.InvalidTextError),
            ({"previous": [b"\xed\xa0\x80"]}, errors.InvalidTextError),
            ({"previous": [b"x"] * 3}, errors.LimitError),
            ({"previous": [b"x" * 17]}, errors.LimitError),
            ({"k": 6}, errors.LimitError),
            ({"beam": 5}, errors.LimitError),
            ({"pool": 8}, errors.LimitError),
            ({"matcher": 3}, errors.InputError),
        ],
    )
    def test_caps_and_texts_are_checked(
        self, index: NativeIndex, arguments: dict[str, object], kind: type[Exception]
    ) -> None:
        """Above a cap, or not UTF-8: a typed error, and the scratch works on."""
        scratch = index.scratch(
            Caps(k=5, beam=4, pool=7, prefix_bytes=8, context_bytes=16, previous=2)
        )
        usual = {"prefix": b"n", "previous": [], "k": 5}
        expected = scratch.complete(b"n", [], 5)
        with pytest.raises(kind):
            scratch.complete(**usual | arguments)  # type: ignore[arg-type]

        assert expected == scratch.complete(b"n", [], 5)

    def test_candidates_and_work_describe_the_last_query(self, index: NativeIndex) -> None:
        """The range, the features known and the labels considered are told."""
        scratch = index.scratch()
        found = scratch.complete(b"ni", [b"nikon lens"], 3)
        work = scratch.work()
        lo, hi = index.prefix_range(b"ni")

        assert hi - lo == work.range_labels
        assert work.n_features > 0
        labels, others = scratch.candidates()
        assert work.candidates == len(labels) + len(others)
        assert {one.label for one in found} <= set(labels.tolist())

    def test_popular_labels_have_a_limit(self, index: NativeIndex) -> None:
        """More than pool and k together cannot be asked for."""
        scratch = index.scratch(Caps(k=5, pool=7))
        assert len(scratch.popular(b"", 12)) == 12
        with pytest.raises(errors.LimitError):
            scratch.popular(b"", 13)

    def test_matrices_must_fit_the_model(self, index: NativeIndex) -> None:
        """A matrix of another width is refused with both widths."""
        x = Csr(np.zeros(2, np.uint64), np.zeros(0, U32), np.zeros(0, np.float32), 7)
        with pytest.raises(errors.InputError, match="7 columns, the model was trained on"):
            index.predict_top(x, beam=2, k=2)

    def test_threads_answer_alike(self, index: NativeIndex) -> None:
        """Scratches share an index and nothing else."""
        questions = [(b"n", []), (b"", [b"nike air"]), (b"ap", []), (b"a", [b"x", b"y"])] * 50
        scratch = index.scratch()
        expected = [scratch.complete(prefix, previous, 10) for prefix, previous in questions]

        def work(_: int) -> bool:
            own = index.scratch()
            return expected == [
                own.complete(prefix, previous, 10) for prefix, previous in questions
            ]

        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(work, range(12)))

    def test_memory_of_an_index_outlives_what_points_into_it(self) -> None:
        """Texts are copies: they stay when the index is gone."""
        index = NativeIndex.from_bytes((FOLDER / "shop.esp").read_bytes())
        text, display = index.label_texts(0)
        index.close()
        del index
        gc.collect()
        assert (text, display) == ("adidas", "Adidas")


def test_a_trainer_splits_and_repeats_itself() -> None:
    """The binding permutes members in place and returns bounds; same seed, same split."""
    rng = np.random.default_rng(3)
    x = Csr(
        np.arange(0, 41, 2, dtype=np.uint64),
        np.sort(rng.integers(0, 8, (20, 2)) + np.array([0, 8]), axis=1).ravel().astype(U32),
        np.full(40, 0.7, np.float32),
        16,
    )
    splits = []
    for _ in range(2):
        members = np.arange(20, dtype=U32)
        bounds = Trainer(16).split(x, members, None, parts=4, iterations=10, seed=1)
        assert bounds.tolist() == [0, 5, 10, 15, 20]
        assert sorted(members.tolist()) == list(range(20))
        splits.append(members.tolist())
    assert splits[0] == splits[1]
