"""The store itself: its engine, checkpoints of streams, API keys, idempotency keys.

Belongs here: what intake and access need. Does not belong here: what other parts keep, which has modules of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from energy_platform.adapters.operations.metadata import METADATA
from energy_platform.domain.access import Role
from energy_platform.domain.errors import IdempotencyConflict, KeyNotFound
from energy_platform.domain.events import Checkpoint, Progress

STREAM_CHECKPOINTS = sa.Table(
    "stream_checkpoints",
    METADATA,
    sa.Column("consumer", sa.String(200), primary_key=True),
    sa.Column("stream", sa.String(200), primary_key=True),
    sa.Column("shard", sa.String(200), primary_key=True),
    sa.Column("progress", sa.String(20), nullable=False),
    sa.Column("position", sa.String(200), nullable=False),
    sa.Column("updated_at_utc", sa.DateTime, nullable=False),
)
API_KEYS = sa.Table(
    "api_keys",
    METADATA,
    sa.Column("key_id", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("role", sa.String(20), nullable=False),
    sa.Column("secret_sha256", sa.String(64), nullable=False),
    sa.Column("created_at_utc", sa.DateTime, nullable=False),
    sa.Column("revoked_at_utc", sa.DateTime),
)
IDEMPOTENCY_KEYS = sa.Table(
    "idempotency_keys",
    METADATA,
    sa.Column("key_id", sa.String(16), primary_key=True),
    sa.Column("idempotency_key", sa.String(200), primary_key=True),
    sa.Column("request_sha256", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("answer", sa.Text),
    sa.Column("claimed_at_utc", sa.DateTime, nullable=False),
)
_KEY_PREFIX = "enp"
# A request that died with its server may be sent again after this long; a living one ends sooner.
CLAIM_EXPIRES = timedelta(seconds=60)
ANSWERS_KEPT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is listed: everything but its secret, of which only a hash is kept."""

    key_id: str
    name: str
    role: Role
    created_at_utc: datetime
    revoked_at_utc: datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to a request that had an idempotency key."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Operations:
    """The store; made by ``open``, closed by ``close`` or a ``with``."""

    engine: sa.Engine

    @classmethod
    def open(cls, url: str) -> Self:
        """Connect and make the tables that are not there yet.

        Args:
            url: as SQLAlchemy writes it: ``sqlite:////path/operations.db``, ``postgresql+psycopg2://…``.
        """
        address = sa.make_url(url)
        engine = sa.create_engine(address, pool_pre_ping=address.get_backend_name() != "sqlite")
        if address.get_backend_name() == "sqlite":
            if address.database:
                Path(address.database).parent.mkdir(parents=True, exist_ok=True)
            sa.event.listen(engine, "connect", _prepare_sqlite)
        with engine.begin() as connection:
            for table in METADATA.sorted_tables:
                # Not create_all: two processes that start at once would both find the table missing.
                connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
        return cls(engine)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- checkpoints of streams

    def checkpoints(self, consumer: str, stream: str) -> dict[str, Checkpoint]:
        """How far each shard of a stream is landed by a consumer."""
        table = STREAM_CHECKPOINTS
        query = sa.select(table).where(table.c.consumer == consumer, table.c.stream == stream)
        with self.engine.connect() as connection:
            return {row.shard: Checkpoint(Progress(row.progress), row.position) for row in connection.execute(query)}

    def save_checkpoints(
        self, consumer: str, stream: str, checkpoints: Mapping[str, Checkpoint], *, now_utc: datetime
    ) -> None:
        """Set the checkpoints of some shards, in one transaction."""
        rows = [
            {
                "consumer": consumer,
                "stream": stream,
                "shard": shard,
                "progress": checkpoint.progress.value,
                "position": checkpoint.position,
                "updated_at_utc": now_utc,
            }
            for shard, checkpoint in checkpoints.items()
        ]
        if rows:
            with self.engine.begin() as connection:
                insert = self._insert(STREAM_CHECKPOINTS)
                changed = {name: insert.excluded[name] for name in ("progress", "position", "updated_at_utc")}
                connection.execute(insert.on_conflict_do_update(index_elements=_KEY, set_=changed), rows)

    # --- API keys

    def create_key(self, name: str, role: Role, *, now_utc: datetime) -> tuple[ApiKey, str]:
        """Make a key. Its text is returned once and kept nowhere: only a SHA-256 of its 256 random bits is stored."""
        key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        row = {"key_id": key_id, "name": name, "role": role.value, "created_at_utc": now_utc}
        with self.engine.begin() as connection:
            connection.execute(sa.insert(API_KEYS).values(secret_sha256=_sha256(secret), **row))
        return ApiKey(key_id, name, role, now_utc, None), f"{_KEY_PREFIX}_{key_id}_{secret}"

    def verify_key(self, text: str) -> ApiKey | None:
        """The key that a text is, or ``None`` when it is unknown, altered or revoked."""
        prefix, _, rest = text.partition("_")
        key_id, _, secret = rest.partition("_")
        if prefix != _KEY_PREFIX or not secret:
            return None
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(API_KEYS).where(API_KEYS.c.key_id == key_id)).one_or_none()
        known = row.secret_sha256 if row else _sha256("")
        if not hmac.compare_digest(known, _sha256(secret)) or row is None or row.revoked_at_utc is not None:
            return None
        return _api_key(row)

    def revoke_key(self, key_id: str, *, now_utc: datetime) -> ApiKey:
        """End a key at once; ending it again changes nothing.

        Raises:
            KeyNotFound: no key has that identifier.
        """
        mine = API_KEYS.c.key_id == key_id
        with self.engine.begin() as connection:
            update = sa.update(API_KEYS).where(mine, API_KEYS.c.revoked_at_utc.is_(None))
            connection.execute(update.values(revoked_at_utc=now_utc))
            row = connection.execute(sa.select(API_KEYS).where(mine)).one_or_none()
        if row is None:
            raise KeyNotFound(key_id)
        return _api_key(row)

    def list_keys(self) -> list[ApiKey]:
        """Every key, oldest first, revoked ones included."""
        with self.engine.connect() as connection:
            order = sa.select(API_KEYS).order_by(API_KEYS.c.created_at_utc, API_KEYS.c.key_id)
            return [_api_key(row) for row in connection.execute(order)]

    # --- idempotency keys

    def claim(self, key_id: str, idempotency_key: str, request_sha256: str, *, now_utc: datetime) -> Answer | None:
        """Take a request as one's own, or get the answer that it was given before.

        Returns:
            ``None`` when the caller must do the work and then ``settle`` or ``release`` it.

        Raises:
            IdempotencyConflict: the key belongs to another body, or the same request is being worked on.
        """
        table = IDEMPOTENCY_KEYS
        mine = sa.and_(table.c.key_id == key_id, table.c.idempotency_key == idempotency_key)
        row = {"key_id": key_id, "idempotency_key": idempotency_key, "request_sha256": request_sha256}
        with self.engine.begin() as connection:
            connection.execute(sa.delete(table).where(table.c.claimed_at_utc < now_utc - ANSWERS_KEPT))
            insert = self._insert(table).values(claimed_at_utc=now_utc, **row).on_conflict_do_nothing()
            if connection.execute(insert).rowcount == 1:
                return None
            known = connection.execute(sa.select(table).where(mine)).one()
            if known.request_sha256 != request_sha256:
                raise IdempotencyConflict(idempotency_key, problem="was used for another body", in_progress=False)
            if known.status is not None:
                return Answer(known.status, known.answer)
            # Nobody answered: the server died meanwhile, and whoever takes the claim over does the work again.
            abandoned = sa.and_(mine, table.c.status.is_(None), table.c.claimed_at_utc < now_utc - CLAIM_EXPIRES)
            if connection.execute(sa.update(table).where(abandoned).values(claimed_at_utc=now_utc)).rowcount == 1:
                return None
        raise IdempotencyConflict(idempotency_key, problem="is being worked on", in_progress=True)

    def settle(self, key_id: str, idempotency_key: str, answer: Answer) -> None:
        """Keep the answer to a claimed request; the same request is given it again."""
        table = IDEMPOTENCY_KEYS
        mine = sa.and_(table.c.key_id == key_id, table.c.idempotency_key == idempotency_key)
        with self.engine.begin() as connection:
            connection.execute(sa.update(table).where(mine).values(status=answer.status, answer=answer.body))

    def release(self, key_id: str, idempotency_key: str) -> None:
        """Give a claim back whose work failed, so that the request may be sent again at once."""
        table = IDEMPOTENCY_KEYS
        mine = sa.and_(table.c.key_id == key_id, table.c.idempotency_key == idempotency_key)
        with self.engine.begin() as connection:
            connection.execute(sa.delete(table).where(mine, table.c.status.is_(None)))

    def _insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """An INSERT that knows ON CONFLICT, which both databases write alike."""
        return postgresql.insert(table) if self.engine.dialect.name == "postgresql" else sqlite.insert(table)


@dataclass(frozen=True, slots=True)
class StreamCheckpoints:
    """The checkpoints of one consumer of one stream, as a ``CheckpointStore``."""

    operations: Operations
    consumer: str
    stream: str
    now: Callable[[], datetime]

    def load(self) -> dict[str, Checkpoint]:
        """The checkpoints by shard."""
        return self.operations.checkpoints(self.consumer, self.stream)

    def save(self, checkpoints: Mapping[str, Checkpoint]) -> None:
        """Set the checkpoints of these shards."""
        self.operations.save_checkpoints(self.consumer, self.stream, checkpoints, now_utc=self.now())


_KEY: Sequence[str] = ("consumer", "stream", "shard")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _api_key(row: sa.Row[Any]) -> ApiKey:
    return ApiKey(row.key_id, row.name, Role(row.role), row.created_at_utc, row.revoked_at_utc)


def _prepare_sqlite(connection: Any, _: object) -> None:
    """Readers beside a writer, a wait instead of an error, and a commit that survives a power cut."""
    cursor = connection.cursor()
    for pragma in ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
