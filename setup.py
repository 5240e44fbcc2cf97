"""The one thing pyproject.toml cannot say: build the C library with cffi."""

from setuptools import setup

setup(
    cffi_modules=["native/cffi_build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
