"""What every table of the operations store is registered with, so that opening the store makes them all."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()
