"""Every setting of the commands: its name, type, default and allowed range.

One TOML file holds the tables ``[train]`` (with ``[train.log]``), ``[retrieval]``,
``[serve]`` and ``[experiments]``. A value is looked for in this order, the first one wins:

    a flag of its own    --listen and the like
    --set key=value      keys of the command's own table, ``log.user_column`` for a nested one
    environment          ESPALIER_TRAIN_MIN_USERS=1, ESPALIER_TRAIN_LOG_USER_COLUMN=who;
                         an empty variable counts as not set
    the TOML file        relative paths in it start from the file's folder
    the default          below

A key nobody knows is refused, with the nearest known one named: a misspelled
setting that is silently ignored is found months later. Every value is checked
where it is stored, so settings built in code obey the same ranges.

How a file is checked as a whole, and what holds in the end is shown: ``config``.
"""

from espalier.gather import parse_assignments
from espalier.settings.loading import (
    CLASSES,
    EXPERIMENTS,
    KNOWN,
    TABLES,
    Loaded,
    Settings,
    as_json,
    load,
    load_experiments,
    load_settings,
)
from espalier.settings.retrieving import RetrievalSettings
from espalier.settings.serving import ServeSettings
from espalier.settings.training import POST_PROCESSORS, LogSettings, TrainSettings
from espalier.settings.values import INDEX_NAME

__all__ = [
    "CLASSES",
    "EXPERIMENTS",
    "INDEX_NAME",
    "KNOWN",
    "POST_PROCESSORS",
    "TABLES",
    "Loaded",
    "LogSettings",
    "RetrievalSettings",
    "ServeSettings",
    "Settings",
    "TrainSettings",
    "as_json",
    "load",
    "load_experiments",
    "load_settings",
    "parse_assignments",
]
