from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from energy_platform.adapters.operations import Answer, Operations, StreamCheckpoints
from energy_platform.domain.access import Role
from energy_platform.domain.errors import IdempotencyConflict, KeyNotFound
from energy_platform.domain.events import Checkpoint, Progress

NOW = datetime(2024, 6, 1, 12)


@pytest.fixture
def operations(tmp_path):
    with Operations.open(f"sqlite:///{tmp_path / 'deep' / 'operations.db'}") as store:
        yield store


def test_checkpoints_are_kept_by_consumer_stream_and_shard(operations, tmp_path):
    mine = StreamCheckpoints(operations, "live", "readings", lambda: NOW)
    mine.save({"a": Checkpoint(Progress.AFTER, "1"), "b": Checkpoint(Progress.OLDEST)})
    mine.save({"a": Checkpoint(Progress.FINISHED)})
    mine.save({})
    with Operations.open(f"sqlite:///{tmp_path / 'deep' / 'operations.db'}") as again:
        found = again.checkpoints("live", "readings")
    assert found == {"a": Checkpoint(Progress.FINISHED), "b": Checkpoint(Progress.OLDEST)}
    assert operations.checkpoints("training", "readings") == {}


def test_two_processes_may_make_the_tables_at_once(tmp_path):
    url = f"sqlite:///{tmp_path / 'operations.db'}"
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Operations.open(url), range(4)))
    for store in stores:
        assert store.list_keys() == []
        store.close()


def test_a_key_is_verified_until_it_is_revoked_and_its_secret_is_kept_nowhere(operations):
    key, text = operations.create_key("meter gateway", Role.INGEST, now_utc=NOW)
    assert operations.verify_key(text) == key
    with operations.engine.connect() as connection:
        stored = str(connection.execute(sa.text("select * from api_keys")).all())
    assert text.split("_", 2)[2] not in stored
    assert operations.revoke_key(key.key_id, now_utc=NOW + timedelta(1)).revoked_at_utc == NOW + timedelta(1)
    assert operations.revoke_key(key.key_id, now_utc=NOW + timedelta(2)).revoked_at_utc == NOW + timedelta(1)
    assert operations.verify_key(text) is None
    assert [each.name for each in operations.list_keys()] == ["meter gateway"]


def test_what_is_not_a_key_is_none(operations):
    _, text = operations.create_key("gateway", Role.INGEST, now_utc=NOW)
    for wrong in ("", "enp", "enp__", "enp_0123456789abcdef_x", text[:-1], text + "x", text.replace("enp", "abc")):
        assert operations.verify_key(wrong) is None


def test_revoking_an_unknown_key_says_where_the_known_ones_are(operations):
    with pytest.raises(KeyNotFound, match="energy keys list"):
        operations.revoke_key("nope", now_utc=NOW)


def test_the_same_request_gets_the_same_answer_and_another_body_is_refused(operations):
    assert operations.claim("k", "once", "body-1", now_utc=NOW) is None
    with pytest.raises(IdempotencyConflict, match="worked on") as busy:
        operations.claim("k", "once", "body-1", now_utc=NOW)
    assert busy.value.in_progress
    operations.settle("k", "once", Answer(202, "{}"))
    assert operations.claim("k", "once", "body-1", now_utc=NOW) == Answer(202, "{}")
    with pytest.raises(IdempotencyConflict, match="another body"):
        operations.claim("k", "once", "body-2", now_utc=NOW)
    assert operations.claim("other key", "once", "body-2", now_utc=NOW) is None


def test_a_claim_whose_server_died_is_taken_over_by_one_caller(operations):
    operations.claim("k", "once", "body", now_utc=NOW)
    later = NOW + timedelta(minutes=2)
    assert operations.claim("k", "once", "body", now_utc=later) is None
    with pytest.raises(IdempotencyConflict):
        operations.claim("k", "once", "body", now_utc=later)


def test_a_released_claim_may_be_made_again_and_old_answers_are_forgotten(operations):
    operations.claim("k", "once", "body", now_utc=NOW)
    operations.release("k", "once")
    assert operations.claim("k", "once", "other body", now_utc=NOW) is None
    operations.settle("k", "once", Answer(202, "{}"))
    operations.release("k", "once")
    assert operations.claim("k", "once", "other body", now_utc=NOW) == Answer(202, "{}")
    assert operations.claim("k", "once", "new body", now_utc=NOW + timedelta(days=8)) is None


def test_of_many_equal_requests_at_once_one_does_the_work(operations):
    def claim(_):
        try:
            return operations.claim("k", "once", "body", now_utc=NOW) is None
        except IdempotencyConflict:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(claim, range(24))) == 1
