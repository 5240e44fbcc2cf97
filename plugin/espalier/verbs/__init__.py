"""The verbs of the command line, each a thin call into the package.

Imports of the package proper stand inside the verbs, so that ``--help`` and shell
completion answer at once.
"""
