"""The MQTT broker that options and settings name, for every command that connects to one."""

from pathlib import Path
from typing import TYPE_CHECKING

from energy_platform.settings import Settings

if TYPE_CHECKING:
    from energy_platform.adapters.mqtt_connection import Broker, Version

PORT, TLS_PORT = 1883, 8883


def named_broker(
    settings: Settings,
    *,
    host: str,
    port: int | None,
    client_id: str,
    version: "Version",
    certificates: tuple[Path | None, Path | None, Path | None],
    tls: bool = False,
) -> "Broker":
    """Where and as whom to connect; user and password come from the settings.

    Args:
        settings: of this home.
        host: name or address.
        port: None takes the protocol's own, 8883 with TLS.
        client_id: names the session.
        version: of the protocol.
        certificates: authority, client's certificate and its key, PEM files; an authority or a certificate means TLS.
        tls: also without certificates of one's own.
    """
    from energy_platform.adapters.mqtt_connection import Broker, Tls

    ca, certificate, key = certificates
    with_tls = tls or ca is not None or certificate is not None
    return Broker(
        host=host,
        port=port or (TLS_PORT if with_tls else PORT),
        client_id=client_id,
        version=version,
        username=settings.mqtt_username,
        password=settings.mqtt_password.get_secret_value() if settings.mqtt_password else None,
        tls=Tls(ca, certificate, key) if with_tls else None,
    )
