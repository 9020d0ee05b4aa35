"""Where studies are kept: a journal file, or a database by its address."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import optuna
from optuna.storages.journal import JournalFileBackend

from rl_lab.errors import BadInput
from rl_lab.search.secrets import without_password

_JOURNAL = "study.journal"
# Of every database that Optuna has made its own.
_OPTUNAS = {"studies", "trials", "version_info"}
# Those that Optuna makes, for where it does not say itself what they are.
_MADE = {
    *(*_OPTUNAS, "alembic_version", "study_directions", "trial_heartbeats", "trial_params"),
    *("study_user_attributes", "study_system_attributes", "trial_intermediate_values"),
    *("trial_user_attributes", "trial_system_attributes", "trial_values"),
}
_VERSION_COLUMNS = {"schema_version", "library_version"}


def storage(url: str | None, folder: Path) -> Any:
    """Where the study is kept.

    Args:
        url: `sqlite:///FILE`, `postgresql+psycopg://...`; None is a journal file.
        folder: Of the journal file, and of the lock under which tables are made.

    Raises:
        BadInput: As `require_usable`.
    """
    require_usable(url)
    with _explained(url or str(folder)):
        if url is None:
            folder.mkdir(parents=True, exist_ok=True)
            backend = JournalFileBackend(str(folder / _JOURNAL))
            return optuna.storages.JournalStorage(backend)
        # Two that make the tables at the same moment would collide; the folder is shared.
        with waiting(folder / LOCK):
            return optuna.storages.RDBStorage(url)


def knows(url: str | None, folder: Path, name: str) -> bool:
    """Whether a study of that name is kept; nothing is made where there is none.

    Args:
        url: As `storage` takes it.
        folder: As `storage` takes it.
        name: Of the study.

    Raises:
        BadInput: As `require_usable`.
    """
    require_usable(url)
    if url is None:
        there = (folder / _JOURNAL).exists()
    else:
        with _explained(url):
            there = set(_tables(url)) >= _OPTUNAS
    return there and name in optuna.get_all_study_names(storage(url, folder))


@contextlib.contextmanager
def _explained(place: str) -> Iterator[None]:
    """Whatever Optuna and the drivers raise as one line, without a password."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(
            f"storage {without_password(place)} cannot be used: {_first(error, place)}",
            "a database that answers and is Optuna's, or none for a journal file",
            "Look at storage=URL: sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE.",
        ) from error


def require_usable(url: str | None) -> None:
    """Refuse a database that cannot hold studies, in which Optuna would make tables unasked.

    Raises:
        BadInput: It cannot be reached, lacks a driver, or holds tables of something else; nothing
            was changed in it.
    """
    if url is None:
        return
    with _explained(url):
        found = _tables(url)
    if not _are_optunas(found):
        some = ", ".join(sorted(found)[:5]) + (", ..." if len(found) > 5 else "")
        raise BadInput(
            f"storage {without_password(url)} holds tables of something else: {some}",
            "an empty database, or one of Optuna's",
            "Make a database for the search, or leave storage= out for a journal file.",
        )


def _tables(url: str) -> dict[str, set[str]]:
    """The names of a database's tables, each with those of its columns."""
    import sqlalchemy

    engine = sqlalchemy.create_engine(url)
    if engine.dialect.name == "sqlite" and _is_new(engine.url.database):
        return {}  # to connect would make the file
    try:
        inspector = sqlalchemy.inspect(engine)
        names = inspector.get_table_names()
        return {n: {column["name"] for column in inspector.get_columns(n)} for n in names}
    finally:
        engine.dispose()


def _is_new(database: str | None) -> bool:
    """Whether SQLite would make a file; where it cannot, it is left to say why."""
    if not database or database == ":memory:":
        return True
    path = Path(urlsplit(database).path if database.startswith("file:") else database)
    return not path.exists() and path.parent.is_dir() and os.access(path.parent, os.W_OK)


def _are_optunas(found: Mapping[str, set[str]]) -> bool:
    """Whether tables, with their columns, are Optuna's: all of a finished set, or some of today's.

    Another worker may be making them at this moment.
    """
    if set(found) >= _OPTUNAS:
        return found["version_info"] >= _VERSION_COLUMNS
    try:
        from optuna.storages._rdb import models

        made = models.BaseModel.metadata.tables
        tables = {name: {*table.columns.keys()} for name, table in made.items()}
    except (ImportError, AttributeError):  # they are private to Optuna
        return set(found) <= _MADE
    return all(tables.get(name) == columns for name, columns in found.items())


def _first(error: Exception, url: str) -> str:
    text = " ".join(str(error).split()).split(" (Background on")[0].split(" [SQL:")[0]
    # Some releases of SQLAlchemy quote an address that they cannot read.
    text = text.replace(url, without_password(url))
    return f"{type(error).__name__}: {text[:200]}"


LOCK = "storage.lock"


@contextlib.contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Hold a file that others wait for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        with contextlib.suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
