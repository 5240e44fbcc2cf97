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

class EventAction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_ACTION_UNSPECIFIED: _ClassVar[EventAction]
    EVENT_ACTION_IMPRESSION: _ClassVar[EventAction]
    EVENT_ACTION_ACCEPTANCE: _ClassVar[EventAction]
    EVENT_ACTION_SUBMISSION: _ClassVar[EventAction]
    EVENT_ACTION_ABANDONMENT: _ClassVar[EventAction]
EVENT_ACTION_UNSPECIFIED: EventAction
EVENT_ACTION_IMPRESSION: EventAction
EVENT_ACTION_ACCEPTANCE: EventAction
EVENT_ACTION_SUBMISSION: EventAction
EVENT_ACTION_ABANDONMENT: EventAction

class CompleteRequest(_message.Message):
    __slots__ = ("prefix", "previous_queries", "session_id", "max_suggestions", "index", "sequence", "allowed_sources", "previous_query_ages", "filter", "explain", "keep_variants", "experiment", "intent_id")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_QUERIES_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_SUGGESTIONS_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_SOURCES_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_QUERY_AGES_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    EXPLAIN_FIELD_NUMBER: _ClassVar[int]
    KEEP_VARIANTS_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    previous_queries: _containers.RepeatedScalarFieldContainer[str]
    session_id: str
    max_suggestions: int
    index: str
    sequence: int
    allowed_sources: _containers.RepeatedScalarFieldContainer[_core_pb2.SuggestionSource]
    previous_query_ages: _containers.RepeatedScalarFieldContainer[int]
    filter: AttributeFilter
    explain: bool
    keep_variants: bool
    experiment: _core_pb2.ExperimentContext
    intent_id: str
    def __init__(self, prefix: _Optional[str] = ..., previous_queries: _Optional[_Iterable[str]] = ..., session_id: _Optional[str] = ..., max_suggestions: _Optional[int] = ..., index: _Optional[str] = ..., sequence: _Optional[int] = ..., allowed_sources: _Optional[_Iterable[_Union[_core_pb2.SuggestionSource, str]]] = ..., previous_query_ages: _Optional[_Iterable[int]] = ..., filter: _Optional[_Union[AttributeFilter, _Mapping]] = ..., explain: _Optional[bool] = ..., keep_variants: _Optional[bool] = ..., experiment: _Optional[_Union[_core_pb2.ExperimentContext, _Mapping]] = ..., intent_id: _Optional[str] = ...) -> None: ...

class AttributeFilter(_message.Message):
    __slots__ = ("all_of", "any_of", "none_of", "include_generated")
    ALL_OF_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    NONE_OF_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_GENERATED_FIELD_NUMBER: _ClassVar[int]
    all_of: _containers.RepeatedScalarFieldContainer[str]
    any_of: _containers.RepeatedScalarFieldContainer[str]
    none_of: _containers.RepeatedScalarFieldContainer[str]
    include_generated: bool
    def __init__(self, all_of: _Optional[_Iterable[str]] = ..., any_of: _Optional[_Iterable[str]] = ..., none_of: _Optional[_Iterable[str]] = ..., include_generated: _Optional[bool] = ...) -> None: ...

class CompleteResponse(_message.Message):
    __slots__ = ("header", "suggestions", "prefix", "sequence", "suggestion_set_id", "session_state", "degradations")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SUGGESTIONS_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SUGGESTION_SET_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_STATE_FIELD_NUMBER: _ClassVar[int]
    DEGRADATIONS_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    suggestions: _containers.RepeatedCompositeFieldContainer[_core_pb2.Suggestion]
    prefix: str
    sequence: int
    suggestion_set_id: str
    session_state: _core_pb2.SessionState
    degradations: _containers.RepeatedScalarFieldContainer[_core_pb2.Degradation]
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., suggestions: _Optional[_Iterable[_Union[_core_pb2.Suggestion, _Mapping]]] = ..., prefix: _Optional[str] = ..., sequence: _Optional[int] = ..., suggestion_set_id: _Optional[str] = ..., session_state: _Optional[_Union[_core_pb2.SessionState, str]] = ..., degradations: _Optional[_Iterable[_Union[_core_pb2.Degradation, str]]] = ...) -> None: ...

class RecordQueryRequest(_message.Message):
    __slots__ = ("session_id", "query", "accepted", "event_id", "unit", "intent_id", "suggestion_set_id", "prefix_length")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    SUGGESTION_SET_ID_FIELD_NUMBER: _ClassVar[int]
    PREFIX_LENGTH_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    query: str
    accepted: AcceptedSuggestion
    event_id: str
    unit: str
    intent_id: str
    suggestion_set_id: str
    prefix_length: int
    def __init__(self, session_id: _Optional[str] = ..., query: _Optional[str] = ..., accepted: _Optional[_Union[AcceptedSuggestion, _Mapping]] = ..., event_id: _Optional[str] = ..., unit: _Optional[str] = ..., intent_id: _Optional[str] = ..., suggestion_set_id: _Optional[str] = ..., prefix_length: _Optional[int] = ...) -> None: ...

class AcceptedSuggestion(_message.Message):
    __slots__ = ("suggestion_set_id", "position")
    SUGGESTION_SET_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    suggestion_set_id: str
    position: int
    def __init__(self, suggestion_set_id: _Optional[str] = ..., position: _Optional[int] = ...) -> None: ...

class RecordQueryResponse(_message.Message):
    __slots__ = ("header", "session_state")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    SESSION_STATE_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    session_state: _core_pb2.SessionState
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., session_state: _Optional[_Union[_core_pb2.SessionState, str]] = ...) -> None: ...

class UserEvent(_message.Message):
    __slots__ = ("event_id", "action", "suggestion_set_id", "session_id", "unit", "intent_id", "time", "query", "position", "prefix_length", "shown")
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SUGGESTION_SET_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    INTENT_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    PREFIX_LENGTH_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    action: EventAction
    suggestion_set_id: str
    session_id: str
    unit: str
    intent_id: str
    time: _timestamp_pb2.Timestamp
    query: str
    position: int
    prefix_length: int
    shown: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, event_id: _Optional[str] = ..., action: _Optional[_Union[EventAction, str]] = ..., suggestion_set_id: _Optional[str] = ..., session_id: _Optional[str] = ..., unit: _Optional[str] = ..., intent_id: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., query: _Optional[str] = ..., position: _Optional[int] = ..., prefix_length: _Optional[int] = ..., shown: _Optional[_Iterable[str]] = ...) -> None: ...

class RecordEventsRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[UserEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[UserEvent, _Mapping]]] = ...) -> None: ...

class RecordEventsResponse(_message.Message):
    __slots__ = ("header", "recorded", "late", "future", "dropped")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    RECORDED_FIELD_NUMBER: _ClassVar[int]
    LATE_FIELD_NUMBER: _ClassVar[int]
    FUTURE_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    recorded: int
    late: int
    future: int
    dropped: int
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., recorded: _Optional[int] = ..., late: _Optional[int] = ..., future: _Optional[int] = ..., dropped: _Optional[int] = ...) -> None: ...

class DeleteSessionRequest(_message.Message):
    __slots__ = ("session_id",)
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    def __init__(self, session_id: _Optional[str] = ...) -> None: ...

class DeleteSessionResponse(_message.Message):
    __slots__ = ("header",)
    HEADER_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ...) -> None: ...
