"""An API over the published sample, with keys of every role, some of them for one site."""

from __future__ import annotations

from datetime import datetime

from fastapi.testclient import TestClient

from energy_platform.adapters.operations import Operations
from energy_platform.adapters.operations.devices import register_devices
from energy_platform.adapters.operations.episodes import write_changes
from energy_platform.adapters.operations.key_sites import create_key_for
from energy_platform.domain.access import Role
from energy_platform.domain.alerts.episodes import advance
from energy_platform.domain.alerts.records import Severity, Signal, Subject
from energy_platform.domain.control.devices import Device, ShutOff, SiteDevices
from energy_platform.serving.api.app import create_app
from energy_platform.settings import Settings

NOW = datetime(2026, 3, 4, 12)
ONE_SITE = "uk-home-1"
LAMP_OF_ONE_SITE = f"{ONE_SITE}-lamp"


def home(site_id: str, meter_id: str) -> SiteDevices:
    common = {"site_id": site_id, "meter_id": meter_id, "topic": "esp32/sub"}
    return SiteDevices(
        site_id=site_id,
        devices=(
            Device(device_id=f"{site_id}-supply", channel="main", shut_off=ShutOff(), **common),
            Device(device_id=f"{site_id}-lamp", channel="dev1", switchings_per_hour=2, **common),
            Device(
                device_id=f"{site_id}-fridge",
                channel="dev1",
                protected=True,
                **common | {"meter_id": "kitchen-" + meter_id},
            ),
        ),
    )


class Api:
    def __init__(self, folder, published, **said):
        self.settings = Settings(home=folder, published=str(published), **said)
        self.app = create_app(self.settings, now=lambda: self.now)
        self.client = TestClient(self.app, raise_server_exceptions=False)
        self.now = NOW
        self.operations = Operations.open(self.settings.operations_address)
        self.keys = {
            (role, sites): create_key_for(self.operations, "test", role, sites, now_utc=NOW)[1]
            for role in Role
            for sites in ((), (ONE_SITE,))
        }
        for site, meter in ((ONE_SITE, "esp32-1"), ("uk-home-2", "esp32-2")):
            register_devices(self.operations, home(site, meter), actor="test", now_utc=NOW)

    def headers(self, role=Role.VIEWER, sites=()):
        return {"Authorization": f"Bearer {self.keys[role, sites]}"}

    def get(self, path, role=Role.VIEWER, sites=(), headers=None, **parameters):
        return self.client.get(path, params=parameters, headers=self.headers(role, sites) | (headers or {}))

    def post(self, path, body=None, role=Role.OPERATOR, sites=()):
        return self.client.post(path, json=body, headers=self.headers(role, sites))

    def pages(self, path, limit, **parameters):
        """Every item of a list, a page at a time."""
        items, cursor = [], None
        while True:
            answer = self.get(path, limit=limit, **parameters | ({"cursor": cursor} if cursor else {})).json()
            items += answer["items"]
            cursor = answer["next_cursor"]
            if cursor is None:
                return items


def is_problem(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert "Traceback" not in answer.text
    return True


def alerting(api, rule="spike", site=ONE_SITE):
    """Open an alert of a site, or of none; gives its identifier."""
    subject = Subject("esp32-1/main", site, "esp32-1", "main") if site else Subject("job publish")
    signal = Signal(rule, Severity.CRITICAL, subject, is_breach=True, at_utc=NOW, title="t", text="310 V", value=310.0)
    change = advance(None, signal, now_utc=NOW)
    with api.operations.engine.begin() as connection:
        write_changes(connection, [change], now_utc=NOW)
    return change.episode.episode_id
