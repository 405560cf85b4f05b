"""docker-compose.yml and deploy/: consistent, closed to the outside, and accepted by the parts that read them."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_every_service_has_a_health_check_and_restarts(compose: dict) -> None:
    for name, service in compose["services"].items():
        assert "healthcheck" in service, name
        assert service["restart"] == "unless-stopped", name


def test_ports_are_bound_to_loopback(compose: dict) -> None:
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_dependencies_and_volumes_exist(compose: dict) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, condition in service.get("depends_on", {}).items():
            assert other in services, f"{name} waits for {other}"
            assert condition["condition"] == "service_healthy"
        for volume in service.get("volumes", []):
            where = volume.split(":")[0]
            assert where in compose["volumes"] or (ROOT / where).exists(), f"{name}: {where}"


def test_no_password_stands_in_the_files(compose: dict) -> None:
    for service in compose["services"].values():
        for key, value in service.get("environment", {}).items():
            if "PASSWORD" in key:
                assert value.startswith("${"), f"{key} must come from the environment"


def test_the_image_copies_files_that_exist() -> None:
    for line in (ROOT / "deploy" / "Dockerfile").read_text().splitlines():
        if line.startswith("COPY"):
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists(), name


@pytest.mark.parametrize("path", ["deploy/dagster.yaml", "energy_platform/deploy/dagster.yaml"])
def test_dagster_accepts_its_configuration(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagster._core.instance.config import dagster_instance_config

    (tmp_path / "dagster.yaml").write_text((ROOT / path).read_text())
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["telemetry"] == {"enabled": False}
    assert config["concurrency"]["runs"]["max_concurrent_runs"] == 1


def test_the_postgres_storage_of_the_deployment_names_its_driver() -> None:
    from dagster_postgres.utils import pg_url_from_config

    config = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())["storage"]["postgres"]["postgres_db"]
    filled = {key: "x" if isinstance(value, dict) else value for key, value in config.items()}
    url = pg_url_from_config({"postgres_db": filled, "should_autocreate_tables": True})
    assert url.startswith("postgresql+psycopg2://")
