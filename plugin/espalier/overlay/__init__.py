"""What an operator decides beside what an index learnt: blocks, pins, boosts.

>>> from espalier.overlay import BlockWord, Overlay, Pin
>>> overlay = Overlay([BlockWord("fake"), Pin("Summer sale", position=1)])
>>> overlay.allows("fake watches")
False
>>> index.complete("su", overlay=overlay)                  # doctest: +SKIP

An overlay never changes; one with other rules is another object, and answers change
with the next query that is given it. It belongs to no index.
"""

from __future__ import annotations

from espalier.overlay.overlay import Overlay
from espalier.overlay.rules import Block, BlockPattern, BlockWord, Boost, BoostWord, Pin, Rule

__all__ = ["Block", "BlockPattern", "BlockWord", "Boost", "BoostWord", "Overlay", "Pin", "Rule"]
