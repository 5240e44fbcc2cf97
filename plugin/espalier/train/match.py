"""Matchers decide on which rows a node of the tree is trained.

A node only has to tell its own children apart, and only for inputs that reach
it. Which inputs do is the choice of negatives (PECOS; Yu et al. 2022, section 4):

    tfn       teacher forcing: rows one of whose labels is below the node
    man       matcher aware: rows whose beam, searched with the levels already
              trained, holds the node
    tfn+man   both

Under ``man`` a child that no such row belongs to keeps its own rows, so that no
child is trained without a positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from espalier.settings import TrainSettings

U32 = NDArray[np.uint32]


class Matcher(Protocol):
    """Stage two: chooses the training rows of a node."""

    @property
    def needs_beam(self) -> bool:
        """Whether the levels above must be searched for every row first."""

    def rows(self, below: U32, in_beam: U32, children: list[U32]) -> U32:
        """Return the rows to train a node on, ascending and distinct.

        Args:
            below: Rows with a label below the node, ascending and distinct.
            in_beam: Rows whose beam holds the node, the same; empty where
                ``needs_beam`` is false.
            children: For each child, the rows with a label below it.
        """


@dataclass(frozen=True, slots=True)
class TeacherForcing:
    """Rows with a label below the node."""

    settings: TrainSettings
    needs_beam: bool = False

    def rows(self, below: U32, in_beam: U32, children: list[U32]) -> U32:  # noqa: ARG002 - the port
        """Return ``below``."""
        return below


@dataclass(frozen=True, slots=True)
class MatcherAware:
    """Rows whose beam holds the node."""

    settings: TrainSettings
    needs_beam: bool = True

    def rows(self, below: U32, in_beam: U32, children: list[U32]) -> U32:  # noqa: ARG002 - the port
        """Return ``in_beam``, and all rows of children it has none for."""
        missed = [rows for rows in children if not np.isin(rows, in_beam).any()]
        return np.unique(np.concatenate([in_beam, *missed]))


@dataclass(frozen=True, slots=True)
class TeacherForcingAndMatcherAware:
    """Rows with a label below the node, and rows whose beam holds it."""

    settings: TrainSettings
    needs_beam: bool = True

    def rows(self, below: U32, in_beam: U32, children: list[U32]) -> U32:  # noqa: ARG002 - the port
        """Return the union."""
        return np.union1d(below, in_beam)


MATCHERS: Final[dict[str, Callable[[TrainSettings], Matcher]]] = {
    "tfn": TeacherForcing,
    "man": MatcherAware,
    "tfn+man": TeacherForcingAndMatcherAware,
}
