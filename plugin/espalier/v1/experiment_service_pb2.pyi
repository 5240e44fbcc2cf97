import datetime

from espalier.v1 import core_pb2 as _core_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AssignmentReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ASSIGNMENT_REASON_UNSPECIFIED: _ClassVar[AssignmentReason]
    ASSIGNMENT_REASON_ASSIGNED: _ClassVar[AssignmentReason]
    ASSIGNMENT_REASON_FORCED: _ClassVar[AssignmentReason]
    ASSIGNMENT_REASON_EXTERNAL: _ClassVar[AssignmentReason]
    ASSIGNMENT_REASON_NO_UNIT: _ClassVar[AssignmentReason]
    ASSIGNMENT_REASON_NOT_ELIGIBLE: _ClassVar[AssignmentReason]
    ASSIGNMENT_REASON_NOT_IN_NAMESPACE: _ClassVar[AssignmentReason]
    ASSIGNMENT_REASON_NOT_COVERED: _ClassVar[AssignmentReason]
    ASSIGNMENT_REASON_UNKNOWN_VARIANT: _ClassVar[AssignmentReason]
    ASSIGNMENT_REASON_INDEX_NOT_SERVED: _ClassVar[AssignmentReason]

class ExperimentState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPERIMENT_STATE_UNSPECIFIED: _ClassVar[ExperimentState]
    EXPERIMENT_STATE_SCHEDULED: _ClassVar[ExperimentState]
    EXPERIMENT_STATE_RUNNING: _ClassVar[ExperimentState]
    EXPERIMENT_STATE_ENDED: _ClassVar[ExperimentState]

class ExperimentMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EXPERIMENT_MODE_UNSPECIFIED: _ClassVar[ExperimentMode]
    EXPERIMENT_MODE_SPLIT: _ClassVar[ExperimentMode]
    EXPERIMENT_MODE_SHADOW: _ClassVar[ExperimentMode]
    EXPERIMENT_MODE_INTERLEAVE: _ClassVar[ExperimentMode]
ASSIGNMENT_REASON_UNSPECIFIED: AssignmentReason
ASSIGNMENT_REASON_ASSIGNED: AssignmentReason
ASSIGNMENT_REASON_FORCED: AssignmentReason
ASSIGNMENT_REASON_EXTERNAL: AssignmentReason
ASSIGNMENT_REASON_NO_UNIT: AssignmentReason
ASSIGNMENT_REASON_NOT_ELIGIBLE: AssignmentReason
ASSIGNMENT_REASON_NOT_IN_NAMESPACE: AssignmentReason
ASSIGNMENT_REASON_NOT_COVERED: AssignmentReason
ASSIGNMENT_REASON_UNKNOWN_VARIANT: AssignmentReason
ASSIGNMENT_REASON_INDEX_NOT_SERVED: AssignmentReason
EXPERIMENT_STATE_UNSPECIFIED: ExperimentState
EXPERIMENT_STATE_SCHEDULED: ExperimentState
EXPERIMENT_STATE_RUNNING: ExperimentState
EXPERIMENT_STATE_ENDED: ExperimentState
EXPERIMENT_MODE_UNSPECIFIED: ExperimentMode
EXPERIMENT_MODE_SPLIT: ExperimentMode
EXPERIMENT_MODE_SHADOW: ExperimentMode
EXPERIMENT_MODE_INTERLEAVE: ExperimentMode

class AssignRequest(_message.Message):
    __slots__ = ("experiment", "session_id")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    experiment: _core_pb2.ExperimentContext
    session_id: str
    def __init__(self, experiment: _Optional[_Union[_core_pb2.ExperimentContext, _Mapping]] = ..., session_id: _Optional[str] = ...) -> None: ...

class AssignResponse(_message.Message):
    __slots__ = ("header", "assignments")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ASSIGNMENTS_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    assignments: _containers.RepeatedCompositeFieldContainer[Assignment]
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., assignments: _Optional[_Iterable[_Union[Assignment, _Mapping]]] = ...) -> None: ...

class Assignment(_message.Message):
    __slots__ = ("experiment", "variant", "reason")
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    experiment: str
    variant: str
    reason: AssignmentReason
    def __init__(self, experiment: _Optional[str] = ..., variant: _Optional[str] = ..., reason: _Optional[_Union[AssignmentReason, str]] = ...) -> None: ...

class ListExperimentsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListExperimentsResponse(_message.Message):
    __slots__ = ("header", "experiments")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    experiments: _containers.RepeatedCompositeFieldContainer[Experiment]
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., experiments: _Optional[_Iterable[_Union[Experiment, _Mapping]]] = ...) -> None: ...

class Experiment(_message.Message):
    __slots__ = ("name", "state", "mode", "namespace", "coverage", "start", "end", "variants")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    state: ExperimentState
    mode: ExperimentMode
    namespace: str
    coverage: int
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    variants: _containers.RepeatedCompositeFieldContainer[Variant]
    def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[ExperimentState, str]] = ..., mode: _Optional[_Union[ExperimentMode, str]] = ..., namespace: _Optional[str] = ..., coverage: _Optional[int] = ..., start: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., variants: _Optional[_Iterable[_Union[Variant, _Mapping]]] = ...) -> None: ...

class Variant(_message.Message):
    __slots__ = ("name", "weight", "parameters", "index_served")
    class ParametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_FIELD_NUMBER: _ClassVar[int]
    INDEX_SERVED_FIELD_NUMBER: _ClassVar[int]
    name: str
    weight: int
    parameters: _containers.ScalarMap[str, str]
    index_served: bool
    def __init__(self, name: _Optional[str] = ..., weight: _Optional[int] = ..., parameters: _Optional[_Mapping[str, str]] = ..., index_served: _Optional[bool] = ...) -> None: ...
