"""ExperimentService: who is in which variant."""

from __future__ import annotations

import datetime as dt
import json
import math
import time
from collections.abc import Callable, Mapping

from espalier.experiments import INTERLEAVED, Assignment, Experiment, Mode, Reason, State
from espalier.serve.domain import Completer, check_session_id
from espalier.serve.log import EventLog
from espalier.serve.participants import participant_of
from espalier.serve.plans import Planner
from espalier.serve.rpc import Unary
from espalier.serve.service import CompletionService, put_header
from espalier.serve.wire import Typed, methods_of
from espalier.v1 import experiment_service_pb2 as messages
from espalier.v1.experiment_service_pb2 import (
    AssignmentReason,
    AssignRequest,
    AssignResponse,
    ExperimentMode,
    ExperimentState,
    ListExperimentsRequest,
    ListExperimentsResponse,
)

SERVICE_NAME = messages.DESCRIPTOR.services_by_name["ExperimentService"].full_name

_REASON_TO_WIRE = {
    Reason.ASSIGNED: AssignmentReason.ASSIGNMENT_REASON_ASSIGNED,
    Reason.FORCED: AssignmentReason.ASSIGNMENT_REASON_FORCED,
    Reason.EXTERNAL: AssignmentReason.ASSIGNMENT_REASON_EXTERNAL,
    Reason.NO_UNIT: AssignmentReason.ASSIGNMENT_REASON_NO_UNIT,
    Reason.NOT_ELIGIBLE: AssignmentReason.ASSIGNMENT_REASON_NOT_ELIGIBLE,
    Reason.NOT_IN_NAMESPACE: AssignmentReason.ASSIGNMENT_REASON_NOT_IN_NAMESPACE,
    Reason.NOT_COVERED: AssignmentReason.ASSIGNMENT_REASON_NOT_COVERED,
    Reason.UNKNOWN_VARIANT: AssignmentReason.ASSIGNMENT_REASON_UNKNOWN_VARIANT,
    Reason.INDEX_NOT_SERVED: AssignmentReason.ASSIGNMENT_REASON_INDEX_NOT_SERVED,
}
_STATE_TO_WIRE = {
    State.SCHEDULED: ExperimentState.EXPERIMENT_STATE_SCHEDULED,
    State.RUNNING: ExperimentState.EXPERIMENT_STATE_RUNNING,
    State.ENDED: ExperimentState.EXPERIMENT_STATE_ENDED,
}
_MODE_TO_WIRE = {
    Mode.SPLIT: ExperimentMode.EXPERIMENT_MODE_SPLIT,
    Mode.SHADOW: ExperimentMode.EXPERIMENT_MODE_SHADOW,
    Mode.INTERLEAVE: ExperimentMode.EXPERIMENT_MODE_INTERLEAVE,
}


class ExperimentService:
    """The methods of ``espalier.v1.ExperimentService``.

    Args:
        completer: Names the index that headers are of.
        service: What the experiments are applied by.
        clock: Unix time in nanoseconds, for reply headers.
    """

    def __init__(
        self,
        completer: Completer,
        service: CompletionService,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._completer = completer
        self._service = service
        self._clock = clock

    def methods(self, log: EventLog) -> Mapping[str, Unary]:
        """Return the methods by full name, as a server takes them."""
        return methods_of(
            SERVICE_NAME,
            [
                Typed("Assign", AssignRequest, self.assign),
                Typed("ListExperiments", ListExperimentsRequest, self.list_experiments),
            ],
            log,
        )

    def assign(self, request: AssignRequest, _time_left: float = math.inf) -> AssignResponse:
        """Return the variants that hold for somebody."""
        check_session_id(request.session_id)
        who = participant_of(request.experiment, request.session_id)
        trials = self._service.trials
        reply = AssignResponse()
        put_header(reply.header, self._completer.indexes.default, self._clock())
        for made in [] if trials is None else trials.planner.assignments(who):
            variant = _variant_of(made)
            reply.assignments.add(
                experiment=made.experiment.name,
                variant=variant,
                reason=_REASON_TO_WIRE[made.reason],
            )
            if variant and not _beside(made):
                reply.header.variants[made.experiment.name] = variant
        return reply

    def list_experiments(
        self, _request: ListExperimentsRequest, _time_left: float = math.inf
    ) -> ListExperimentsResponse:
        """Return every experiment."""
        trials = self._service.trials
        reply = ListExperimentsResponse()
        put_header(reply.header, self._completer.indexes.default, self._clock())
        if trials is not None:
            for experiment, state in trials.planner.states():
                _put(reply.experiments.add(), experiment, state, trials.planner)
        return reply


def _put(
    shown: messages.Experiment, experiment: Experiment, state: State, planner: Planner
) -> None:
    shown.name = experiment.name
    shown.state = _STATE_TO_WIRE[state]
    shown.mode = _MODE_TO_WIRE[experiment.mode]
    shown.namespace = experiment.namespace
    shown.coverage = experiment.coverage
    for moment, place in ((experiment.start, shown.start), (experiment.end, shown.end)):
        if moment is not None:
            place.FromDatetime(moment.astimezone(dt.UTC))
    for variant in experiment.variants:
        shown.variants.add(
            name=variant.name,
            weight=variant.weight,
            parameters={
                name: value if isinstance(value, str) else json.dumps(value)
                for name, value in variant.parameters.given().items()
            },
            index_served=planner.served(variant),
        )


def _beside(made: Assignment) -> bool:
    """Return whether all that comes of it is computed beside the answer."""
    return made.experiment.mode is Mode.SHADOW and made.reason is not Reason.FORCED


def _variant_of(made: Assignment) -> str:
    if made.variant is None:
        return ""
    if made.experiment.mode is Mode.INTERLEAVE and made.reason is not Reason.FORCED:
        return INTERLEAVED
    return made.variant.name
