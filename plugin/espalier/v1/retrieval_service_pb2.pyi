from espalier.v1 import core_pb2 as _core_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RetrieveRequest(_message.Message):
    __slots__ = ("query", "max_products", "index", "beam", "filter", "previous_queries", "host_products", "popular_if_empty")
    QUERY_FIELD_NUMBER: _ClassVar[int]
    MAX_PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    BEAM_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_QUERIES_FIELD_NUMBER: _ClassVar[int]
    HOST_PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    POPULAR_IF_EMPTY_FIELD_NUMBER: _ClassVar[int]
    query: str
    max_products: int
    index: str
    beam: int
    filter: ProductFilter
    previous_queries: _containers.RepeatedScalarFieldContainer[str]
    host_products: _containers.RepeatedScalarFieldContainer[str]
    popular_if_empty: bool
    def __init__(self, query: _Optional[str] = ..., max_products: _Optional[int] = ..., index: _Optional[str] = ..., beam: _Optional[int] = ..., filter: _Optional[_Union[ProductFilter, _Mapping]] = ..., previous_queries: _Optional[_Iterable[str]] = ..., host_products: _Optional[_Iterable[str]] = ..., popular_if_empty: _Optional[bool] = ...) -> None: ...

class ProductFilter(_message.Message):
    __slots__ = ("all_of", "any_of", "none_of")
    ALL_OF_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    NONE_OF_FIELD_NUMBER: _ClassVar[int]
    all_of: _containers.RepeatedScalarFieldContainer[str]
    any_of: _containers.RepeatedScalarFieldContainer[str]
    none_of: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, all_of: _Optional[_Iterable[str]] = ..., any_of: _Optional[_Iterable[str]] = ..., none_of: _Optional[_Iterable[str]] = ...) -> None: ...

class RetrieveResponse(_message.Message):
    __slots__ = ("header", "products", "product_set_id")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    PRODUCTS_FIELD_NUMBER: _ClassVar[int]
    PRODUCT_SET_ID_FIELD_NUMBER: _ClassVar[int]
    header: _core_pb2.ResponseHeader
    products: _containers.RepeatedCompositeFieldContainer[Product]
    product_set_id: str
    def __init__(self, header: _Optional[_Union[_core_pb2.ResponseHeader, _Mapping]] = ..., products: _Optional[_Iterable[_Union[Product, _Mapping]]] = ..., product_set_id: _Optional[str] = ...) -> None: ...

class Product(_message.Message):
    __slots__ = ("product_id", "title", "score", "model_score", "paired_queries", "host_rank")
    PRODUCT_ID_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    MODEL_SCORE_FIELD_NUMBER: _ClassVar[int]
    PAIRED_QUERIES_FIELD_NUMBER: _ClassVar[int]
    HOST_RANK_FIELD_NUMBER: _ClassVar[int]
    product_id: str
    title: str
    score: float
    model_score: float
    paired_queries: int
    host_rank: int
    def __init__(self, product_id: _Optional[str] = ..., title: _Optional[str] = ..., score: _Optional[float] = ..., model_score: _Optional[float] = ..., paired_queries: _Optional[int] = ..., host_rank: _Optional[int] = ...) -> None: ...
