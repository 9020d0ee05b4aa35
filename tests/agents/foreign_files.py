"""Files as others wrote them: of today, of old, and hostile ones; built by hand."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import pickle
import struct
import sys
import types
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

OBSERVATIONS = {
    "box": spaces.Box(-2.0, 3.0, (5,), np.float32),
    "image": spaces.Box(0, 255, (36, 40, 3), np.uint8),
    "dict": spaces.Dict(
        {
            "camera": spaces.Box(0, 255, (36, 36, 3), np.uint8),
            "mode": spaces.Discrete(4),
            "speed": spaces.Box(-1.0, 1.0, (2,), np.float32),
        }
    ),
}
ACTIONS = {
    "box": spaces.Box(np.array([-2.0, -1.0], np.float32), np.array([1.0, 3.0], np.float32)),
    "discrete": spaces.Discrete(4),
}


class Dummy(gymnasium.Env):
    """Any spaces, random transitions."""

    def __init__(self, observation_space: Any, action_space: Any) -> None:
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> Any:
        return self.observation_space.sample(), 0.0, False, False, {}

    def action_masks(self) -> np.ndarray:
        return np.ones(4, bool)


class OwnExtractor(BaseFeaturesExtractor):
    """A features extractor that no library has."""

    def __init__(self, observation_space: Any) -> None:
        super().__init__(observation_space, 3)
        self.squeeze = torch.nn.Linear(observation_space.shape[0], 3)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.squeeze(observations))


class OwnActivation(torch.nn.Module):
    """An activation function that torch does not have."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)


def normalized(env: DummyVecEnv, **keywords: Any) -> VecNormalize:
    """An environment whose running statistics are random, and matter."""
    made = VecNormalize(env, training=False, **keywords)
    if made.norm_obs:
        rms: Any = made.obs_rms
        for i, moments in enumerate(rms.values() if isinstance(rms, dict) else [rms]):
            shape, numbers = moments.mean.shape, np.random.default_rng(i)
            moments.mean, moments.var = numbers.normal(size=shape), numbers.gamma(2.0, size=shape)
    return made


def randomize(policy: torch.nn.Module) -> None:
    """Other weights than those of initialisation, and running statistics that matter."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in policy.state_dict().items():
            if tensor.dtype.is_floating_point:
                noise = torch.randn(tensor.shape, generator=generator)
                # A running variance must stay positive.
                tensor.copy_(noise.abs() + 0.5 if "var" in name else tensor + 0.1 * noise)


class Runs:
    """Unpickled by a trusting reader, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.marker),)


def serialized(value: Any, **remarks: Any) -> dict[str, Any]:
    """A value as stable-baselines3 writes what JSON cannot hold."""
    content = value if isinstance(value, bytes) else pickle.dumps(value)
    return {
        ":type:": remarks.pop("type", "<class 'object'>"),
        ":serialized:": base64.b64encode(content).decode(),
        **remarks,
    }


@contextlib.contextmanager
def old_modules() -> Iterator[types.SimpleNamespace]:
    """The classes of gym, which is not installed, for as long as something is pickled."""
    classes, made = types.SimpleNamespace(), []
    for module, name in (("gym.spaces.box", "Box"), ("gym.spaces.discrete", "Discrete")):
        for part in ("gym", "gym.spaces", module):
            if part not in sys.modules:
                sys.modules[part] = types.ModuleType(part)
                made.append(part)
        kind = type(name, (), {"__module__": module, "__qualname__": name})
        setattr(sys.modules[module], name, kind)
        setattr(classes, name, kind)
    try:
        yield classes
    finally:
        for part in made:
            del sys.modules[part]


def aged(content: bytes) -> bytes:
    """A pickle of protocol 2 as NumPy 1 would have written it."""
    return content.replace(b"cnumpy._core.", b"cnumpy.core.")


def old_box(shape: tuple[int, ...], low: float, high: float) -> dict[str, Any]:
    """A Box of gym, as data say it: a pickle that needs gym, and readable remarks."""
    with old_modules() as gym:
        box = gym.Box()
        box.__dict__ = {
            "dtype": np.dtype("float32"),
            "_shape": shape,
            "low": np.full(shape, low, np.float32),
            "high": np.full(shape, high, np.float32),
            "np_random": np.random.RandomState(0),
        }
        content = aged(pickle.dumps(box, protocol=2))
    return serialized(
        content,
        type="<class 'gym.spaces.box.Box'>",
        dtype="float32",
        _shape=list(shape),
        low=str(np.full(shape, low, np.float32)),
        high=str(np.full(shape, high, np.float32)),
    )


def old_discrete(n: int) -> dict[str, Any]:
    """A Discrete of gym."""
    with old_modules() as gym:
        space = gym.Discrete()
        space.__dict__ = {"n": n, "dtype": np.dtype("int64")}
        content = aged(pickle.dumps(space, protocol=2))
    return serialized(content, type="<class 'gym.spaces.discrete.Discrete'>", n=n, _shape=[])


def policy_class(name: str, module: str = "stable_baselines3.common.policies") -> dict[str, Any]:
    """A policy's class, as data say it."""
    remarks = {"__module__": module, "__init__": f"<function {name}.__init__ at 0x7f0000000000>"}
    return serialized(f"c{module}\n{name}\n.".encode(), type="<class 'abc.ABCMeta'>", **remarks)


def state_dict(tensors: Mapping[str, Any]) -> bytes:
    """Tensors as torch saves them."""
    buffer = io.BytesIO()
    torch.save({name: torch.as_tensor(value) for name, value in tensors.items()}, buffer)
    return buffer.getvalue()


def write_zip(path: Path, data: Mapping[str, Any], policy: bytes, **members: bytes) -> Path:
    """A zip laid out as stable-baselines3's."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data", json.dumps(data))
        file.writestr("policy.pth", policy)
        file.writestr("_stable_baselines3_version", "1.6.2")
        for name, content in members.items():
            file.writestr(name, content)
    return path


def old_ppo(path: Path, marker: Path, **changes: Any) -> tuple[Path, dict[str, np.ndarray]]:
    """A PPO zip of stable-baselines3 1.6 for CartPole, which would run code; and its weights."""
    numbers = np.random.default_rng(3)
    shapes = {
        "mlp_extractor.shared_net.0": (9, 4),
        "mlp_extractor.policy_net.0": (7, 9),
        "mlp_extractor.value_net.0": (5, 9),
        "action_net": (2, 7),
        "value_net": (1, 5),
    }
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = numbers.normal(size=shape).astype(np.float32)
        weights[f"{name}.bias"] = numbers.normal(size=shape[0]).astype(np.float32)
    data = {
        "policy_class": policy_class("ActorCriticPolicy"),
        "policy_kwargs": {"net_arch": [9, {"pi": [7], "vf": [5]}]},
        "observation_space": old_box((4,), -5.0, 5.0),
        "action_space": old_discrete(2),
        "ep_info_buffer": serialized(Runs(marker)),
        "clip_range": serialized(Runs(marker)),
        "gae_lambda": 0.95,
        "use_sde": False,
        "seed": 7,
        "num_timesteps": 102400,
        **changes,
    }
    return write_zip(path, data, state_dict(weights)), weights


def act_as_old_ppo(weights: Mapping[str, np.ndarray], batch: np.ndarray) -> np.ndarray:
    """The network above, written out."""
    values = batch
    for name in ("mlp_extractor.shared_net.0", "mlp_extractor.policy_net.0"):
        values = np.tanh(values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])
    return (values @ weights["action_net.weight"].T + weights["action_net.bias"]).argmax(axis=1)


def old_statistics(path: Path, size: int, marker: Path | None = None) -> tuple[Any, Any]:
    """A `vecnormalize.pkl` of gym and NumPy 1, which may run code; and its mean and variance."""
    env = DummyVecEnv([lambda: Dummy(spaces.Box(-1, 1, (size,), np.float32), ACTIONS["discrete"])])
    made = normalized(env)
    with old_modules() as gym:
        for name in ("observation_space", "action_space"):
            setattr(made, name, gym.Box())
        made.old_reward = Runs(marker) if marker else np.zeros(1)
        path.write_bytes(aged(pickle.dumps(made, protocol=2)))
    return made.obs_rms.mean, made.obs_rms.var


def zoo_folder(folder: Path, environment: str, config: str, arguments: str) -> Path:
    """A run folder of the RL Zoo around an old PPO zip; gives the folder of its texts."""
    inner = folder / environment
    inner.mkdir(parents=True)
    (inner / "config.yml").write_text(config)
    (inner / "args.yml").write_text(arguments)
    return inner


def hostile_zips(folder: Path) -> dict[str, Path]:
    """Zips that break one rule each, by the words that name the rule."""

    def written(name: str, members: list[tuple[str, bytes]], deflate: bool = False) -> Path:
        path = folder / f"{name}.zip"
        kind = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", kind) as file:
            warnings.simplefilter("ignore")
            for member, content in members:
                file.writestr(member, content)
        return path

    data = ("data", b"{}")
    found = {
        "points outside": written("outside", [data, ("../evil", b"x")]),
        "is called '/evil'": written("absolute", [data, ("/evil", b"x")]),
        "is called 'C:": written("drive", [data, ("C:\\evil", b"x")]),
        "two members called 'data'": written("doubled", [data, data]),
        "expands": written("bomb", [("data", bytes(20_000_000))], deflate=True),
        "damaged": written("damaged", [("data", b'{"a": 1234567}')]),
        "is encrypted": written("encrypted", [data]),
        "overlap": written("overlap", [("data", b"x" * 5000)]),
        "not a zip": folder / "text.zip",
    }
    found["not a zip"].write_bytes(b"nothing of the kind")
    content = found["damaged"].read_bytes()
    found["damaged"].write_bytes(content.replace(b"1234567", b"7654321"))
    content = bytearray(found["is encrypted"].read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    found["is encrypted"].write_bytes(bytes(content))
    _overlap(found["overlap"])
    return found


def _overlap(path: Path) -> None:
    """A second entry of the directory that shares the first one's bytes."""
    content = path.read_bytes()
    start = content.index(b"PK\x01\x02")
    end = content.index(b"PK\x05\x06")
    entry = content[start:end]
    second = entry.replace(b"data", b"date")
    tail = bytearray(content[end:])
    struct.pack_into("<HH", tail, 8, 2, 2)
    struct.pack_into("<I", tail, 12, 2 * len(entry))
    path.write_bytes(content[:end] + second + bytes(tail))
