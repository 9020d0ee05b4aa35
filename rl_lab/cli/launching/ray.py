"""Jobs on a Ray cluster: one task per block."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rl_lab.cli import typed
from rl_lab.cli.launching import node
from rl_lab.cli.launching.jobs import Finished, Job
from rl_lab.cli.launching.tracking import Block, cut
from rl_lab.errors import BadInput

_CONNECT_S = 5.0


class Ray:
    """Runs blocks of jobs as tasks of a running cluster.

    Args:
        folder: Where blocks say how they ended; every node must see it.
        address: `HOST:PORT` of the cluster's head, or `auto` for the one this machine belongs to.
        block: Jobs per task, one after the other.
        gpus: Share of a GPU that a job takes.

    Raises:
        BadInput: A setting is wrong, Ray is not installed, or no cluster answers.
    """

    def __init__(self, folder: Path, address: str, block: int, gpus: float) -> None:
        self._folder = folder.absolute()
        self._size = typed.positive_int(block, "launcher.block")
        self._gpus = typed.value(gpus, float, "launcher.gpus")
        self._ray = _connected(typed.value(address, str, "launcher.address"))
        self._blocks: dict[Any, Block] = {}

    def launch(self, jobs: Sequence[Job]) -> None:
        """Hand all blocks to the cluster, which runs them as places become free."""
        for block in cut(jobs, self._size, self._folder):
            threads = block.jobs[0].threads
            # Ray must not repeat a task by itself, nor run two in one process.
            task = self._ray.remote(
                num_cpus=threads, num_gpus=self._gpus, max_retries=0, max_calls=1
            )(on_node)
            self._blocks[task.remote(block.text(), os.getcwd(), threads)] = block

    def poll(self, wait_s: float) -> list[Finished]:
        """The jobs that ended since the last call; waits for the first of them, but not longer."""
        found = self._ended()
        if found or not self._blocks:
            return found
        over, _ = self._ray.wait(list(self._blocks), num_returns=1, timeout=wait_s)
        for reference in over:
            block, cause = self._blocks[reference], self._cause(reference)
            found += block.ended() + block.lost(None, cause)
            del self._blocks[reference]
        return found + self._ended()

    def _ended(self) -> list[Finished]:
        return [done for block in self._blocks.values() for done in block.ended()]

    def _cause(self, reference: Any) -> str:
        try:
            self._ray.get(reference)
        except Exception as error:
            return f"its worker was lost: {type(error).__name__}"
        return "its process died"

    @property
    def busy(self) -> bool:
        """Whether jobs have not ended yet."""
        return bool(self._blocks)

    def stop(self) -> None:
        """Cancel what waits, ask what runs to stop, and wait for it."""
        for reference in self._blocks:
            self._ray.cancel(reference)
        self._ray.wait(list(self._blocks), num_returns=len(self._blocks), timeout=60.0)


def on_node(text: str, folder: str, threads: int) -> None:
    """Run a block in a worker of the cluster; a cancelled task stops it."""
    node.Process(text, folder, threads).wait()


def _connected(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise BadInput(
            "launcher=ray needs Ray", "the extra", 'Run: pip install "rl-lab[ray]"'
        ) from error
    # Ray itself tries a silent address for half a minute.
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit():
            socket.create_connection((host, int(port)), _CONNECT_S).close()
        with _quiet():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        text = " ".join(str(error).split())[:200]
        raise BadInput(
            f"no Ray cluster answers at launcher.address={address}: {text}",
            "HOST:PORT of a running cluster, or auto on one of its machines",
            "`ray start --head` starts one; `ray status` shows it.",
        ) from error
    return ray


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on standard error, where Ray complains every second of a cluster that is gone."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
