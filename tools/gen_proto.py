"""Generate plugin/espalier/v1 and the golden API file from proto/.

    python -m tools.gen_proto                     regenerate both
    python -m tools.gen_proto --check             only say whether they are fresh
    python -m tools.gen_proto --accept-breaking   also when clients would break

The proto tree is named as the Python package, so protoc's imports need no
rewriting. Lint faults and breaking changes stop it before anything is written.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tools.proto_rules import breaking, lint, missing

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = Path("espalier") / "v1"
PYTHON = ROOT / "plugin"
GOLDEN = ROOT / "tests" / "golden" / "api_v1.binpb"

_INIT = '"""The wire API: generated from proto/espalier/v1 by tools/gen_proto.py; do not edit."""\n'


class ProtocError(Exception):
    """What protoc said when it refused."""


def proto_files(root: Path = PROTO) -> list[str]:
    """Return the .proto files under ``root``, relative to it, sorted."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.proto"))


def describe(
    root: Path = PROTO, *, source_info: bool = True, imports: bool = False
) -> FileDescriptorSet:
    """Return the descriptors of the files under ``root``.

    With ``source_info`` comments are included, with ``imports`` the files imported
    from elsewhere.

    Raises:
        ProtocError: protoc does not accept the files.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "set.binpb"
        options = [f"--descriptor_set_out={out}"]
        if source_info:
            options.append("--include_source_info")
        if imports:
            options.append("--include_imports")
        _protoc(root, proto_files(root), options)
        return FileDescriptorSet.FromString(out.read_bytes())


def generate(out: Path, root: Path = PROTO) -> None:
    """Write modules and stubs for the files under ``root`` to the package tree ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    files = proto_files(root)
    _protoc(root, files, [f"--python_out={out}", f"--pyi_out={out}"])
    # Only files with a service need the rest; the others would get empty modules.
    services = [name for name in files if "\nservice " in (root / name).read_text()]
    _protoc(root, services, [f"--grpc_python_out={out}", f"--mypy_grpc_out={out}"])
    (out / PACKAGE / "__init__.py").write_text(_INIT)


def stale(root: Path = PROTO, python: Path = PYTHON) -> list[str]:
    """Return the generated files under ``python`` that regenerating would change."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder), root)
        fresh = _contents(Path(folder) / PACKAGE)
    committed = _contents(python / PACKAGE)
    return sorted(
        name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name)
    )


def read_golden() -> FileDescriptorSet:
    """Return the API as promised so far; empty before the first promise."""
    golden = FileDescriptorSet.FromString(GOLDEN.read_bytes() if GOLDEN.exists() else b"")
    # Whole for buf's sake; google's own files are not ours to promise.
    ours = [file for file in golden.file if file.name.startswith(f"{PACKAGE.as_posix()}/")]
    return FileDescriptorSet(file=ours)


def write_golden(current: FileDescriptorSet) -> None:
    """Promise ``current``: it is what later versions are compared with."""
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_bytes(current.SerializeToString(deterministic=True))


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.py*") if path.is_file()}


def _protoc(root: Path, files: Sequence[str], options: Sequence[str]) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{root}", *options, *files]
    # protoc looks for its plugins on the path, where an environment that is not
    # activated has none.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "PATH": path}
    )
    if done.returncode:
        raise ProtocError(done.stderr.strip())


def _report(title: str, faults: Sequence[str]) -> bool:
    if faults:
        print(f"{title}:", file=sys.stderr)
        print(*(f"  {fault}" for fault in faults), sep="\n", file=sys.stderr)
    return bool(faults)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.gen_proto", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--accept-breaking", action="store_true", help="break older clients")
    chosen = parser.parse_args(arguments)
    try:
        current, golden = describe(), read_golden()
    except ProtocError as error:
        return _report("proto", [str(error)])
    stopped = _report("proto lint", lint(current))
    if not chosen.accept_breaking:
        stopped |= _report("breaking changes", breaking(golden, current))
    if chosen.check:
        stopped |= _report("not regenerated (python -m tools.gen_proto)", stale())
        stopped |= _report("not yet in the golden file", missing(golden, current))
    if stopped or chosen.check:
        return int(stopped)
    generate(PYTHON)
    write_golden(describe(source_info=False, imports=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
