"""A Ray cluster of two nodes on this machine; one is killed in the middle. `make test-scale`."""

from __future__ import annotations

import dataclasses
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from real_parts import SWEEP, cards, ended, environment, held, start, statuses, step, wait_until

pytest.importorskip("ray", reason="needs the extra `ray`")
pytestmark = [pytest.mark.scale, pytest.mark.slow]
RAY = str(Path(sys.executable).with_name("ray"))
PORT = 6_401
HEAD = ("--head", "--include-dashboard=false")
# Two addresses on a wire of their own, or one address that both nodes share.
NAMES, WIRE = ("rl-lab-head", "rl-lab-node"), ("10.77.0.1", "10.77.0.2")


@dataclasses.dataclass
class Cluster:
    """Two nodes of one CPU each.

    Attributes:
        address: Of the head.
        inside: What a command begins with to be on the head's network.
        nodes: The head, and the other one.
    """

    address: str
    inside: Sequence[str]
    nodes: list[subprocess.Popen[bytes]]


@pytest.fixture(params=["processes", "namespaces"])
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    wired = request.param == "namespaces"
    insides = [["ip", "netns", "exec", name] for name in NAMES] if wired else [[], []]
    addresses = WIRE if wired else ("127.0.0.1", "127.0.0.1")
    made = Cluster(f"{addresses[0]}:{PORT}", insides[0], [])
    if wired:
        lay_wire()
    try:
        for k, words in enumerate(([*HEAD, f"--port={PORT}"], [f"--address={made.address}"])):
            made.nodes.append(node(tmp_path, [*insides[k]], addresses[k], words))
            wait_until(lambda: answers(made), 0.5)
        wait_until(lambda: "2.0 CPU" in status(made), 1.0)
        yield made
    finally:
        for process in reversed(made.nodes):
            kill(process)
        if wired:
            cut_wire()


def lay_wire() -> None:
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and the command ip")
    cut_wire()
    commands = [f"ip netns add {name}" for name in NAMES]
    commands.append(f"ip link add eth0 netns {NAMES[0]} type veth peer name eth0 netns {NAMES[1]}")
    for name, address in zip(NAMES, WIRE, strict=True):
        inside = f"ip -n {name}"
        commands += [f"{inside} addr add {address}/24 dev eth0"]
        commands += [f"{inside} link set {device} up" for device in ("eth0", "lo")]
    for command in commands:
        done = subprocess.run(command.split(), capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this machine makes no network namespaces: {command}: {done.stderr}")


def cut_wire() -> None:
    for name in NAMES:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def node(
    folder: Path, inside: Sequence[str], address: str, words: Sequence[str]
) -> subprocess.Popen[bytes]:
    """A node; all that runs on it descends from this process."""
    common = ["--num-cpus=1", "--block", "--disable-usage-stats"]
    common += [f"--node-ip-address={address}", "--object-store-memory=100000000"]
    log = (folder / f"node{len(list(folder.glob('node*')))}.log").open("wb")
    return subprocess.Popen(
        [*inside, RAY, "start", *common, *words],
        stdout=log,
        stderr=log,
        env=environment(folder),
        start_new_session=True,
    )


def answers(cluster: Cluster) -> bool:
    """Whether the head listens; on another network only a process over there can tell."""
    assert all(process.poll() is None for process in cluster.nodes), "a node ended: see its log"
    host, _, port = cluster.address.partition(":")
    if cluster.inside:
        code = f"import socket; socket.create_connection(({host!r}, {port}), 1)"
        command = [*cluster.inside, sys.executable, "-c", code]
        return subprocess.run(command, capture_output=True).returncode == 0
    try:
        socket.create_connection((host, int(port)), 1).close()
    except OSError:
        return False
    return True


def status(cluster: Cluster) -> str:
    assert all(process.poll() is None for process in cluster.nodes), "a node ended: see its log"
    command = [*cluster.inside, RAY, "status", "--address", cluster.address]
    return subprocess.run(command, capture_output=True, text=True).stdout


def kill(process: subprocess.Popen[bytes]) -> None:
    """A node with all its processes, those that left its group included, as a machine goes down."""
    for pid in [process.pid, *descendants(process.pid)]:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue
    process.wait()


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents if parent == ancestor]
    return found[1:]


def test_a_dead_node_costs_its_runs_and_a_repeat_completes_them(
    cluster: Cluster, tmp_path: Path
) -> None:
    words = f"{SWEEP} seed=range(4) launcher=ray launcher.address={cluster.address}"
    with held(tmp_path):
        sweep = start(words, tmp_path, cluster.inside)
        wait_until(lambda: step(tmp_path, 0) > 0 and step(tmp_path, 1) > 0)
        kill(cluster.nodes[1])
    _, err = ended(sweep, 1)
    assert "its worker was lost" in err
    before = cards(tmp_path)
    done = {name for name, state in statuses(tmp_path).items() if state == "complete"}
    assert len(done) == 3, before
    out, _ = ended(start(words, tmp_path, cluster.inside), 0)
    assert "4 runs, 3 complete already" in out
    assert statuses(tmp_path) == {f"seed_{k}": "complete" for k in range(4)}
    after = cards(tmp_path)
    assert all(after[name] == before[name] for name in done), "none is trained twice"
