"""The other process: starts the helper and talks to it."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent


def compile_driver(folder: Path) -> Path:
    """Compile the timing loop of ``driver.c`` as a shared library.

    Raises:
        OSError: There is no compiler.
        subprocess.CalledProcessError: It refused.
    """
    out = folder / "driver.so"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    flags = ["-std=c17", "-O2", "-shared", "-fPIC"]
    subprocess.run([compiler, *flags, str(HERE / "driver.c"), "-o", str(out)], check=True)
    return out


class Peer:
    """A helper process; a context manager. Methods of ``helper.Helper`` are called by name."""

    def __init__(self, python: Path, driver: Path) -> None:
        """Start the helper under the interpreter ``python``."""
        self._process = subprocess.Popen(
            [str(python), str(HERE / "helper.py"), str(driver)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        """Return the peer."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the helper and wait for it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Return the helper's answer to one request.

        Raises:
            RuntimeError: The helper ended; its own message stands on standard error.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "do": do,
            **{k: str(v) if isinstance(v, Path) else v for k, v in arguments.items()},
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the libpecos process ended while asked to {do}")
        return json.loads(answer)
