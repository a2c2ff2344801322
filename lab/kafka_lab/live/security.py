"""One broker with secured listeners, a project of its own beside the stack of the live tests.

`start` writes target/live-security/env, which the live tests read.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..commands import run
from ..compose import ComposeProject
from ..engine import image_variables
from ..paths import LAB, TARGET
from ..settings import Settings
from .stacks import stop_project, write_env

LISTENERS = ("PLAIN", "TLS", "MTLS", "EXPIRED", "PASSWORDS", "OPENPASSWORDS", "TOKENS")
# Short-lived, and quick to make.
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
BROKER_NAMES = "subjectAltName=IP:127.0.0.1,DNS:kafka.example.com"
CLIENT_USE = "extendedKeyUsage=clientAuth"
# In the memory of the broker's container.
TOOLS_AT_ONCE = 6
LOAD_RIGHTS = ("Create", "Describe", "Write", "Read", "Delete")
PROBE_RIGHTS = ("Create", "Describe", "Write", "Read")


def security_project() -> ComposeProject:
    return ComposeProject(TARGET / "live-security", "kafka-optimizer-security")


def start_security(settings: Settings) -> None:
    project = security_project()
    certificates = project.folder / "certificates"
    stop_project(project)
    make_certificates(certificates)

    ports = {name: settings.security_port + index for index, name in enumerate(LISTENERS)}
    project.describe(
        [LAB / "security.yml"],
        {
            **image_variables(),
            "CERTIFICATES": str(certificates),
            **{f"PORT_{name}": str(port) for name, port in ports.items()},
        },
    )
    project.start_and_wait(timeout=120)
    _create_users_and_acls(project)

    addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    variables = {"CERTIFICATES": str(certificates), **addresses}
    write_env(project, "KAFKA_OPTIMIZER_LIVE_SECURITY", variables)


# ---- certificates


def make_certificates(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()

    _authority(folder, "ca")
    _authority(folder, "other-ca")
    _certificate(folder, "broker", "ca", 2, BROKER_NAMES)
    _certificate(folder, "expired", "ca", 0, BROKER_NAMES)  # it ends when it begins
    _certificate(folder, "client", "ca", 2, CLIENT_USE)
    _certificate(folder, "stranger", "other-ca", 2, CLIENT_USE)

    # The broker runs as another user; these keys open a lab on 127.0.0.1.
    for file in folder.iterdir():
        file.chmod(0o644)


def _authority(folder: Path, name: str) -> None:
    files = ("-keyout", f"{name}.key", "-out", f"{name}.pem")
    _openssl(folder, "req", "-x509", *NEW_KEY, "-days", "2", "-subj", f"/CN={name}", *files)


def _certificate(folder: Path, name: str, authority: str, days: int, extensions: str) -> None:
    """NAME.key, NAME.pem, and NAME.chain with both."""
    files = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
    _openssl(folder, "req", "-new", *NEW_KEY, "-subj", f"/CN={name}", *files)

    (folder / f"{name}.ext").write_text(extensions + "\n")
    signer = ("-CA", f"{authority}.pem", "-CAkey", f"{authority}.key", "-CAcreateserial")
    request = ("-in", f"{name}.csr", "-extfile", f"{name}.ext", "-days", str(days))
    _openssl(folder, "x509", "-req", *signer, *request, "-out", f"{name}.pem")

    key, certificate = (folder / f"{name}.key"), (folder / f"{name}.pem")
    (folder / f"{name}.chain").write_text(key.read_text() + certificate.read_text())


def _openssl(folder: Path, *words: str) -> None:
    run(["openssl", *words], timeout=30, folder=folder)


# ---- users and rights


def _create_users_and_acls(project: ComposeProject) -> None:
    """The user `monitor` with the rights that SECURITY.md lists and no other; it may not read the
    configuration of the topic `sealed`. The user `writer` with those that docs/load.md and
    docs/config.md list for a load and the probe. Each tool takes seconds to start, so some run at
    once.
    """
    writer = ("kafka-acls.sh", "--add", "--allow-principal", "User:writer")
    prefixed = ("--resource-pattern-type", "prefixed")
    monitor = ("kafka-acls.sh", "--add", "--allow-principal", "User:monitor")
    denied = ("kafka-acls.sh", "--add", "--deny-principal", "User:monitor")
    every = ("--cluster", "--topic", "*")
    tools = [
        _password("monitor", "SCRAM-SHA-256=[iterations=4096,password=pencil]"),
        # The most iterations that Kafka allows.
        _password("monitor", "SCRAM-SHA-512=[iterations=16384,password=pencil]"),
        _password("writer", "SCRAM-SHA-256=[password=quill]"),
        _password("writer", "SCRAM-SHA-512=[password=quill]"),
        _topic("secured", 2),
        _topic("sealed", 1),
        (*monitor, "--operation", "Describe", *every, "--group", "*"),
        (*monitor, "--operation", "DescribeConfigs", *every),
        (*monitor, "--operation", "AlterConfigs", "--operation", "Alter", "--cluster"),
        (*monitor, "--operation", "Read", "--group", "kafka-optimizer-actor"),
        (*denied, "--operation", "DescribeConfigs", "--topic", "sealed"),
        (*writer, *_operations(*LOAD_RIGHTS), "--topic", "kafka-optimizer-load", *prefixed),
        (*writer, *_operations(*PROBE_RIGHTS), "--topic", "_kafka_optimizer_probe"),
    ]
    with ThreadPoolExecutor(TOOLS_AT_ONCE) as threads:
        for done in [threads.submit(_tool, project, *tool) for tool in tools]:
            done.result()


def _password(user: str, password: str) -> tuple[str, ...]:
    words = ("--alter", "--entity-type", "users", "--entity-name", user)
    return ("kafka-configs.sh", *words, "--add-config", password)


def _operations(*names: str) -> tuple[str, ...]:
    return tuple(word for name in names for word in ("--operation", name))


def _topic(name: str, partitions: int) -> tuple[str, ...]:
    size = ("--partitions", str(partitions), "--replication-factor", "1")
    return ("kafka-topics.sh", "--create", "--if-not-exists", "--topic", name, *size)


def _tool(project: ComposeProject, tool: str, *words: str) -> None:
    small = ("-e", "KAFKA_OPTS=", "-e", "KAFKA_HEAP_OPTS=-Xmx96m")
    at = ("--bootstrap-server", "kafka:9092")
    project.compose("exec", "-T", *small, "kafka", f"/opt/kafka/bin/{tool}", *at, *words)
