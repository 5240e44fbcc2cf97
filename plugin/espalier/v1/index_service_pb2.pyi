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

class IndexState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INDEX_STATE_UNSPECIFIED: _ClassVar[IndexState]
    INDEX_STATE_ACTIVE: _ClassVar[IndexState]
    INDEX_STATE_PREVIOUS: _ClassVar[IndexState]
    INDEX_STATE_LOADED: _ClassVar[IndexState]
INDEX_STATE_UNSPECIFIED: IndexState
INDEX_STATE_ACTIVE: IndexState
INDEX_STATE_PREVIOUS: IndexState
INDEX_STATE_LOADED: IndexState

class IndexRevision(_message.Message):
    __slots__ = ("index", "revision", "state", "path", "labels", "bytes", "load_time")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    LOAD_TIME_FIELD_NUMBER: _ClassVar[int]
    index: str
    revision: str
    state: IndexState
    path: str
    labels: int
    bytes: int
    load_time: _timestamp_pb2.Timestamp
    def __init__(self, index: _Optional[str] = ..., revision: _Optional[str] = ..., state: _Optional[_Union[IndexState, str]] = ..., path: _Optional[str] = ..., labels: _Optional[int] = ..., bytes: _Optional[int] = ..., load_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class IndexFailure(_message.Message):
    __slots__ = ("index", "path", "reason", "message", "fail_time")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FAIL_TIME_FIELD_NUMBER: _ClassVar[int]
    index: str
    path: str
    reason: str
    message: str
    fail_time: _timestamp_pb2.Timestamp
    def __init__(self, index: _Optional[str] = ..., path: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., fail_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListIndexesRequest(_message.Message):
    __slots__ = ("index",)
    INDEX_FIELD_NUMBER: _ClassVar[int]
    index: str
    def __init__(self, index: _Optional[str] = ...) -> None: ...

class ListIndexesResponse(_message.Message):
    __slots__ = ("header", "revisions", "failures", "workers")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    REVISIONS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    revisions: _containers.RepeatedCompositeFieldContainer[IndexRevision]
    failures: _containers.RepeatedCompositeFieldContainer[IndexFailure]
    workers: int
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., revisions: _Optional[_Iterable[_Union[IndexRevision, _Mapping]]] = ..., failures: _Optional[_Iterable[_Union[IndexFailure, _Mapping]]] = ..., workers: _Optional[int] = ...) -> None: ...

class LoadIndexRequest(_message.Message):
    __slots__ = ("index", "path", "activate")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    ACTIVATE_FIELD_NUMBER: _ClassVar[int]
    index: str
    path: str
    activate: bool
    def __init__(self, index: _Optional[str] = ..., path: _Optional[str] = ..., activate: _Optional[bool] = ...) -> None: ...

class LoadIndexResponse(_message.Message):
    __slots__ = ("header", "loaded")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    LOADED_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    loaded: IndexRevision
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., loaded: _Optional[_Union[IndexRevision, _Mapping]] = ...) -> None: ...

class ActivateIndexRequest(_message.Message):
    __slots__ = ("index", "revision")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    index: str
    revision: str
    def __init__(self, index: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class ActivateIndexResponse(_message.Message):
    __slots__ = ("header",)
    HEADER_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ...) -> None: ...

class RollbackIndexRequest(_message.Message):
    __slots__ = ("index", "from_revision")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    index: str
    from_revision: str
    def __init__(self, index: _Optional[str] = ..., from_revision: _Optional[str] = ...) -> None: ...

class RollbackIndexResponse(_message.Message):
    __slots__ = ("header",)
    HEADER_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ...) -> None: ...

class UnloadIndexRequest(_message.Message):
    __slots__ = ("index", "revision")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    index: str
    revision: str
    def __init__(self, index: _Optional[str] = ..., revision: _Optional[str] = ...) -> None: ...

class UnloadIndexResponse(_message.Message):
    __slots__ = ("header",)
    HEADER_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ...) -> None: ...

class OverlayState(_message.Message):
    __slots__ = ("rules", "persisted", "workers")
    RULES_FIELD_NUMBER: _ClassVar[int]
    PERSISTED_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    rules: int
    persisted: bool
    workers: int
    def __init__(self, rules: _Optional[int] = ..., persisted: _Optional[bool] = ..., workers: _Optional[int] = ...) -> None: ...

class Block(_message.Message):
    __slots__ = ("query", "word", "pattern")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    WORD_FIELD_NUMBER: _ClassVar[int]
    PATTERN_FIELD_NUMBER: _ClassVar[int]
    query: str
    word: str
    pattern: str
    def __init__(self, query: _Optional[str] = ..., word: _Optional[str] = ..., pattern: _Optional[str] = ...) -> None: ...

class Pin(_message.Message):
    __slots__ = ("query", "position", "min_prefix", "display_text")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    MIN_PREFIX_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_TEXT_FIELD_NUMBER: _ClassVar[int]
    query: str
    position: int
    min_prefix: int
    display_text: str
    def __init__(self, query: _Optional[str] = ..., position: _Optional[int] = ..., min_prefix: _Optional[int] = ..., display_text: _Optional[str] = ...) -> None: ...

class Boost(_message.Message):
    __slots__ = ("query", "word", "by")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    WORD_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    query: str
    word: str
    by: float
    def __init__(self, query: _Optional[str] = ..., word: _Optional[str] = ..., by: _Optional[float] = ...) -> None: ...

class BlockQueriesRequest(_message.Message):
    __slots__ = ("index", "blocks")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    index: str
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    def __init__(self, index: _Optional[str] = ..., blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ...) -> None: ...

class BlockQueriesResponse(_message.Message):
    __slots__ = ("header", "overlay")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    overlay: OverlayState
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., overlay: _Optional[_Union[OverlayState, _Mapping]] = ...) -> None: ...

class UnblockQueriesRequest(_message.Message):
    __slots__ = ("index", "blocks")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    index: str
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    def __init__(self, index: _Optional[str] = ..., blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ...) -> None: ...

class UnblockQueriesResponse(_message.Message):
    __slots__ = ("header", "overlay")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    overlay: OverlayState
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., overlay: _Optional[_Union[OverlayState, _Mapping]] = ...) -> None: ...

class ListBlockedQueriesRequest(_message.Message):
    __slots__ = ("index", "page_size", "page_token")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    index: str
    page_size: int
    page_token: str
    def __init__(self, index: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBlockedQueriesResponse(_message.Message):
    __slots__ = ("header", "blocks", "next_page_token")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    next_page_token: str
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PinQueriesRequest(_message.Message):
    __slots__ = ("index", "pins")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PINS_FIELD_NUMBER: _ClassVar[int]
    index: str
    pins: _containers.RepeatedCompositeFieldContainer[Pin]
    def __init__(self, index: _Optional[str] = ..., pins: _Optional[_Iterable[_Union[Pin, _Mapping]]] = ...) -> None: ...

class PinQueriesResponse(_message.Message):
    __slots__ = ("header", "overlay")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    overlay: OverlayState
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., overlay: _Optional[_Union[OverlayState, _Mapping]] = ...) -> None: ...

class UnpinQueriesRequest(_message.Message):
    __slots__ = ("index", "queries")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    QUERIES_FIELD_NUMBER: _ClassVar[int]
    index: str
    queries: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, index: _Optional[str] = ..., queries: _Optional[_Iterable[str]] = ...) -> None: ...

class UnpinQueriesResponse(_message.Message):
    __slots__ = ("header", "overlay")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    overlay: OverlayState
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., overlay: _Optional[_Union[OverlayState, _Mapping]] = ...) -> None: ...

class ListPinnedQueriesRequest(_message.Message):
    __slots__ = ("index", "page_size", "page_token")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    index: str
    page_size: int
    page_token: str
    def __init__(self, index: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPinnedQueriesResponse(_message.Message):
    __slots__ = ("header", "pins", "next_page_token")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PINS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    pins: _containers.RepeatedCompositeFieldContainer[Pin]
    next_page_token: str
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., pins: _Optional[_Iterable[_Union[Pin, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class BoostQueriesRequest(_message.Message):
    __slots__ = ("index", "boosts")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    BOOSTS_FIELD_NUMBER: _ClassVar[int]
    index: str
    boosts: _containers.RepeatedCompositeFieldContainer[Boost]
    def __init__(self, index: _Optional[str] = ..., boosts: _Optional[_Iterable[_Union[Boost, _Mapping]]] = ...) -> None: ...

class BoostQueriesResponse(_message.Message):
    __slots__ = ("header", "overlay")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    overlay: OverlayState
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., overlay: _Optional[_Union[OverlayState, _Mapping]] = ...) -> None: ...

class UnboostQueriesRequest(_message.Message):
    __slots__ = ("index", "boosts")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    BOOSTS_FIELD_NUMBER: _ClassVar[int]
    index: str
    boosts: _containers.RepeatedCompositeFieldContainer[Boost]
    def __init__(self, index: _Optional[str] = ..., boosts: _Optional[_Iterable[_Union[Boost, _Mapping]]] = ...) -> None: ...

class UnboostQueriesResponse(_message.Message):
    __slots__ = ("header", "overlay")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    overlay: OverlayState
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., overlay: _Optional[_Union[OverlayState, _Mapping]] = ...) -> None: ...

class ListBoostedQueriesRequest(_message.Message):
    __slots__ = ("index", "page_size", "page_token")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    index: str
    page_size: int
    page_token: str
    def __init__(self, index: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBoostedQueriesResponse(_message.Message):
    __slots__ = ("header", "boosts", "next_page_token")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    BOOSTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    boosts: _containers.RepeatedCompositeFieldContainer[Boost]
    next_page_token: str
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., boosts: _Optional[_Iterable[_Union[Boost, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
