from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
    ERROR_REASON_MALFORMED_REQUEST: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_TEXT: _ClassVar[ErrorReason]
    ERROR_REASON_INVALID_REQUEST: _ClassVar[ErrorReason]
    ERROR_REASON_LIMIT_EXCEEDED: _ClassVar[ErrorReason]
    ERROR_REASON_PREFIX_TOO_LONG: _ClassVar[ErrorReason]
    ERROR_REASON_SESSION_ID_TOO_LONG: _ClassVar[ErrorReason]
    ERROR_REASON_NO_SESSION: _ClassVar[ErrorReason]
    ERROR_REASON_EMPTY_QUERY: _ClassVar[ErrorReason]
    ERROR_REASON_UNKNOWN_INDEX: _ClassVar[ErrorReason]
    ERROR_REASON_UNSUPPORTED: _ClassVar[ErrorReason]
    ERROR_REASON_SESSION_STORE_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_OUT_OF_MEMORY: _ClassVar[ErrorReason]
    ERROR_REASON_STORAGE: _ClassVar[ErrorReason]
    ERROR_REASON_INDEX_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_INDEX_MISSING: _ClassVar[ErrorReason]
    ERROR_REASON_INDEX_FORMAT: _ClassVar[ErrorReason]
    ERROR_REASON_INDEX_VERSION: _ClassVar[ErrorReason]
    ERROR_REASON_INDEX_CORRUPT: _ClassVar[ErrorReason]
    ERROR_REASON_OVERLOADED: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
ERROR_REASON_MALFORMED_REQUEST: ErrorReason
ERROR_REASON_INVALID_TEXT: ErrorReason
ERROR_REASON_INVALID_REQUEST: ErrorReason
ERROR_REASON_LIMIT_EXCEEDED: ErrorReason
ERROR_REASON_PREFIX_TOO_LONG: ErrorReason
ERROR_REASON_SESSION_ID_TOO_LONG: ErrorReason
ERROR_REASON_NO_SESSION: ErrorReason
ERROR_REASON_EMPTY_QUERY: ErrorReason
ERROR_REASON_UNKNOWN_INDEX: ErrorReason
ERROR_REASON_UNSUPPORTED: ErrorReason
ERROR_REASON_SESSION_STORE_UNAVAILABLE: ErrorReason
ERROR_REASON_OUT_OF_MEMORY: ErrorReason
ERROR_REASON_STORAGE: ErrorReason
ERROR_REASON_INDEX_UNAVAILABLE: ErrorReason
ERROR_REASON_INDEX_MISSING: ErrorReason
ERROR_REASON_INDEX_FORMAT: ErrorReason
ERROR_REASON_INDEX_VERSION: ErrorReason
ERROR_REASON_INDEX_CORRUPT: ErrorReason
ERROR_REASON_OVERLOADED: ErrorReason
