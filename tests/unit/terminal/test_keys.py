"""From bytes to keys: whole, in pieces, and garbled."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.terminal.keys import Key, KeyDecoder, Press, Typed


def keys_of(*pieces: bytes) -> list[Key]:
    """Return the keys of all pieces, text that came in several put together."""
    decoder = KeyDecoder()
    keys: list[Key] = []
    for key in [key for piece in pieces for key in decoder.feed(piece)] + decoder.flush():
        if isinstance(key, Typed) and keys and isinstance(keys[-1], Typed):
            keys[-1] = Typed(keys[-1].text + key.text)
        else:
            keys.append(key)
    return keys


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x03", [Press.LEAVE]),
        (b"\x04", [Press.LEAVE]),
        (b"\x1b", [Press.LEAVE]),
        (b"\x1b\x1b", [Press.LEAVE, Press.LEAVE]),
        (b"\x1b\x03", [Press.LEAVE, Press.LEAVE]),
        (b"\x05", [Press.EXPLAIN]),
        (b"\x08\x7f", [Press.BACKSPACE, Press.BACKSPACE]),
        (b"\t", [Press.TAKE]),
        (b"\r\n", [Press.SUBMIT, Press.SUBMIT]),
        (b"\x0e", [Press.NEW_SESSION]),
        (b"\x15", [Press.CLEAR]),
        (b"\x17", [Press.CLEAR_WORD]),
        (b"\x1b\x7f", [Press.CLEAR_WORD]),
        (b"\x18", [Press.CONTEXT]),
        (b"\x1b[A\x1bOA", [Press.UP, Press.UP]),
        (b"\x1b[B\x1bOB", [Press.DOWN, Press.DOWN]),
        (b"\x1b[C\x1bOC", [Press.TAKE, Press.TAKE]),
        (b"\x1b[1;5C", [Press.TAKE]),
        (b"\x1bOM", [Press.SUBMIT]),
        (b"\x1b[M", []),
        (b"\x1b[D\x1b[3~\x1b[15~\x1b[?1;2c", []),
        (b"\x1b]11;rgb:0000/0000/0000\x07ab", [Typed("ab")]),
        (b"\x1bP1$r0m\x1b\\ab", [Typed("ab")]),
        (b"\x1bx", []),
        (b"\x1b[\x01a", [Typed("a")]),
        (b"\x1b[", []),
        (b"\x00\x01\x02ab\x1f", [Typed("ab")]),
        ("é東👩‍👧".encode(), [Typed("é東👩‍👧")]),
        (b"a\xff\xfeb", [Typed("ab")]),
        (b"\xc2\x85a", [Typed("a")]),
    ],
    ids=repr,
)
def test_each_key_is_known_by_what_terminals_send_for_it(data: bytes, expected: list[Key]) -> None:
    """Control characters, both kinds of arrows, strings of the terminal itself, text."""
    assert keys_of(data) == expected


def test_pasted_text_is_one_line_and_presses_nothing() -> None:
    """Whatever stands in it: line ends and tabs are spaces."""
    pasted = b"x\x1b[200~two\r\nlines\tand \x18\x1b[201~y\r"

    assert keys_of(pasted) == [Typed("xtwo lines and  y"), Press.SUBMIT]


def test_a_paste_that_is_interrupted_shows_what_came() -> None:
    """The rest of it follows, still as text."""
    decoder = KeyDecoder()

    assert decoder.feed(b"\x1b[200~one\x1b[20") == [Typed("one")]
    assert decoder.waiting
    assert decoder.flush() == [Typed(" [20")]
    assert decoder.feed(b"\r\x1b[201~\r") == [Typed(" "), Press.SUBMIT]


def test_an_escape_is_a_key_only_once_nothing_follows() -> None:
    """The beginning of an arrow is not the wish to leave."""
    decoder = KeyDecoder()

    assert decoder.feed(b"\x1b") == []
    assert decoder.waiting
    assert decoder.feed(b"[A") == [Press.UP]
    assert not decoder.waiting
    assert decoder.feed(b"\x1b") == []
    assert decoder.flush() == [Press.LEAVE]
    assert not decoder.waiting


def test_a_string_of_the_terminal_without_an_end_is_given_up() -> None:
    """It must not grow for ever, nor swallow what is typed after a pause."""
    decoder = KeyDecoder()

    assert decoder.feed(b"\x1b]" + b"x" * 5000) == []
    assert decoder.feed(b"a") == [Typed("a")]
    assert decoder.feed(b"\x1b]0;") == []
    assert decoder.flush() == []
    assert decoder.feed(b"a") == [Typed("a")]


def test_other_encodings_are_read_as_the_terminal_writes_them() -> None:
    """A Latin-1 terminal sends one byte for an umlaut."""
    assert KeyDecoder("latin-1").feed("grün".encode("latin-1")) == [Typed("grün")]


_TOKENS = st.sampled_from(
    [
        (b"a", Typed("a")),
        ("é".encode(), Typed("é")),
        ("東".encode(), Typed("東")),
        ("👩".encode(), Typed("👩")),
        (b"\x7f", Press.BACKSPACE),
        (b"\r", Press.SUBMIT),
        (b"\x1b[A", Press.UP),
        (b"\x1bOB", Press.DOWN),
        (b"\x1b[1;2C", Press.TAKE),
        (b"\x1b[200~paste\x1b[201~", Typed("paste")),
        (b"\x1b[3~", None),
    ]
)


@given(st.lists(_TOKENS, max_size=20), st.data())
def test_how_the_bytes_are_cut_changes_nothing(
    tokens: list[tuple[bytes, Key | None]], data: st.DataObject
) -> None:
    """Any pieces of the same bytes are the same keys."""
    whole = b"".join(sent for sent, _ in tokens)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10)))
    edges = [0, *cuts, len(whole)]
    expected: list[Key] = []
    for _, key in tokens:
        if isinstance(key, Typed) and expected and isinstance(expected[-1], Typed):
            expected[-1] = Typed(expected[-1].text + key.text)
        elif key is not None:
            expected.append(key)

    assert keys_of(*(whole[a:b] for a, b in pairwise(edges))) == expected


_NOISE = st.one_of(st.binary(), st.lists(st.sampled_from(b"\x1b[]O~A;02\x07\\P^\x03a\xe6\x9d")))


@given(st.lists(_NOISE.map(bytes), max_size=10))
def test_no_bytes_make_control_characters_or_are_kept_for_ever(pieces: list[bytes]) -> None:
    """What comes from a broken line is at worst the wrong letters."""
    decoder = KeyDecoder()
    keys = [key for piece in pieces for key in decoder.feed(piece)] + decoder.flush()

    assert not decoder.waiting
    for key in keys:
        if isinstance(key, Typed):
            assert key.text
            assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in key.text)
