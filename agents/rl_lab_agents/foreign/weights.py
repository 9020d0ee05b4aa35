"""The tensors in a zip, read by torch's own reader of plain tensors."""

from __future__ import annotations

import io
import warnings

import torch

from rl_lab.errors import BadInput
from rl_lab_agents.foreign import archive

_ZIP = b"PK\x03\x04"


def read(content: bytes, where: str) -> dict[str, torch.Tensor]:
    """The state dict in a `policy.pth`.

    Raises:
        BadInput: It holds anything but tensors, or a tensor that claims more than the file holds.
    """
    if content.startswith(_ZIP):  # as torch tells it from its older form
        archive.checked(content, f"{where}, policy.pth")
    try:
        # Never retried with weights_only off: a file that fails here is refused.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        # Torch's reader fails in many ways on a broken file; all of them mean this one thing.
        text = " ".join(str(error).split())[:160]
        raise BadInput(
            f"{where}: policy.pth holds more than tensors, or is damaged: {text}",
            "a state dict of tensors",
        ) from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise BadInput(f"{where}: policy.pth is no state dict", "tensors by name")
    kept = {name: t.detach() for name, t in found.items() if isinstance(t, torch.Tensor)}
    for name, tensor in kept.items():
        if tensor.layout != torch.strided or tensor.nelement() * tensor.element_size() > len(
            content
        ):
            raise BadInput(f"{where}: tensor {name!r} is larger than the file", "an honest file")
    return kept
