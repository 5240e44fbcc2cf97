"""Puts together what keeps events, as the settings say."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from espalier.errors import ConfigError, StorageError
from espalier.events import Privacy, TextPolicy
from espalier.events.folder import EventFolder, Keeping
from espalier.events.writer import EventWriter, Mode
from espalier.files import new_file
from espalier.serve.counters import Counters
from espalier.serve.log import EventLog
from espalier.serve.reporting import Reporter
from espalier.serve.service import new_set_ids
from espalier.sessions.opening import key_from
from espalier.settings import ServeSettings

FOLDER: Final = "events"
"""Of event files, in the state folder."""
KEY_FILE: Final = "events.key"
"""Of the secret that ids and texts are hashed with, in the state folder."""
_KEY_BYTES: Final = 32


def prepare_events(settings: ServeSettings) -> None:
    """Make the folder and the secret that all workers use, where events are kept.

    Raises:
        ConfigError: The secret cannot be used.
        StorageError: One of them cannot be made.
    """
    if settings.events == "off":
        return
    _folder_of(settings)
    if settings.session_key_file is None:
        path = _state(settings) / KEY_FILE
        if not path.exists():
            _make_secret(path)
    _key_of(settings)


def events_of(settings: ServeSettings, *, counters: Counters, log: EventLog) -> EventWriter | None:
    """Return what keeps the events of this process, not started; ``None`` where they are off.

    Raises:
        ConfigError, StorageError: As `prepare_events`, which was to be called before.
    """
    if settings.events == "off":
        return None
    counters.begin("events")
    return EventWriter(
        _folder_of(settings),
        Privacy(TextPolicy(settings.events_text), _key_of(settings)),
        mode=Mode(settings.events),
        most=settings.events_waiting,
        application=settings.events_application,
        new_id=new_set_ids(),
        counters=counters,
        log=log,
    )


def reporter_of(
    settings: ServeSettings, events: EventWriter | None, *, counters: Counters
) -> Reporter | None:
    """Return what hands events to their writer; ``None`` where there is none."""
    if events is None:
        return None
    return Reporter(
        events,
        late_seconds=settings.events_late_hours * 3_600,
        skew_seconds=settings.events_skew_seconds,
        counters=counters,
    )


def _folder_of(settings: ServeSettings) -> EventFolder:
    path = settings.events_dir
    if path is None:
        path = _state(settings) / FOLDER
    keeping = Keeping(
        file_bytes=settings.events_file_mib << 20,
        file_seconds=settings.events_file_seconds,
        compress=settings.events_compress,
        keep_seconds=settings.events_keep_days * 86_400,
        keep_bytes=settings.events_keep_mib << 20,
    )
    return EventFolder(path, keeping)


def _key_of(settings: ServeSettings) -> bytes:
    return key_from(settings.session_key_file or _state(settings) / KEY_FILE)


def _state(settings: ServeSettings) -> Path:
    if settings.state_dir is None:
        raise ConfigError("serve.events needs a folder; name one in serve.state_dir")
    return settings.state_dir


def _make_secret(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path.parent}: cannot be made ({error.strerror}); name another folder in "
            "serve.state_dir"
        ) from None
    with new_file(path, mode=0o600) as raw:
        raw.write(secrets.token_bytes(_KEY_BYTES))
