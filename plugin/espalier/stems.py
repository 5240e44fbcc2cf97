"""Words of a text as retrieval compares them: stems, by a Snowball stemmer.

Titles and queries go through the same :class:`Stemmer`; an index remembers its name.
``none`` leaves words as they are and needs nothing installed.
"""

from __future__ import annotations

import re
from typing import Any, Final

from espalier.errors import ConfigError

NONE: Final = "none"
"""Name of the stemmer that changes nothing."""
_WORD: Final = re.compile(r"[^\W_]+")


class Stemmer:
    """Stems the words of normalised text. Not shared between threads.

    Attributes:
        name: A language of Snowball (``english``), or ``none``.
    """

    __slots__ = ("_stem", "name")

    def __init__(self, name: str) -> None:
        """Load the stemmer called ``name``.

        Raises:
            ConfigError: It does not exist, or PyStemmer is not installed.
        """
        self.name = name
        self._stem: Any = None if name == NONE else _snowball(name)

    def words(self, text: str) -> list[str]:
        """Return the stems of the words of normalised ``text``, in order.

        A word is a run of letters and digits.
        """
        found = _WORD.findall(text)
        return found if self._stem is None else self._stem.stemWords(found)


def _snowball(name: str) -> Any:
    try:
        import Stemmer as snowball  # noqa: PLC0415, N813 - optional: only who stems needs it
    except ImportError:
        raise ConfigError(
            f"the stemmer {name!r} needs PyStemmer: install the extra `retrieval`, "
            "or train with stemmer=none"
        ) from None
    try:
        return snowball.Stemmer(name)
    except KeyError:
        raise ConfigError(
            f"no stemmer is called {name!r}; there are none, {', '.join(snowball.algorithms())}"
        ) from None
