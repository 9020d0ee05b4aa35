"""Where networks are trained: on the CPU, or on a GPU of this machine."""

from __future__ import annotations

import torch

from rl_lab.errors import BadInput


def require(word: str, algorithm: type) -> str:
    """A device that this machine has and that the algorithm can use.

    Args:
        word: As torch names it: `cpu`, `cuda`, `cuda:1`.
        algorithm: A class whose updates are bound to some devices says so in `devices`.

    Raises:
        BadInput: It is not there, or the algorithm is bound to others.
    """
    only = getattr(algorithm, "devices", (word,))
    if word not in only:
        raise BadInput(
            f"training.device={word} with {algorithm.__name__}",
            f"{' or '.join(only)}, which its updates are compiled for",
            "Choose the agent without fast_ in its name, or leave training.device out.",
        )
    try:
        torch.zeros(1, device=word).item()
    except (RuntimeError, AssertionError) as error:
        built = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]
        raise BadInput(
            f"training.device={word}: {str(error).splitlines()[0].rstrip('.')[:200]}",
            "cpu, or a device that this machine and its torch have",
            "Leave training.device out to train on the CPU."
            if built
            else "This torch was built for CPUs; install one that was built for CUDA.",
        ) from error
    # Convolutions of ten bits would choose other actions than the frozen policy with its 23.
    torch.backends.cudnn.allow_tf32 = False
    return word
