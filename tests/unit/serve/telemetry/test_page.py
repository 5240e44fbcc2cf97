"""Pages: numbers that another process reads, and a successor goes on with."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from espalier.serve.telemetry.page import Key, Page, hold_page

KEYS = st.lists(st.text(max_size=12).filter(lambda text: "\x1f" not in text), min_size=1).map(tuple)


@given(
    st.dictionaries(KEYS, st.lists(st.integers(0, 2**64 - 1), max_size=20), max_size=20),
    st.integers(0, 20),
)
def test_a_page_has_what_was_put_there_whoever_reads_it(
    wanted: dict[Key, list[int]], reopened_after: int
) -> None:
    """Keys of any text and numbers of any size, in a page opened anew in between."""
    memory = bytearray(256 * 1024)
    page = Page(memory)
    for number, (key, values) in enumerate(wanted.items()):
        if number == reopened_after:
            page = Page(memory)
        first = page.add(key, len(values))
        for offset, value in enumerate(values):
            page.words[first + offset] = value

    assert Page(memory).read() == wanted
    assert page.lost == 0


@given(st.binary(min_size=8, max_size=512), st.integers(0, 60))
def test_a_damaged_page_is_read_without_a_fault(damage: bytes, word: int) -> None:
    """A worker that wrote where it should not costs numbers, not the supervisor."""
    memory = bytearray(2048)
    page = Page(memory)
    page.words[page.add(("calls", "a", "OK"), 1)] = 7
    memory[word * 8 : word * 8 + len(damage)] = damage
    del memory[2048:]

    assert len(Page(memory).read()) <= 2048 // 8


def test_what_there_is_no_room_for_is_counted_and_goes_nowhere() -> None:
    """The series before it stay what they are."""
    page = Page(bytearray(1024))
    first = page.add(("calls", "a", "OK"), 1)
    page.words[first] = 5
    places = [page.add(("calls", f"method-{number}", "OK"), 1) for number in range(100)]
    page.words[places[-1]] += 1

    assert page.lost > 0
    assert page.read()["calls", "a", "OK"] == [5]
    assert len(page.read()) == 101 - page.lost


def test_an_entry_that_was_not_finished_is_not_there() -> None:
    """Who is killed while adding one leaves nothing that a successor would go on with."""
    memory = bytearray(1024)
    page = Page(memory)
    page.words[page.add(("calls", "a", "OK"), 1)] = 5
    before = page.words[1]
    page.words[page.add(("calls", "b", "OK"), 1)] = 9
    page.words[1] = before
    successor = Page(memory)

    assert successor.read() == {("calls", "a", "OK"): [5]}
    assert successor.words[successor.add(("calls", "c", "OK"), 1)] == 0


def test_another_process_goes_on_where_the_first_ended() -> None:
    """The page is a file in memory that outlives whoever writes it."""
    held = hold_page("test")
    script = (
        "import sys; from pathlib import Path;"
        "from espalier.serve.counters import Counters;"
        "from espalier.serve.telemetry.page import Page;"
        "Counters(Page.at(Path(sys.argv[1]))).add('degraded', 'popular_only')"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", script, str(held.path)], check=True)
    found = Page.at(held.path).read()
    held.close()

    assert found == {("degraded", "popular_only"): [2]}
