"""Trying an index by hand: a screen that answers every key, or plain lines for scripts.

It runs on the standard library alone. ``prompt_toolkit`` and ``textual`` were weighed:
each would be a dependency of every installation, or an extra that stands between a
new user and the first look, for one text field and one list, which take a page each.

The parts, in import order: ``answers`` asks the index; ``keys`` makes keys of bytes;
``state`` says what a key does and ``drawing`` (with ``columns`` and ``cells``) what is
then to be seen, both without a terminal; ``painting`` makes escape codes of it;
``screen`` drives a real terminal; ``lines`` answers lines of standard input instead.
"""

from espalier.terminal.answers import Answer, Asks, IndexAsker, Question, Row
from espalier.terminal.drawing import About
from espalier.terminal.lines import answer_lines
from espalier.terminal.screen import converse, is_screen
from espalier.terminal.state import State, begin

__all__ = [
    "About",
    "Answer",
    "Asks",
    "IndexAsker",
    "Question",
    "Row",
    "State",
    "answer_lines",
    "begin",
    "converse",
    "is_screen",
]
