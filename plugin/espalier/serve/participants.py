"""Who asks, as far as experiments go, from a request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from espalier.experiments import Participant
from espalier.serve.domain import check_bytes
from espalier.serve.errors import RequestError
from espalier.v1.core_pb2 import ExperimentContext

MAX_INTENT_BYTES: Final = 128
MAX_ENTRIES: Final = 32
MAX_NAME_BYTES: Final = 64
MAX_VALUE_BYTES: Final = 128


def participant_of(context: ExperimentContext, session_id: str) -> Participant:
    """Return who asks.

    Raises:
        RequestError: Something is longer, or more, than it may be.
    """
    check_bytes(context.unit, MAX_VALUE_BYTES, "experiment.unit", RequestError)
    return Participant(
        context.unit,
        session_id,
        _entries(context.attributes, "attributes"),
        _entries(context.forced_variants, "forced_variants"),
        _entries(context.assigned_variants, "assigned_variants"),
    )


def _entries(entries: Mapping[str, str], field: str) -> Mapping[str, str]:
    if not entries:
        return {}
    if len(entries) > MAX_ENTRIES:
        raise RequestError(
            f"experiment.{field} has more than {MAX_ENTRIES} entries; send fewer",
            field=f"experiment.{field}",
            limit_entries=MAX_ENTRIES,
        )
    found = dict(entries)
    for name, value in found.items():
        check_bytes(name, MAX_NAME_BYTES, f"experiment.{field}", RequestError)
        check_bytes(value, MAX_VALUE_BYTES, f"experiment.{field}", RequestError)
    return found
