"""Which web pages may ask: CORS, and writes from elsewhere.

By default no page of another origin may read a reply. A browser sends simple requests
all the same, and only withholds the answer; so a request that changes something is
refused if a browser says that it comes from another site which is not on the list.
Programs that are no browsers are none of this module's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from espalier.serve.http.replies import Header

ANY: Final = "*"

_VARY: Final = (b"vary", b"origin")
_FOREIGN: Final = {b"cross-site", b"same-site"}
# Chromium keeps it for two hours at most.
_PREFLIGHT_SECONDS: Final = 7_200


class Origins:
    """The origins that are allowed, as ``https://shop.example``; `ANY` for all.

    ``with_tokens`` lets their pages send tokens.
    """

    def __init__(self, allowed: Sequence[str], *, with_tokens: bool = False) -> None:
        self._allowed = frozenset(one.encode() for one in allowed)
        self._any = ANY in allowed
        self._headers = b"content-type, authorization" if with_tokens else b"content-type"

    def headers_for(self, headers: Mapping[bytes, bytes]) -> tuple[Header, ...]:
        """Return what a reply must say for the asking page to read it."""
        if not self._allowed:
            return ()
        if self._any:
            return ((b"access-control-allow-origin", b"*"),)
        origin = headers.get(b"origin", b"")
        if origin in self._allowed:
            return ((b"access-control-allow-origin", origin), _VARY)
        return (_VARY,)

    def preflight(self, headers: Mapping[bytes, bytes], methods: bytes) -> tuple[Header, ...]:
        """Return what a reply to a preflight says besides, of ``methods``."""
        if not self._allows(headers):
            return ()
        return (
            (b"access-control-allow-methods", methods),
            (b"access-control-allow-headers", self._headers),
            (b"access-control-max-age", b"%d" % _PREFLIGHT_SECONDS),
        )

    def may_write(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return whether a request that changes something may do so."""
        return self._allows(headers) or headers.get(b"sec-fetch-site", b"") not in _FOREIGN

    def _allows(self, headers: Mapping[bytes, bytes]) -> bool:
        return self._any or headers.get(b"origin", b"") in self._allowed
