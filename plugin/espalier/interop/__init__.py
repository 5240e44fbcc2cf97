"""Models of other systems become index files.

``import_pecos`` reads what PECOS trained. An imported index ranks labels by number
for features the caller brings; it has no texts, so it predicts and does not complete.
"""

from espalier.interop.pecos import ImportReport, import_pecos

__all__ = ["ImportReport", "import_pecos"]
