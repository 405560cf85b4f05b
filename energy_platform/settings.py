"""The settings of the platform, and the only place that reads the environment.

Every setting is one field of ``Settings`` and comes from ``ENERGY_<NAME>`` or a ``.env`` file.
Paths below ``home`` are derived, so that one variable moves the whole state of an installation.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent

# Off unless somebody turns them on: this platform sends nothing anywhere by default.
TELEMETRY_SWITCHES = {
    "DAGSTER_DISABLE_TELEMETRY": "yes",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
}


class Settings(BaseSettings):
    """Everything that can be set from outside.

    Example:
        >>> Settings(home="/data/energy").warehouse_path.as_posix()
        '/data/energy/warehouse.duckdb'
    """

    model_config = SettingsConfigDict(env_prefix="ENERGY_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(default=Path(".energy"), description="Folder that holds all state of this installation.")
    sources: Path | None = Field(default=None, description="Folder of your own source declarations (*.yml).")
    landing: str | None = Field(default=None, description="Landing zone, a folder or s3://…; default <home>/landing.")
    published: str | None = Field(
        default=None, description="Published generations, a folder or s3://…; default <home>/published."
    )
    drop_prefixes: dict[str, str] = Field(
        default={"raw/": "appliances", "landing/firehose/": "firehose_sensors", "landing/firehose-errors/": ""},
        description='Source of objects that others put into the bucket, by key prefix, as JSON; "" leaves them alone.',
    )
    s3_endpoint_url: str | None = Field(default=None, description="S3-compatible server in place of AWS.")
    cache_bytes: int = Field(default=2 << 30, ge=0, description="How many bytes of loaded objects stay on this disk.")
    memory_limit: str = Field(default="2GiB", description="What DuckDB may use, as it writes sizes: 512MiB, 4GiB.")
    threads: int = Field(default=0, ge=0, description="Threads of DuckDB and LightGBM; 0 means all cores.")
    seed: int = Field(default=20260101, description="Seed of everything random.")
    lookback_weeks: int = Field(
        default=4, ge=0, description="Weeks before its own newest day that a new source is also forecast for."
    )
    mlflow_tracking_uri: str | None = Field(default=None, description="MLflow server; default SQLite below home.")
    link_files: bool = Field(
        default=False, description="Hard-link files into landing instead of copying them (large, immutable sets)."
    )
    dagster_home_outside: Path | None = Field(
        default=None, validation_alias="DAGSTER_HOME", description="Dagster's own home, when a deployment brings one."
    )
    slack_webhook: SecretStr | None = Field(default=None, description="Slack incoming webhook for alerts.")
    channels: dict[str, SecretStr] = Field(
        default={}, description='Where alerts go, as JSON: {"mail": "mailtos://…", "oncall": "arn:aws:sns:…"}.'
    )
    alerts: Path | None = Field(default=None, description="Folder of your own alert rules (*.yml).")
    dagster_url: str = Field(default="http://127.0.0.1:3000", description="The Dagster UI, for links in alerts.")
    averages_table: str | None = Field(
        default=None, description="DynamoDB table that averages of five are mirrored to, such as energy-records."
    )
    influx_url: str | None = Field(
        default=None, description="Write address of InfluxDB for averages of five: http://host:8086/write?db=energy."
    )
    influx_token: SecretStr | None = Field(default=None, description="Token of InfluxDB 2.")
    operations_url: SecretStr | None = Field(
        default=None, description="Operations store, as SQLAlchemy writes it; default SQLite below home."
    )
    api_requests_per_minute: int = Field(default=6_000, ge=1, description="How often one key may ask the API.")
    mqtt_username: str | None = Field(default=None, description="User name at the MQTT broker.")
    mqtt_password: SecretStr | None = Field(default=None, description="Password at the MQTT broker.")
    kafka_username: str | None = Field(default=None, description="SASL user name at the Kafka brokers.")
    kafka_password: SecretStr | None = Field(default=None, description="SASL password at the Kafka brokers.")

    @property
    def home_path(self) -> Path:
        """``home`` as an absolute path."""
        return self.home.expanduser().absolute()

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB file that holds lake, warehouse and model tables."""
        return self.home_path / "warehouse.duckdb"

    @property
    def landing_path(self) -> Path:
        """Where files land on this machine before anything else happens to them; with S3, those of streams."""
        if self.landing is None or self.landing_on_s3:
            return self.home_path / "landing"
        return Path(self.landing).expanduser().absolute()

    @property
    def landing_on_s3(self) -> bool:
        """Whether the landing zone is a bucket."""
        return self.landing is not None and self.landing.startswith("s3://")

    @property
    def cache_path(self) -> Path:
        """Where objects are kept while they are loaded."""
        return self.home_path / "cache"

    @property
    def published_path(self) -> Path:
        """Where the Parquet generations that people and programs read are on this machine; with S3, copies of them."""
        if self.published is None:
            return self.home_path / "published"
        # No bucket has an underscore in its name, so loaded objects are never kept in this folder.
        return (
            self.cache_path / "published_copies"
            if self.published_on_s3
            else Path(self.published).expanduser().absolute()
        )

    @property
    def published_on_s3(self) -> bool:
        """Whether published generations are in a bucket."""
        return self.published is not None and self.published.startswith("s3://")

    @property
    def reports_path(self) -> Path:
        """Where finished reports are kept."""
        return self.home_path / "reports"

    @property
    def exports_path(self) -> Path:
        """Where CSV for the earlier system's readers is kept."""
        return self.home_path / "exports"

    @property
    def dagster_home(self) -> Path:
        """``DAGSTER_HOME``: the deployment's, or the embedded instance's."""
        return self.dagster_home_outside or self.home_path / "dagster"

    @property
    def tracking_uri(self) -> str:
        """MLflow tracking and registry address."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.home_path / 'mlflow.db'}"

    @property
    def artifacts_uri(self) -> str:
        """Where MLflow keeps artifacts when the tracking store is embedded."""
        return (self.home_path / "mlartifacts").as_uri()

    @property
    def operations_address(self) -> str:
        """SQLAlchemy URL of the operations store; it may hold a password, so it is never printed."""
        if self.operations_url:
            return self.operations_url.get_secret_value()
        return f"sqlite:///{self.home_path / 'operations.db'}"

    @property
    def channel_addresses(self) -> dict[str, str]:
        """Address of each channel by name, secrets included; ``slack`` is the Slack webhook, where one is set."""
        named = {"slack": self.slack_webhook} if self.slack_webhook else {}
        return {name: address.get_secret_value() for name, address in (named | self.channels).items()}

    @property
    def worker_threads(self) -> int:
        """``threads`` with 0 resolved to the number of cores."""
        return self.threads or os.cpu_count() or 1


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()


def quiet_telemetry() -> None:
    """Turn every dependency's telemetry off, unless the environment already decides."""
    for name, value in TELEMETRY_SWITCHES.items():
        os.environ.setdefault(name, value)


def export_for_dbt(settings: Settings) -> None:
    """Hand dbt, which runs as its own process, the warehouse that these settings name."""
    os.environ["ENERGY_WAREHOUSE_PATH"] = str(settings.warehouse_path)
    os.environ["ENERGY_MEMORY_LIMIT"] = settings.memory_limit
    os.environ["ENERGY_THREADS"] = str(settings.worker_threads)


def server_environment(settings: Settings) -> dict[str, str]:
    """The environment of servers started beside this process, so that they find the same state."""
    return {**os.environ, "DAGSTER_HOME": str(settings.dagster_home), "ENERGY_HOME": str(settings.home_path)}
