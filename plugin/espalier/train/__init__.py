"""Training: a query log becomes an index.

``train_index`` does all of it. The three stages that can be replaced are the
protocols ``Indexer``, ``Matcher`` and ``Ranker``; ``stages`` says how a package
provides its own.
"""

from espalier.train.index import Indexer, IndexerInput
from espalier.train.match import Matcher
from espalier.train.pipeline import read_split, train_index, train_on, train_split
from espalier.train.rank import NodeTask, Ranker, RankInput
from espalier.train.report import TrainReport
from espalier.train.tree import Tree, TreeBuilder

__all__ = [
    "Indexer",
    "IndexerInput",
    "Matcher",
    "NodeTask",
    "RankInput",
    "Ranker",
    "TrainReport",
    "Tree",
    "TreeBuilder",
    "read_split",
    "train_index",
    "train_on",
    "train_split",
]
