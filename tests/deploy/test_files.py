"""What deploys the sidecar, held against the tools that know such files, and against us."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import espalier
from espalier.config import problems_in
from espalier.serve.health import LIVE, READY
from espalier.settings import ServeSettings, load_settings
from integration.container import stages_of, words_of

FOLDER = Path(__file__).resolve().parents[2] / "integration" / "ops" / "deploy"
CONFIG = FOLDER / "espalier.toml"
UNIT = FOLDER / "espalier.service"
MANIFESTS = FOLDER / "kubernetes.yaml"
# The oldest that has native gRPC probes for good, and the newest the validator knows.
KUBERNETES = ("1.27.0", kubernetes_validate.latest_version())
# systemd-analyze counts from 0 to 10; at 2 and below it calls a service OK.
EXPOSURE = 1.5

systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


@pytest.fixture(scope="module")
def manifests() -> dict[str, dict[str, Any]]:
    """Return the manifests by kind."""
    documents = yaml.safe_load_all(MANIFESTS.read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}


@pytest.fixture(scope="module")
def pod(manifests: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what the stateful set says of its pods."""
    found: dict[str, Any] = manifests["StatefulSet"]["spec"]["template"]["spec"]
    return found


@pytest.fixture(scope="module")
def settings() -> ServeSettings:
    """Return what the configuration says."""
    return load_settings(CONFIG, "serve", env={})


def run(*command: str | Path) -> str:
    """Run a tool that must be content; return what it said."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


# ---- the container file -----------------------------------------------------------------


def test_hadolint_finds_nothing_in_the_container_file() -> None:
    """Nor does the shell linter it has inside."""
    hadolint = Path(sys.executable).with_name("hadolint")

    said = run(hadolint, "--failure-threshold", "style", FOLDER / "Containerfile")

    assert said == ""


def test_the_linter_would_find_something(tmp_path: Path) -> None:
    """A file with a fault in it does not pass."""
    bad = tmp_path / "Containerfile"
    bad.write_text("FROM python\nRUN cd /tmp && pip install x\n", encoding="utf-8")
    hadolint = Path(sys.executable).with_name("hadolint")

    done = subprocess.run([hadolint, bad], capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "DL3006" in done.stdout


# ---- Kubernetes ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_what_kubernetes_takes(
    manifests: dict[str, dict[str, Any]], version: str
) -> None:
    """By the schemas of its API, where an unknown field is a fault."""
    for manifest in manifests.values():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_manifest_with_a_misspelt_field_is_refused(
    manifests: dict[str, dict[str, Any]],
) -> None:
    """The validator would notice."""
    service = manifests["Service"]
    bad = {**service, "spec": {**service["spec"], "clusterIp": "None"}}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(bad, KUBERNETES[0], strict=True)


def test_the_manifests_belong_together(
    manifests: dict[str, dict[str, Any]], pod: dict[str, Any]
) -> None:
    """Selectors find the pods, names lead somewhere, every volume is mounted."""
    labels = manifests["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    spec = manifests["StatefulSet"]["spec"]
    volumes = {one["name"] for one in pod["volumes"]}
    volumes |= {one["metadata"]["name"] for one in spec["volumeClaimTemplates"]}
    (container,) = pod["containers"]

    assert manifests["Service"]["spec"]["selector"] == labels
    assert manifests["Service"]["spec"]["clusterIP"] == "None"
    assert manifests["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert spec["selector"]["matchLabels"] == labels
    assert spec["serviceName"] == manifests["Service"]["metadata"]["name"]
    assert pod["serviceAccountName"] == manifests["ServiceAccount"]["metadata"]["name"]
    assert {one["name"] for one in container["volumeMounts"]} == volumes
    ports = {one["name"] for one in container["ports"]}
    assert {one["targetPort"] for one in manifests["Service"]["spec"]["ports"]} == ports
    ingress = manifests["NetworkPolicy"]["spec"]["ingress"]
    assert {port["port"] for rule in ingress for port in rule["ports"]} == ports
    images = {one["image"] for one in (*pod["initContainers"], container)}
    assert images == {f"espalier:{espalier.__version__}"}


def test_the_configuration_is_the_same_everywhere(
    manifests: dict[str, dict[str, Any]], settings: ServeSettings, pod: dict[str, Any]
) -> None:
    """That of the image, of the config map and of the unit; what it names is mounted."""
    assert manifests["ConfigMap"]["data"]["espalier.toml"] == CONFIG.read_text(encoding="utf-8")
    assert problems_in(CONFIG) == []
    (container,) = pod["containers"]
    writable = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}

    assert settings.state_dir is not None
    assert str(settings.state_dir) in writable
    assert settings.admin is not None
    assert str(Path(settings.admin.removeprefix("unix:")).parent) in writable
    assert {str(path.parent) for path in settings.index.values()} == {"/srv/espalier"}


def test_variables_of_the_pod_are_settings_that_fit_together(pod: dict[str, Any]) -> None:
    """Read as the service in the pod reads them, over what the image sets."""
    (container,) = pod["containers"]
    final = stages_of(FOLDER / "Containerfile")[-1]
    image = dict(word.split("=", 1) for word in final.last("ENV").split())
    env = {name: value for name, value in image.items() if name.startswith("ESPALIER_")}
    env |= {one["name"]: one["value"] for one in container["env"]}
    found = load_settings(CONFIG, "serve", env=env)

    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert found.listen == f"0.0.0.0:{ports['grpc']}"
    assert found.metrics == f"0.0.0.0:{ports['metrics']}"
    assert final.last("EXPOSE").split() == [str(port) for port in ports.values()]
    mounts = [one["mountPath"] for one in container["volumeMounts"]]
    assert str(found.token_file).startswith(tuple(mounts))
    assert str(found.admin_token_file).startswith(tuple(mounts))


def test_probes_ask_for_components_there_are(pod: dict[str, Any]) -> None:
    """Natively, at the port of the service; life does not hang on readiness."""
    (container,) = pod["containers"]
    port = container["ports"][0]["containerPort"]

    assert container["startupProbe"]["grpc"] == {"port": port, "service": READY}
    assert container["readinessProbe"]["grpc"] == {"port": port, "service": READY}
    assert container["livenessProbe"]["grpc"] == {"port": port, "service": LIVE}


def test_probes_of_a_service_with_tls_are_what_kubernetes_takes(
    manifests: dict[str, dict[str, Any]],
) -> None:
    """As the comment beside the probes has it: the metrics listener, or the admin socket."""
    said = MANIFESTS.read_text(encoding="utf-8")
    assert "httpGet: {path: /readyz, port: metrics, scheme: HTTPS}" in said
    assert f'exec: {{command: [espalier, health, "unix:/run/espalier/admin", {READY}]}}' in said
    document = yaml.safe_load(yaml.safe_dump(manifests["StatefulSet"]))
    (container,) = document["spec"]["template"]["spec"]["containers"]
    for probe, path in {"startup": "readyz", "readiness": "readyz", "liveness": "healthz"}.items():
        del container[f"{probe}Probe"]["grpc"]
        container[f"{probe}Probe"]["httpGet"] = {
            "path": f"/{path}",
            "port": "metrics",
            "scheme": "HTTPS",
        }

    kubernetes_validate.validate(document, KUBERNETES[0], strict=True)


def test_a_pod_has_longer_to_end_than_the_service_takes(
    pod: dict[str, Any], settings: ServeSettings
) -> None:
    """The pause before SIGTERM, the grace, and what the supervisor waits beyond it."""
    (container,) = pod["containers"]
    _, pause = container["lifecycle"]["preStop"]["exec"]["command"]

    assert pod["terminationGracePeriodSeconds"] >= int(pause) + settings.grace_seconds + 6


def test_a_pod_meets_the_restricted_pod_security_standard(pod: dict[str, Any]) -> None:
    """No root, nothing gained, nothing kept, nothing written outside volumes."""
    final = stages_of(FOLDER / "Containerfile")[-1]
    user = int(final.last("USER").partition(":")[0])

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == user
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"requests", "limits"} <= container["resources"].keys()
    state = {one["mountPath"] for one in pod["containers"][0]["volumeMounts"]}
    assert set(words_of(final.last("VOLUME"))) <= state


# ---- systemd ------------------------------------------------------------------------------


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """Return the unit with a command that is there."""
    text = UNIT.read_text(encoding="utf-8").replace("/opt/espalier/bin/espalier", sys.executable)
    path = tmp_path / UNIT.name
    path.write_text(text, encoding="utf-8")
    return path


def value_of(key: str) -> str:
    """Return what the unit says last for a key."""
    found = re.findall(rf"^{key}=(.*)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    return str(found[-1])


@systemd
def test_systemd_takes_the_unit(unit: Path) -> None:
    """Without a word: it says what it ignores as well."""
    assert run("systemd-analyze", "verify", unit) == ""


@systemd
def test_systemd_would_say_what_it_ignores(unit: Path) -> None:
    """A misspelt key is not silent."""
    unit.write_text(unit.read_text() + "\n[Service]\nPrivateTemp=yes\n", encoding="utf-8")

    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )

    assert "PrivateTemp" in done.stderr


@systemd
def test_systemd_finds_the_service_little_exposed(unit: Path) -> None:
    """It may use the network and its folders, and not much else."""
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager"]
    said = run(*command, f"--threshold={EXPOSURE * 10:.0f}", unit)

    exposure = re.search(r"exposure level for espalier.service: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= EXPOSURE


def test_the_unit_and_the_service_agree(settings: ServeSettings) -> None:
    """On folders, on how long an end takes, and on how the service is heard of."""
    assert value_of("Type") == "notify"
    assert f"/var/lib/{value_of('StateDirectory')}" == str(settings.state_dir)
    assert settings.admin == f"unix:/run/{value_of('RuntimeDirectory')}/admin"
    assert float(value_of("TimeoutStopSec")) >= settings.grace_seconds + 6
    variable, _, path = value_of("Environment").partition("=")
    assert variable == "ESPALIER_SERVE_TOKEN_FILE"
    assert path == f"%d/{value_of('LoadCredential').partition(':')[0]}"


def test_what_the_unit_and_the_image_start_is_the_same() -> None:
    """The same verb with the same file."""
    final = stages_of(FOLDER / "Containerfile")[-1]
    started = words_of(final.last("ENTRYPOINT")) + words_of(final.last("CMD"))

    assert value_of("ExecStart").removeprefix("/opt/espalier/bin/").split() == started
