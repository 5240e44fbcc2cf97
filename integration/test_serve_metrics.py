"""Metrics and health of a real service after real traffic, and what ops/ makes of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from espalier.admin import Admin
from espalier.client import CallError, Client
from espalier.overlay import Block
from espalier.serve.telemetry.families import FAMILIES, Kind
from integration.processes import PATIENCE, ROOT, Sidecar

OPS = ROOT / "integration" / "ops"
WORKERS = 2
CANARY = "canaryquery"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def get(address: str, path: str) -> tuple[int, str]:
    """Return status and body."""
    try:
        with urlopen(f"http://{address}{path}") as reply:
            return reply.status, reply.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def scrape(sidecar: Sidecar) -> list[Sample]:
    """Return every sample."""
    status, text = get(sidecar.metrics, "/metrics")
    assert status == 200
    assert CANARY not in text
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def value(samples: list[Sample], name: str, **labels: str) -> float:
    """Return the sum of the samples of a name that have these labels."""
    return sum(
        one.value for one in samples if one.name == name and labels.items() <= one.labels.items()
    )


def health(address: str, name: str) -> int:
    """Return the health of a component."""
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=name)
        return int(stub.Check(request, timeout=PATIENCE).status)


@dataclass(frozen=True, slots=True)
class Scraped:
    """A service after some traffic."""

    sidecar: Sidecar
    samples: list[Sample]


@pytest.fixture(scope="module")
def scraped(demo_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Yield a service that has had calls of every kind, good and bad, and its numbers then."""
    folder = tmp_path_factory.mktemp("metrics")
    index = Path(shutil.copy(demo_index, folder / "one.esp"))
    bad = folder / "bad.esp"
    bad.write_bytes(index.read_bytes()[:-100])
    with Sidecar(
        *("--index", index, "--admin", f"unix:{folder / 'admin'}", "--metrics", "127.0.0.1:0"),
        *("--http", "127.0.0.1:0", "--state-dir", folder / "state"),
        *("--set", f"workers={WORKERS}", "--set", "watch_seconds=0"),
    ) as sidecar:
        with Client(sidecar.address, timeout=PATIENCE, channels=6) as client:
            for number in range(60):
                client.record(f"{CANARY} {number}", session=f"{CANARY} {number % 10}")
                client.complete("canaryquery"[: number % 12], session=f"{CANARY} {number % 20}")
            with pytest.raises(CallError):
                client.complete("x" * 5_000)
        get(sidecar.http, f"/suggest?q={CANARY}")
        get(sidecar.http, f"/{CANARY}")
        with Admin(sidecar.admin, timeout=PATIENCE) as admin:
            admin.add(Block(CANARY))
            with pytest.raises(CallError):
                admin.load(bad)
        sidecar.send(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        # Some numbers are looked at once a second.
        while True:
            samples = scrape(sidecar)
            done = min(
                value(samples, "espalier_config_reloads_total", outcome="OK"),
                value(samples, "espalier_index_loads_total", outcome="OK"),
                value(samples, "espalier_index_healthy"),
            )
            if done and len(samples) > 200:
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Scraped(sidecar, samples)


def test_every_metric_is_there_and_no_other(scraped: Scraped) -> None:
    """The table is what a service says, under the same types and labels."""
    _, text = get(scraped.sidecar.metrics, "/metrics")
    found = {family.name: family for family in text_string_to_metric_families(text)}
    wanted = {
        family.name.removesuffix("_total") if family.kind is Kind.COUNTER else family.name: family
        for name, family in FAMILIES.items()
    }

    missing = {name for name in wanted if name not in found}
    assert found.keys() <= wanted.keys()
    # What this service has not been asked to do.
    idle = ("switches", "events", "experiment", "shadow", "credential", "certificate")
    assert [name for name in missing if not any(word in name for word in idle)] == []
    for name, family in found.items():
        assert family.type == wanted[name].kind.value
        for sample in family.samples:
            extra = sample.labels.keys() - set(wanted[name].labels)
            assert extra <= {"worker", "le"}, name


def test_the_numbers_are_those_of_all_workers(scraped: Scraped) -> None:
    """Whichever of them answered which call, and the HTTP front among them."""
    samples = scraped.samples
    complete = "/espalier.v1.CompletionService/Complete"
    calls = {
        code: value(samples, "espalier_calls_total", method=complete, code=code)
        for code in ("OK", "INVALID_ARGUMENT")
    }

    assert calls == {"OK": 60, "INVALID_ARGUMENT": 1}
    assert value(samples, "espalier_call_duration_seconds_count", method=complete) == 61
    assert value(samples, "espalier_call_wait_seconds_count", method=complete) == 61
    assert value(samples, "espalier_completions_total") == 61
    assert value(samples, "espalier_completion_duration_seconds_count") == 61
    assert value(samples, "espalier_completion_duration_seconds_count", prefix_length="4-6") == 15
    assert value(samples, "espalier_completion_sessions_total") == 61
    assert value(samples, "espalier_completion_sessions_total", state="none") == 1
    assert value(samples, "espalier_completion_sessions_total", state="found") == 30
    assert value(samples, "espalier_session_lookup_seconds_count") == 60
    assert value(samples, "espalier_suggestions_total") > 0
    assert value(samples, "espalier_http_requests_total", route="/suggest", code="200") == 1
    assert value(samples, "espalier_http_requests_total", code="404") == 1
    assert value(samples, "espalier_http_request_duration_seconds_count") == 2
    assert value(samples, "espalier_sessions") == 10
    assert value(samples, "espalier_workers") == WORKERS + 1
    assert value(samples, "espalier_worker_up") == WORKERS + 1
    assert value(samples, "espalier_rules", kind="block") == 1
    assert value(samples, "espalier_rule_changes_total", outcome="OK") == 1
    assert value(samples, "espalier_index_healthy") == 1
    # The bad one, and the look at the good one on SIGHUP that mended it.
    assert value(samples, "espalier_index_loads_total", outcome="OK") == 1
    assert value(samples, "espalier_index_loads_total") == 2
    assert value(samples, "espalier_telemetry_lost_series") == 0


def test_numbers_survive_the_worker_that_counted_them(scraped: Scraped) -> None:
    """No counter goes back, the death is counted, and health says so until it is replaced."""
    sidecar = scraped.sidecar
    before = scrape(sidecar)
    victim = sidecar.workers()[0]
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while sidecar.workers()[0] == victim or get(sidecar.metrics, "/readyz")[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    after = scrape(sidecar)

    counters = {
        (one.name, *sorted(one.labels.items())): one.value
        for one in before
        if one.name.endswith(("_total", "_bucket", "_count", "_sum"))
        and one.name != "espalier_worker_cpu_seconds_total"
    }
    now = {(one.name, *sorted(one.labels.items())): one.value for one in after}
    assert [key for key, number in counters.items() if now[key] < number] == []
    assert value(after, "espalier_worker_restarts_total", worker="0") == 1


def test_health_speaks_for_all_workers_where_it_is_asked_for_that(demo_index: Path) -> None:
    """One that does not come back leaves the others answering, and the service not ready."""
    with Sidecar(
        *("--index", demo_index, "--admin", "127.0.0.1:0", "--metrics", "127.0.0.1:0"),
        *("--set", f"workers={WORKERS}"),
    ) as sidecar:
        names = ("live", "ready", "", "workers", "answering", "sessions", "index/default")
        well = [health(sidecar.admin, name) for name in names]
        probes = [get(sidecar.metrics, path)[0] for path in ("/healthz", "/readyz")]
        # Told to end by somebody else it finishes and is replaced: until then one is missing.
        with grpc.insecure_channel(sidecar.admin) as channel:
            stream = health_pb2_grpc.HealthStub(channel).Watch(
                health_pb2.HealthCheckRequest(service="ready"), timeout=PATIENCE
            )
            changes = [next(stream).status]
            os.kill(sidecar.workers()[1], signal.SIGTERM)
            changes += [next(stream).status, next(stream).status]
        answering = health(sidecar.admin, "answering")

    assert well == [SERVING] * len(names)
    assert probes == [200, 200]
    assert changes == [SERVING, NOT_SERVING, SERVING]
    assert answering == SERVING


# ---- integration/ops ----------------------------------------------------------------


def expressions() -> dict[str, str]:
    """Return every PromQL expression of the dashboard, by what it is for."""
    board: dict[str, Any] = json.loads((OPS / "grafana.json").read_text())
    found = {
        f"{panel['id']} {panel['title']} {target['refId']}": str(target["expr"])
        for panel in board["panels"]
        for target in panel.get("targets", ())
    }
    found |= {one["name"]: one["expr"] for one in board["annotations"]["list"]}
    return {
        name: expr.replace("$__rate_interval", "5m").replace("$instance", ".*")
        for name, expr in found.items()
    }


def selectors(text: str) -> Iterator[tuple[str, set[str]]]:
    """Yield every metric of ours that a text names, and the labels it selects by."""
    for name, braces in re.findall(r"\b(espalier_\w+)(\{[^}]*\})?", text):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", braces))


@pytest.mark.parametrize("file", ["alerts.yml", "grafana.json", "TELEMETRY.md", "alerts_test.yml"])
def test_what_ops_names_exists(scraped: Scraped, file: str) -> None:
    """Every metric and every label that an alarm, a panel or the manual selects by."""
    labels: dict[str, set[str]] = {}
    for sample in scraped.samples:
        labels.setdefault(sample.name, {"instance", "job"}).update(sample.labels)
    for family in FAMILIES.values():
        labels.setdefault(family.name, {"instance", *family.labels})
    text = (OPS / file).read_text()
    if file == "grafana.json":
        text = "\n".join([*expressions().values(), "label_values(espalier_build_info, instance)"])
    named = list(selectors(text))

    assert len(named) > 20
    unknown = {name for name, _ in named if name not in labels}
    assert unknown == set()
    assert [(name, used) for name, used in named if not used <= labels[name]] == []


def test_the_dashboard_shows_every_metric() -> None:
    """What is worth counting is worth a look."""
    shown = {
        name.removesuffix(suffix)
        for expr in expressions().values()
        for name, _ in selectors(expr)
        for suffix in ("_bucket", "_sum", "_count", "")
    }

    assert {family.name for family in FAMILIES.values()} <= shown


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is not installed"
)


def promtool(*arguments: str) -> str:
    """Run promtool and return what it says; it must be content."""
    done = subprocess.run(
        ["promtool", *arguments],
        cwd=OPS,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_promtool
def test_prometheus_takes_the_configuration_and_every_alarm_works() -> None:
    """Each is raised by its example, and none when all is well."""
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "alerts_test.yml")
    alarms = set(re.findall(r"- alert: (\w+)", (OPS / "alerts.yml").read_text()))
    examples = re.findall(r"alertname: (\w+)", (OPS / "alerts_test.yml").read_text())

    assert sorted(examples) == sorted([*alarms, *alarms])


@needs_promtool
def test_prometheus_understands_every_panel(tmp_path: Path) -> None:
    """The expressions of the dashboard, as recording rules."""
    rules = [
        {"record": f"panel:{number}", "expr": expr}
        for number, expr in enumerate(expressions().values())
    ]
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))

    assert f"{len(rules)} rules found" in promtool("check", "rules", str(path))


@needs_promtool
def test_prometheus_finds_nothing_odd_in_what_it_scrapes(scraped: Scraped) -> None:
    """Names, units and help, by its own lint."""
    _, text = get(scraped.sidecar.metrics, "/metrics")
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")
