"""A PostgreSQL server of this machine's own: workers that share a study. `make test-scale`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_parts import ended, held, start, wait_until

pytest.importorskip("optuna", reason="needs the extra `tune`")
pytest.importorskip("psycopg", reason="needs the extra `tune`")
from studying import three_at_once

pytestmark = [pytest.mark.scale, pytest.mark.slow]
PORT, SECRET = 6_432, "not-to-be-seen"
TRIALS = 6
INSTALL = Path(__file__).with_name("install.sh")


def binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return found[-1].parent if found else None


def install() -> str:
    """Install the server; why that is not possible, or nothing."""
    command = [INSTALL, "postgresql"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if shutil.which("service"):  # the package starts one of its own
        subprocess.run(["service", "postgresql", "stop"], capture_output=True)
    return done.stdout.strip() if done.returncode else ""


def as_postgres(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The server refuses to run as root."""
    command = ["runuser", "-u", "postgres", "--", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}"
    return done


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server without databases of ours."""
    if os.geteuid():
        pytest.skip("a PostgreSQL server of its own needs root")
    why_not = "" if binaries() else install()
    place = binaries()
    if place is None:
        pytest.skip(f"PostgreSQL's Debian package cannot be installed here: {why_not}")
    folder = Path(as_postgres("mktemp", "-d").stdout.strip())
    control = (place / "pg_ctl", "-D", folder / "db", "-w", "-l", folder / "log")
    options = f"-p {PORT} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    try:
        as_postgres("sh", "-c", f"echo {SECRET} > {folder}/secret")
        password = f"--pwfile={folder}/secret"
        made = ("--no-sync", "--auth=scram-sha-256", "--username=me", password)
        as_postgres(place / "initdb", "-D", folder / "db", *made)
        as_postgres(*control, "-o", options, "start")
        try:
            yield f"postgresql+psycopg://me:{SECRET}@127.0.0.1:{PORT}"
        finally:
            as_postgres(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def database(server: str, name: str) -> str:
    """Address of a new, empty database."""
    import psycopg

    with psycopg.connect(f"{server.replace('+psycopg', '')}/postgres", autocommit=True) as there:
        there.execute(f"create database {name}")
    return f"{server}/{name}"


def test_two_of_four_workers_are_killed_and_no_trial_is_lost(server: str, tmp_path: Path) -> None:
    words = (
        "tune env=Held-v0 env.imports=[held_world] agent=dqn training.steps=300 seeds=1 checks=1 "
        f"winner_seeds=1 episodes=2 sampler=random pruner=none trials={TRIALS} workers=4 "
        f"launcher.jobs=4 storage={database(server, 'search')}"
    )
    with held(tmp_path):
        search = start(words, tmp_path)
        beats = "outputs/tune/*/*/train/*/*/seed_0/progress.json"
        wait_until(lambda: search.poll() is not None or len(list(tmp_path.glob(beats))) == 4)
        found = workers(search.pid)
        assert len(found) == 4
        assert SECRET not in " ".join(found.values())
        for pid in list(found)[:2]:
            os.kill(pid, signal.SIGKILL)
    out, err = ended(search, 0)
    assert err.count("killed by signal 9") == 2, err
    assert SECRET not in out + err
    (path,) = tmp_path.glob("outputs/tune/*/*/study.json")
    trials = json.loads(path.read_text())["trials"]
    assert sum(t["counts"] for t in trials) == TRIALS
    assert {t["state"] for t in trials if t["counts"]} == {"complete"}
    values = [json.dumps(t["values"]) for t in trials if t["counts"]]
    assert len(set(values)) == TRIALS, "each is counted once"
    dead = [json.dumps(t["values"]) for t in trials if not t["counts"] and t["values"]]
    assert len(dead) == 2
    assert set(dead) <= set(values), "what the dead had in hand was tried again"


def workers(search: int) -> dict[int, str]:
    """Workers of a search by process id, and their command lines."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    blocks = [int(pid) for pid, parent, _ in rows if int(parent) == search]
    return {int(pid): args for pid, parent, args in rows if int(parent) in blocks}


def test_three_workers_on_a_new_database_at_once(server: str, tmp_path: Path) -> None:
    url = database(server, "fresh")
    assert three_at_once(tmp_path, url) == [0, 0, 0]
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as there:
        found = there.execute("select state, count(*) from trials group by state").fetchall()
    assert dict(found)["COMPLETE"] == 12


def test_a_database_of_something_else_is_left_as_it_is(server: str, tmp_path: Path) -> None:
    import psycopg

    url = database(server, "theirs")
    with psycopg.connect(url.replace("+psycopg", "")) as there:
        there.execute("create table patients (name text)")
    words = f"tune env=CartPole-v1 agent=a2c trials=1 storage={url}"
    _, err = ended(start(words, tmp_path), 2)
    assert "holds tables of something else: patients" in err
    assert SECRET not in err
    with psycopg.connect(url.replace("+psycopg", "")) as there:
        rows = there.execute("select tablename from pg_tables where schemaname = 'public'")
        assert rows.fetchall() == [("patients",)]
