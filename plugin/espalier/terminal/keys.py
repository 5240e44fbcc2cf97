"""From the bytes a terminal sends to the keys a person pressed.

Bytes come in pieces of any size: a character or an escape sequence may be cut in
two. A lone escape is told from the beginning of a sequence by time alone, so the
caller says when nothing came for a while (:meth:`KeyDecoder.flush`).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class Press(Enum):
    """A key that is no text."""

    BACKSPACE = auto()
    CLEAR = auto()
    CLEAR_WORD = auto()
    UP = auto()
    DOWN = auto()
    TAKE = auto()
    SUBMIT = auto()
    NEW_SESSION = auto()
    CONTEXT = auto()
    EXPLAIN = auto()
    LEAVE = auto()


@dataclass(frozen=True, slots=True)
class Typed:
    """Text that was typed or pasted: no control characters."""

    text: str


Key = Typed | Press

_CONTROLS: Final = {
    "\x03": Press.LEAVE,  # Ctrl-C
    "\x04": Press.LEAVE,  # Ctrl-D
    "\x05": Press.EXPLAIN,  # Ctrl-E
    "\x08": Press.BACKSPACE,
    "\x09": Press.TAKE,
    "\x0a": Press.SUBMIT,
    "\x0d": Press.SUBMIT,
    "\x0e": Press.NEW_SESSION,  # Ctrl-N
    "\x15": Press.CLEAR,  # Ctrl-U
    "\x17": Press.CLEAR_WORD,  # Ctrl-W
    "\x18": Press.CONTEXT,  # Ctrl-X
    "\x7f": Press.BACKSPACE,
}
# The last letter of a sequence, as xterm and all after it send them. Arrows come as
# ESC [ A, or as ESC O A in application mode; ESC O M is Enter of the keypad.
_ARROWS: Final = {"A": Press.UP, "B": Press.DOWN, "C": Press.TAKE, "M": Press.SUBMIT}
_ESCAPE = "\x1b"
_PASTE_BEGINS, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"
# Sequences end with a letter (CSI, SS3), strings from the terminal itself with a bell
# or an escape of their own; with Alt any other character is a sequence.
_STRING = r"[\]P_^X][^\x07\x1b]*"
_SEQUENCE = re.compile(
    rf"\x1b(?:\[[0-?]*[ -/]*([@-~])|O([@-~])|{_STRING}(?:\x07|\x1b\\)|[^\x00-\x1f\[O\]P_^X])"
)
_UNFINISHED = re.compile(rf"\x1b(?:\[[0-?]*[ -/]*|O|{_STRING}\x1b?)?")
_PLAIN = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
_CONTROL_RUN = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
# A string of the terminal that never ends must not grow for ever.
_MAX_UNFINISHED = 4096


class KeyDecoder:
    """Makes keys of bytes, piece by piece."""

    def __init__(self, encoding: str = "utf-8") -> None:
        """Read text in ``encoding``; bytes that are none in it are dropped."""
        self._decode = codecs.getincrementaldecoder(encoding)("ignore").decode
        self._text = ""
        self._pasting = False

    @property
    def waiting(self) -> bool:
        """Whether what comes next decides what was pressed."""
        return bool(self._text)

    def feed(self, data: bytes) -> list[Key]:
        """Return the keys that ``data`` completes."""
        self._text += self._decode(data)
        keys: list[Key] = []
        while self._text:
            taken = self._paste(keys) if self._pasting else self._one(keys)
            if not taken:
                break
            self._text = self._text[taken:]
        if len(self._text) > _MAX_UNFINISHED:
            self._text = ""
        return keys

    def flush(self) -> list[Key]:
        """Return what the rest means now that nothing followed it."""
        rest, self._text = self._text, ""
        if self._pasting:
            return [Typed(text)] if (text := _one_line(rest)) else []
        return [Press.LEAVE] if rest == _ESCAPE else []

    def _one(self, keys: list[Key]) -> int:
        """Take one key, or a run of text, off the front; 0 if it is unfinished."""
        text = self._text
        if match := _PLAIN.match(text):
            keys.append(Typed(match[0]))
            return match.end()
        if text[0] != _ESCAPE:
            if text[0] in _CONTROLS:
                keys.append(_CONTROLS[text[0]])
            return 1
        return self._escape(keys)

    def _escape(self, keys: list[Key]) -> int:
        text = self._text
        if text.startswith(_PASTE_BEGINS):
            self._pasting = True
            return len(_PASTE_BEGINS)
        if match := _SEQUENCE.match(text):
            key = _of_sequence(match)
            keys.extend([key] if key else [])
            return match.end()
        if _UNFINISHED.fullmatch(text):
            return 0
        if text[1] in _CONTROLS or text[1] == _ESCAPE:
            keys.append(Press.LEAVE)
            return 1
        return 2  # a sequence that is none: its beginning is no text either

    def _paste(self, keys: list[Key]) -> int:
        text = self._text
        end = text.find(_PASTE_ENDS)
        if end >= 0:
            self._pasting = False
            taken = end + len(_PASTE_ENDS)
        else:
            # The end of the paste may itself have come only in part.
            end = text.rfind(_ESCAPE, -len(_PASTE_ENDS))
            end = taken = len(text) if end < 0 else end
        if pasted := _one_line(text[:end]):
            keys.append(Typed(pasted))
        return taken


def _of_sequence(match: re.Match[str]) -> Key | None:
    if match[0] == "\x1b\x7f":  # Alt-Backspace
        return Press.CLEAR_WORD
    letter = match[1] or match[2]
    if letter == "M" and match[1]:  # a mouse, where somebody left its reports on
        return None
    return _ARROWS.get(letter)


def _one_line(text: str) -> str:
    return _CONTROL_RUN.sub(" ", text)
