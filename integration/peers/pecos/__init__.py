"""PECOS beside Espalier: the same matrices, tree and weights."""
