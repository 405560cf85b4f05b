"""``energy ui``: starts the Dagster and MLflow servers and ends exactly the processes it started."""

import signal
import subprocess
import sys
import time
from types import FrameType

import psutil

from energy_platform.commands.output import console
from energy_platform.instance import prepare_home
from energy_platform.settings import PROJECT_ROOT, Settings, server_environment

STOP_SECONDS = 10


def serve(settings: Settings, *, dagster_port: int, mlflow_port: int) -> int:
    """Run both servers until one ends or a signal comes; returns the exit code."""
    prepare_home(settings)
    environment = server_environment(settings)
    commands = {
        "dagster": _dagster_command(dagster_port),
        "mlflow": _mlflow_command(settings, mlflow_port),
    }
    servers = {name: subprocess.Popen(command, env=environment) for name, command in commands.items()}  # noqa: S603  own commands
    console.print(
        f"Dagster UI  http://127.0.0.1:{dagster_port}\nMLflow UI   http://127.0.0.1:{mlflow_port}\nCtrl-C stops both."
    )
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopping and all(server.poll() is None for server in servers.values()):
        time.sleep(0.2)
    ended = {name: server.returncode for name, server in servers.items() if server.poll() is not None}
    family = [child for server in servers.values() for child in _family(server.pid)]
    for server in servers.values():
        if server.poll() is None:
            server.terminate()
    _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
    for process in alive:  # Dagster's code servers outlive their parent by up to 45 s
        process.kill()
    if stopping:
        return 0
    console.print(f"stopped because {', '.join(f'{name} ended with {code}' for name, code in ended.items())}")
    return 1


def _dagster_command(port: int) -> list[str]:
    """`dagster dev` over the workspace of this checkout, or the module where there is none."""
    workspace = PROJECT_ROOT / "workspace.yaml"
    where = ["-w", str(workspace)] if workspace.exists() else ["-m", "energy_platform.definitions"]
    return [sys.executable, "-m", "dagster", "dev", *where, "-h", "127.0.0.1", "-p", str(port)]


def _mlflow_command(settings: Settings, port: int) -> list[str]:
    """The MLflow server over the embedded store; one worker is 300 MB less than the default four."""
    store = ["--backend-store-uri", settings.tracking_uri, "--default-artifact-root", settings.artifacts_uri]
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        *store,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]


def _family(pid: int) -> list[psutil.Process]:
    """A process and all that it started."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
