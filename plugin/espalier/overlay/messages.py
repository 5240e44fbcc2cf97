"""Rules as messages of ``espalier.v1.IndexService``, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from espalier.overlay.rules import Block, BlockPattern, BlockWord, Boost, BoostWord, Pin
from espalier.v1 import index_service_pb2 as pb

AnyBlock: TypeAlias = Block | BlockWord | BlockPattern
AnyBoost: TypeAlias = Boost | BoostWord

_BLOCKS: Final[Mapping[str, type[AnyBlock]]] = {
    "query": Block,
    "word": BlockWord,
    "pattern": BlockPattern,
}
_BOOSTS: Final[Mapping[str, type[AnyBoost]]] = {"query": Boost, "word": BoostWord}
_FIELD_OF_BLOCK: Final = {kind: field for field, kind in _BLOCKS.items()}
_FIELD_OF_BOOST: Final = {kind: field for field, kind in _BOOSTS.items()}


def to_block(rule: AnyBlock) -> pb.Block:
    """Return a block as a message."""
    message = pb.Block()
    setattr(message, _FIELD_OF_BLOCK[type(rule)], rule.text)
    return message


def of_block(message: pb.Block) -> AnyBlock | None:
    """Return the block in a message, ``None`` if it blocks nothing."""
    what = message.WhichOneof("what")
    return None if what is None else _BLOCKS[what](getattr(message, what))


def to_boost(rule: AnyBoost) -> pb.Boost:
    """Return a boost as a message."""
    message = pb.Boost(by=rule.by)
    setattr(message, _FIELD_OF_BOOST[type(rule)], rule.text)
    return message


def of_boost(message: pb.Boost) -> AnyBoost | None:
    """Return the boost in a message, ``None`` if it boosts nothing."""
    what = message.WhichOneof("what")
    return None if what is None else _BOOSTS[what](getattr(message, what), message.by)


def to_pin(rule: Pin) -> pb.Pin:
    """Return a pin as a message."""
    return pb.Pin(
        query=rule.text,
        position=rule.position,
        min_prefix=rule.min_prefix,
        display_text=rule.display,
    )


def of_pin(message: pb.Pin) -> Pin:
    """Return the pin in a message."""
    return Pin(
        message.query,
        position=message.position or 1,
        min_prefix=message.min_prefix if message.HasField("min_prefix") else 1,
        display=message.display_text,
    )
