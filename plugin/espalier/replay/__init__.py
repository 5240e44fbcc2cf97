"""Held-out sessions typed through a running sidecar, letter by letter.

::

    pairs, log ── sessions ── running ── typist ── calls ── the sidecar
                                  └── report

What it is for: to see what a configuration is worth before people do, to try an
experiment from assignment to verdict, and to fill event files. A simulated person is no
person: she knows what she wants, and nothing tempts her.
"""

from espalier.replay.report import ReplayReport
from espalier.replay.running import replay
from espalier.replay.sessions import Person, Session, people_of_log, people_of_pairs
from espalier.replay.typist import Behaviour, Sidecar

__all__ = [
    "Behaviour",
    "Person",
    "ReplayReport",
    "Session",
    "Sidecar",
    "people_of_log",
    "people_of_pairs",
    "replay",
]
