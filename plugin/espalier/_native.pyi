"""Stub of the extension module that cffi builds from native/include/espalier.h.

What `lib` holds is declared once, in the header; `espalier.native` is its only user.
"""

from typing import Any

ffi: Any
lib: Any
