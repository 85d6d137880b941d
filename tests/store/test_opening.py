"""Unusable databases, and the messages about them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import event

from bridge.domain.errors import (
    SchemaTooNewError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFullError,
    StoreUncertainError,
)
from bridge.domain.request import RequestState
from bridge.ports import DecisionFilter, RequestFilter, TickChanges
from bridge.store import opening
from bridge.store.opening import MIGRATIONS, generation, revisions
from bridge.store.sql import SqlStore
from tests.support.postgres import postgres
from tests.support.processes import free_port
from tests.support.release import next_migrations
from tests.support.store_records import decision, record_of


def test_a_new_file_is_created_with_its_folder_and_private(tmp_path: Path) -> None:
    """Requests may contain confidential names."""
    path = tmp_path / "deep" / "bridge.db"
    SqlStore.open_sqlite(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_committed_is_there_after_closing(tmp_path: Path) -> None:
    """The file is the source of truth."""
    store = SqlStore.open_sqlite(tmp_path / "bridge.db")
    store.commit(TickChanges("g", 7, requests=[record_of()], at=7))
    store.close()
    again = SqlStore.open_sqlite(tmp_path / "bridge.db")
    assert dict(again.load(0).slots) == {"g": 7}
    assert again.request(record_of().id) == record_of()
    again.close()


def test_a_second_process_is_refused_with_the_id_of_the_first(tmp_path: Path) -> None:
    """Two bridges on one file would settle the same deliveries."""
    store = SqlStore.open_sqlite(tmp_path / "bridge.db")
    with pytest.raises(StoreBusyError, match=f"in use by process {os.getpid()}; stop it, or use another"):
        SqlStore.open_sqlite(tmp_path / "bridge.db")
    store.close()
    SqlStore.open_sqlite(tmp_path / "bridge.db").close()


def test_a_file_that_is_no_database_is_refused_and_not_changed(tmp_path: Path) -> None:
    """Nothing is overwritten that may still be needed."""
    path = tmp_path / "bridge.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreCorruptError, match="damaged or not a database of retrain-bridge"):
        SqlStore.open_sqlite(path)
    assert path.read_bytes() == b"this is not a database" * 100


def test_a_damaged_page_is_reported_as_damage(tmp_path: Path) -> None:
    """Not a traceback."""
    path = tmp_path / "bridge.db"
    store = SqlStore.open_sqlite(path)
    store.commit(TickChanges("g", 1, decisions=[decision(slot) for slot in range(2000)], at=1))
    store.close()
    data = bytearray(path.read_bytes())
    data[4096 * 3 :] = os.urandom(len(data) - 4096 * 3)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"damaged|malformed"):
        _read_everything(path)


def _read_everything(path: Path) -> None:
    store = SqlStore.open_sqlite(path)
    try:
        store.decisions(DecisionFilter(limit=10_000))
        store.load(0)
    finally:
        store.close()


def test_a_newer_schema_is_refused_with_both_versions(tmp_path: Path) -> None:
    """An older program must not write into it."""
    path = tmp_path / "bridge.db"
    SqlStore.open_sqlite(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(
        SchemaTooNewError, match="has schema 9999, this version supports up to 0009; run the newer version"
    ):
        SqlStore.open_sqlite(path)


def test_a_newer_schema_of_the_same_generation_is_used_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After an upgrade that only added to the schema, the previous version writes and reads; so does the newer one."""
    path, (migrations, revision) = tmp_path / "bridge.db", next_migrations(tmp_path)
    for slot, newer in enumerate((False, True, False, True), start=1):
        caplog.clear()
        with monkeypatch.context() as patched:
            if newer:
                patched.setattr(opening, "MIGRATIONS", migrations)
            with contextlib.closing(SqlStore.open_sqlite(path)) as store:
                store.commit(TickChanges("g", slot, requests=[record_of(start=100 * slot)], at=slot))
                assert dict(store.load(0).slots) == {"g": slot}
                assert len(store.requests(RequestFilter())) == slot
        assert ("has the schema of a newer version, which this version can use" in caplog.text) == (slot == 3)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision,)]
        assert connection.execute("SELECT DISTINCT remark FROM requests").fetchall() == [("none",)]


def test_revisions_are_of_a_generation_and_a_number() -> None:
    """The last two of four digits count the migrations that older versions can follow."""
    assert generation("0109") == generation("0110") != generation("0009")
    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions())


def test_a_full_disk_loses_nothing_that_was_committed_and_heals(tmp_path: Path) -> None:
    """While the disk is full, a commit fails as a whole; with space again, the next one succeeds."""
    store = SqlStore.open_sqlite(tmp_path / "bridge.db")
    store.commit(TickChanges("g", 1, requests=[record_of()], at=1))
    with store._write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    _limit(store, int(pages or 0))
    with pytest.raises(StoreFullError, match="committed data is safe, free some space"):
        store.commit(TickChanges("g", 2, decisions=[decision(2) for _ in range(5000)], at=2))
    assert dict(store.load(0).slots) == {"g": 1}
    assert store.decisions(DecisionFilter()) == []
    _limit(store, 1_000_000)
    store.commit(TickChanges("g", 2, decisions=[decision(2)], at=2))
    assert (dict(store.load(0).slots), len(store.decisions(DecisionFilter()))) == ({"g": 2}, 1)
    store.close()


def _limit(store: SqlStore, pages: int) -> None:
    """Limit the file to a number of pages, for every connection of the pool."""
    store._engine.dispose()
    event.listen(store._engine, "connect", lambda raw, _: raw.execute(f"PRAGMA max_page_count={pages}"))


@pytest.mark.parametrize("column", ["state", "hold"])
def test_a_value_of_a_newer_version_is_named_at_the_start(tmp_path: Path, column: str) -> None:
    """With the row: the bridge does not start with a database that it would misread."""
    with contextlib.closing(SqlStore.open_sqlite(tmp_path / "bridge.db")) as store:
        record = record_of()
        store.commit(TickChanges("g", 1, requests=[record], at=1))
        with store._write() as connection:
            connection.exec_driver_sql(f"UPDATE requests SET {column} = 'novel'")
        with pytest.raises(
            StoreError, match=f"column {column} of table requests has the value 'novel' in .*{record.id}"
        ):
            store.load(0)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The path and the reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file is not a directory; correct --storage\.path"):
        SqlStore.open_sqlite(tmp_path / "file" / "bridge.db")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("not a url", "invalid; write postgresql://"),
        ("mysql://u:secret@h/d", "a database URL must be PostgreSQL, not mysql"),
    ],
)
def test_a_wrong_url_is_refused_without_its_password(url: str, message: str) -> None:
    """The message has the remedy, but not the secret."""
    with pytest.raises(StoreError, match=message) as caught:
        SqlStore.open_url(url)
    assert "secret" not in str(caught.value)


def test_a_database_server_that_is_away_is_a_store_error_without_the_password() -> None:
    """Nothing listens there."""
    with pytest.raises(StoreError) as caught:
        SqlStore.open_url(f"postgresql://bridge:hunter2@127.0.0.1:{free_port()}/bridge")
    assert "hunter2" not in str(caught.value)


def test_parameters_of_libpq_in_the_url_apply() -> None:
    """A server without TLS is refused if the URL requires it."""
    with postgres() as server:
        url = server.database()
        with pytest.raises(StoreError, match="SSL"):
            SqlStore.open_url(f"{url}?sslmode=require")
        SqlStore.open_url(f"{url}?sslmode=disable").close()


def test_a_second_process_on_one_postgresql_database_is_refused() -> None:
    """Until the first one releases it; another database is not affected."""
    with postgres() as server:
        url = server.database()
        first = SqlStore.open_url(url)
        with pytest.raises(StoreBusyError, match="is in use by another process"):
            SqlStore.open_url(url)
        SqlStore.open_url(server.database()).close()
        first.close()
        SqlStore.open_url(url).close()


def test_postgresql_may_go_away_and_come_back() -> None:
    """During the outage every call is a StoreError; afterwards the lock is reacquired first, and all data is there."""
    with postgres() as server, contextlib.closing(SqlStore.open_url(server.database())) as store:
        store.commit(TickChanges("g", 1, requests=[record_of()], at=1))
        server.program.kill()
        with pytest.raises(StoreError):
            store.commit(TickChanges("g", 2, at=2))
        server.start()
        with pytest.raises(StoreUncertainError):
            store.commit(TickChanges("g", 3, at=3))
        store.commit(TickChanges("g", 3, at=3))
        assert dict(store.load(0).slots) == {"g": 3}
        assert [item.state for item in store.requests(RequestFilter())] == [RequestState.REQUESTED]


WRITER = """
import sys
from pathlib import Path
from bridge.ports import TickChanges
from bridge.store.sql import SqlStore
from tests.support.store_records import decision
store = SqlStore.open_sqlite(Path(sys.argv[1]))
slot = store.load(0).slots.get("g", 0)
while True:
    slot += 1
    store.commit(TickChanges("g", slot, decisions=[decision(slot) for _ in range(50)], at=slot))
    print(slot, flush=True)
"""


def test_every_acknowledged_commit_survives_kill_9_and_none_is_there_in_part(tmp_path: Path) -> None:
    """A writer is killed ten times during commits; each tick writes 50 decisions."""
    path = tmp_path / "bridge.db"
    for kills in range(10):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        printed = [int(writer.stdout.readline()) for _ in range(5 + kills)]
        writer.kill()
        printed += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
        writer.wait(300)
        writer.stdout.close()
        store = SqlStore.open_sqlite(path)
        slot = store.load(0).slots["g"]
        assert slot >= printed[-1]
        assert len(store.decisions(DecisionFilter(limit=100_000))) == 50 * slot
        store.close()


def test_an_up_to_date_database_opens_without_alembic(tmp_path: Path) -> None:
    """Its import takes a quarter of a start."""
    SqlStore.open_sqlite(tmp_path / "bridge.db").close()
    code = (
        "import sys\nfrom pathlib import Path\nfrom bridge.store.sql import SqlStore\n"
        "SqlStore.open_sqlite(Path(sys.argv[1])).close()\nassert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "bridge.db")], check=True)


def test_the_file_names_of_migrations_are_their_revisions() -> None:
    """The revision of a database is compared with them."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert revisions()[-1] == script.get_current_head()
    assert set(revisions()) == {item.revision for item in script.walk_revisions()}
