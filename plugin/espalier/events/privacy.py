"""What becomes of texts and ids before they reach a file.

Ids of sessions and units are always hashed with a secret key, so that a file can be
counted by person and does not say who it was. Texts are kept as the operator allows.
"""

from __future__ import annotations

import enum
import functools
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from espalier.text import normalise

HASH_MARK: Final = "h:"
"""What the hash of a text begins with."""
_DIGEST_BYTES: Final = 16
_HASH_CHARACTERS: Final = 22
# One key, two uses: an id and a text that are equal must not look it.
_FOR_IDS: Final = b"espalier.id"
_FOR_TEXTS: Final = b"espalier.text"
_REMEMBERED: Final = 4_096


class TextPolicy(enum.Enum):
    """What a file keeps of texts that people typed."""

    FULL = "full"  # as they are
    HASH = "hash"  # a keyed hash of the normalised text: equal ones can be told
    NONE = "none"  # nothing


class Privacy:
    """Turns texts and ids into what a file may hold. Safe to use from many threads.

    Args:
        policy: What is kept of texts.
        key: The secret, at least 16 bytes; who has it can find out whether an id or a
            text he guesses is in a file.
    """

    def __init__(self, policy: TextPolicy, key: bytes) -> None:
        self.policy = policy
        secret = blake2b(key, digest_size=32).digest()
        # A person's events come close together, and what is shown is shown often.
        self._id = functools.lru_cache(_REMEMBERED)(_hasher(secret, _FOR_IDS))
        self._hash = functools.lru_cache(_REMEMBERED)(_hasher(secret, _FOR_TEXTS))

    def id(self, text: str) -> str:
        """Return what stands for an id: 22 characters of base64url, "" for ""."""
        return self._id(text) if text else ""

    def text(self, text: str | None) -> str | None:
        """Return what may be kept of a text, ``None`` for nothing."""
        match self.policy:
            case TextPolicy.FULL:
                return text
            case TextPolicy.HASH if text is not None:
                return self.hash(normalise(text))
        return None

    def hash(self, text: str) -> str:
        """Return the mark and the hash of a normalised text."""
        return HASH_MARK + self._hash(text)


def _hasher(key: bytes, person: bytes) -> Callable[[str], str]:
    begun = blake2b(digest_size=_DIGEST_BYTES, key=key, person=person)

    def hash_of(text: str) -> str:
        state = begun.copy()
        state.update(text.encode(errors="replace"))
        return urlsafe_b64encode(state.digest())[:_HASH_CHARACTERS].decode()

    return hash_of
