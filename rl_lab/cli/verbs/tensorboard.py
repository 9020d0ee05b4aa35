"""TensorBoard on the outputs folder, reachable from this machine only.

usage: rl-lab tensorboard [FOLDER] [port=6006]

From another machine: ssh -L 6006:localhost:6006 THIS_MACHINE, then open http://localhost:6006
"""

from __future__ import annotations

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
    if len(folders) > 1 or not folder.is_dir():
        given_folders = " ".join(folders) or str(folder)
        raise BadInput(given_folders, "one existing folder", "Train something first.")
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
