"""TensorBoard on the outputs folder, reachable from this machine only.

usage: rl-lab tensorboard [FOLDER] [port=6006]

From another machine: ssh -L 6006:localhost:6006 THIS_MACHINE, then open http://localhost:6006
"""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from rl_lab.cli.options import Options
from rl_lab.cli.words import only
from rl_lab.errors import EXIT_DONE, EXIT_FAILED, BadInput


def run(options: Options, words: list[str]) -> int:
    """Serve until Ctrl-C; returns the exit code."""
    folders = [word for word in words if "=" not in word]
    given = only([word for word in words if "=" in word], {"port": "6006"})
    folder = Path(folders[0] if folders else "outputs")
    if len(folders) > 1:
        raise BadInput(" ".join(folders), "one folder", "Give the one that holds them all.")
    if not folder.is_dir():
        raise BadInput(f"no folder {folder}", "an existing folder", "Train something first.")
    port = str(given["port"])
    if not port.isdigit() or not 0 <= int(port) <= 65535:
        raise BadInput(f"port={port}", "a port number from 0 to 65535")
    # Only there because of an untrusted log folder: the projector plugin reads the files it names.
    if any(folder.rglob("projector_config.pbtxt")):
        raise BadInput(
            f"{folder} holds a projector_config.pbtxt",
            "logs that rl-lab wrote",
            "That file can make TensorBoard read any file of yours; remove it.",
        )
    _require_free(int(port))
    if not any(folder.rglob("events.out.tfevents.*")):
        print(f"{folder} holds no logs yet; what comes is shown as it comes")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder)]
    command += ["--host", "127.0.0.1", "--port", port]
    print(f"TensorBoard on {folder}: http://localhost:{port} (Ctrl-C stops it)", flush=True)
    process = subprocess.Popen(command)
    try:
        return EXIT_FAILED if process.wait() else EXIT_DONE
    except KeyboardInterrupt:
        return EXIT_DONE
    finally:
        process.terminate()
        process.wait()


def _require_free(port: int) -> None:
    if port == 0:
        return  # TensorBoard finds one itself
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BadInput(
                f"port={port} cannot be had: {error.strerror}",
                "a free port",
                f"Another TensorBoard may be there: http://localhost:{port}. Else port={port + 1}.",
            ) from error
