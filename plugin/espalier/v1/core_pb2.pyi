import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SuggestionSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SUGGESTION_SOURCE_UNSPECIFIED: _ClassVar[SuggestionSource]
    SUGGESTION_SOURCE_MODEL: _ClassVar[SuggestionSource]
    SUGGESTION_SOURCE_POPULAR: _ClassVar[SuggestionSource]
    SUGGESTION_SOURCE_TAIL: _ClassVar[SuggestionSource]
    SUGGESTION_SOURCE_CORRECTED: _ClassVar[SuggestionSource]

class SessionState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SESSION_STATE_UNSPECIFIED: _ClassVar[SessionState]
    SESSION_STATE_NONE: _ClassVar[SessionState]
    SESSION_STATE_FOUND: _ClassVar[SessionState]
    SESSION_STATE_NEW: _ClassVar[SessionState]
    SESSION_STATE_UNAVAILABLE: _ClassVar[SessionState]

class Degradation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DEGRADATION_UNSPECIFIED: _ClassVar[Degradation]
    DEGRADATION_WITHOUT_SESSION: _ClassVar[Degradation]
    DEGRADATION_POPULAR_ONLY: _ClassVar[Degradation]
SUGGESTION_SOURCE_UNSPECIFIED: SuggestionSource
SUGGESTION_SOURCE_MODEL: SuggestionSource
SUGGESTION_SOURCE_POPULAR: SuggestionSource
SUGGESTION_SOURCE_TAIL: SuggestionSource
SUGGESTION_SOURCE_CORRECTED: SuggestionSource
SESSION_STATE_UNSPECIFIED: SessionState
SESSION_STATE_NONE: SessionState
SESSION_STATE_FOUND: SessionState
SESSION_STATE_NEW: SessionState
SESSION_STATE_UNAVAILABLE: SessionState
DEGRADATION_UNSPECIFIED: Degradation
DEGRADATION_WITHOUT_SESSION: Degradation
DEGRADATION_POPULAR_ONLY: Degradation

class ResponseHeader(_message.Message):
    __slots__ = ("index", "index_revision", "server_time", "variants")
    class VariantsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INDEX_FIELD_NUMBER: _ClassVar[int]
    INDEX_REVISION_FIELD_NUMBER: _ClassVar[int]
    SERVER_TIME_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    index: str
    index_revision: str
    server_time: _timestamp_pb2.Timestamp
    variants: _containers.ScalarMap[str, str]
    def __init__(self, index: _Optional[str] = ..., index_revision: _Optional[str] = ..., server_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., variants: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ExperimentContext(_message.Message):
    __slots__ = ("unit", "attributes", "forced_variants", "assigned_variants")
    class AttributesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class ForcedVariantsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AssignedVariantsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    UNIT_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    FORCED_VARIANTS_FIELD_NUMBER: _ClassVar[int]
    ASSIGNED_VARIANTS_FIELD_NUMBER: _ClassVar[int]
    unit: str
    attributes: _containers.ScalarMap[str, str]
    forced_variants: _containers.ScalarMap[str, str]
    assigned_variants: _containers.ScalarMap[str, str]
    def __init__(self, unit: _Optional[str] = ..., attributes: _Optional[_Mapping[str, str]] = ..., forced_variants: _Optional[_Mapping[str, str]] = ..., assigned_variants: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Suggestion(_message.Message):
    __slots__ = ("text", "display_text", "score", "source", "matched_code_points", "matched_utf16_units", "contributions")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_TEXT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MATCHED_CODE_POINTS_FIELD_NUMBER: _ClassVar[int]
    MATCHED_UTF16_UNITS_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    text: str
    display_text: str
    score: float
    source: SuggestionSource
    matched_code_points: int
    matched_utf16_units: int
    contributions: _containers.RepeatedCompositeFieldContainer[Contribution]
    def __init__(self, text: _Optional[str] = ..., display_text: _Optional[str] = ..., score: _Optional[float] = ..., source: _Optional[_Union[SuggestionSource, str]] = ..., matched_code_points: _Optional[int] = ..., matched_utf16_units: _Optional[int] = ..., contributions: _Optional[_Iterable[_Union[Contribution, _Mapping]]] = ...) -> None: ...

class Contribution(_message.Message):
    __slots__ = ("feature", "value", "contribution")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTION_FIELD_NUMBER: _ClassVar[int]
    feature: str
    value: float
    contribution: float
    def __init__(self, feature: _Optional[str] = ..., value: _Optional[float] = ..., contribution: _Optional[float] = ...) -> None: ...
