"""Loss and gradient of every compiled update are those of stable-baselines3 on the same batch."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from torch.nn import functional

pytest.importorskip("numba", reason="needs the extra 'fast'")

from rl_lab_agents import binding
from rl_lab_agents.fast import (
    a2c,
    actor_critic,
    compiled,
    critics,
    delayed_actor,
    dqn,
    losses,
    network,
    optimizers,
    ppo,
    q_learning,
    rollout,
    sac,
    soft_actor,
    td3,
)

from rl_lab.environments import CheckedEnv

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
ROWS, NUMBERS = 48, 5
SPACES = {
    "discrete": gymnasium.spaces.Discrete(3),
    "multi_discrete": gymnasium.spaces.MultiDiscrete([2, 4]),
    "box": gymnasium.spaces.Box(-1.0, 2.0, (2,), np.float32),
}


class Still(gymnasium.Env[Any, Any]):
    """Only its spaces matter."""

    observation_space = gymnasium.spaces.Box(-1.0, 1.0, (NUMBERS,), np.float32)

    def __init__(self, action_space: gymnasium.Space[Any]) -> None:
        self.action_space = action_space


def model_of(kind: Any, space: str, spread: float = 0.3, **keywords: Any) -> Any:
    torch.manual_seed(3)
    model = kind("MlpPolicy", Still(SPACES[space]), device="cpu", seed=1, **keywords)
    # Weights as after some learning: the initial ones are tiny in the last layer.
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter.add_(spread * torch.randn_like(parameter))
    return model


def gradients(flat: binding.Flat, parameters: Any) -> np.ndarray:
    """Torch's gradients in the flat order; zero where there is none."""
    out = np.zeros_like(flat.values)
    for parameter in parameters:
        if parameter.grad is not None:
            at = flat.offsets[id(parameter)]
            out[at : at + parameter.numel()] = parameter.grad.numpy().ravel()
    return out


def batch(columns: int, draws: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        "x": draws.standard_normal((ROWS, NUMBERS), np.float32),
        "following": draws.standard_normal((ROWS, NUMBERS), np.float32),
        "actions": draws.uniform(-1, 1, (ROWS, columns)).astype(np.float32),
        "rewards": draws.standard_normal(ROWS, np.float32),
        "ends": (draws.random(ROWS) < 0.2).astype(np.float32),
    }


# Actor-critic --------------------------------------------------------------------------------


CASES = [
    (ppo.FastPPO, "discrete", {}, None, True),
    (ppo.FastPPO, "multi_discrete", {}, 0.1, True),
    (ppo.FastPPO, "box", {"policy_kwargs": {"net_arch": [16], "log_std_init": -0.5}}, None, True),
    (ppo.FastPPO, "box", {"use_sde": True, "policy_kwargs": {"net_arch": [8, 8]}}, 0.2, True),
    (a2c.FastA2C, "discrete", {"policy_kwargs": {"activation_fn": torch.nn.ReLU}}, None, False),
    (a2c.FastA2C, "box", {"use_sde": True, "policy_kwargs": {"ortho_init": False}}, None, False),
    (a2c.FastA2C, "box", {"policy_kwargs": {"net_arch": []}}, None, False),
]


def expected_loss(
    model: Any, data: dict[str, Any], clip: float, clip_value: float | None, surrogate: bool
) -> torch.Tensor:
    """The loss as stable-baselines3's `PPO.train` and `A2C.train` write it."""
    values, log_prob, entropy = model.policy.evaluate_actions(data["x"], data["taken"])
    values, advantage = values.flatten(), data["advantage"]
    if surrogate:
        ratio = torch.exp(log_prob - data["old_log_prob"])
        bound = advantage * torch.clamp(ratio, 1 - clip, 1 + clip)
        policy_loss = -torch.min(advantage * ratio, bound).mean()
    else:
        policy_loss = -(advantage * log_prob).mean()
    if clip_value is not None:
        moved = torch.clamp(values - data["old_values"], -clip_value, clip_value)
        values = data["old_values"] + moved
    value_loss = functional.mse_loss(data["returns"], values)
    return policy_loss + 0.01 * -entropy.mean() + 0.5 * value_loss


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0].__name__}-{c[1]}-{list(c[2])}")
def test_actor_critic(case: Any) -> None:
    kind, space, keywords, clip_value, surrogate = case
    model = model_of(kind, space, **keywords)
    env = DummyVecEnv([lambda: Monitor(CheckedEnv(Still(SPACES[space])))])
    assert network.fault(model.policy, env) == ""
    draws = np.random.default_rng(0)
    net = network.Network(model.policy)
    x = draws.standard_normal((ROWS, NUMBERS), np.float32)
    with torch.no_grad():
        taken, values, log_prob = model.policy(torch.from_numpy(x))
    actions = taken.numpy().reshape(ROWS, -1).astype(np.float32)
    data = {
        "x": x,
        # Off the current policy by more than the range of the ratio, in both directions.
        "old_log_prob": log_prob.numpy() + draws.normal(0, 0.3, ROWS).astype(np.float32),
        "advantage": draws.standard_normal(ROWS, np.float32),
        "returns": draws.standard_normal(ROWS, np.float32),
        "old_values": values.numpy().ravel() + draws.normal(0, 0.2, ROWS).astype(np.float32),
    }
    tensors: dict[str, Any] = {key: torch.from_numpy(value) for key, value in data.items()}
    loss = expected_loss(model, {**tensors, "taken": taken}, 0.2, clip_value, surrogate)
    loss.backward()

    stats, grads = np.zeros(actor_critic.STATISTICS), np.full_like(net.flat.values, np.nan)
    actor_critic.gradient(
        net.flat.values, grads, net.actor, net.critic, net.kind, net.head, net.cuts,
        net.log_std_at, x, actions, data["old_log_prob"], data["advantage"], data["returns"],
        data["old_values"], surrogate, 0.2, np.nan if clip_value is None else clip_value,
        0.01, 0.5, net.workspace(ROWS), net.workspace(ROWS), net.workspace(ROWS), stats,
    )  # fmt: skip
    np.testing.assert_allclose(stats[losses.LOSS], loss.item(), **TOLERANCE)
    np.testing.assert_allclose(grads, gradients(net.flat, model.policy.parameters()), **TOLERANCE)


@pytest.mark.parametrize("space", SPACES)
def test_drawn_actions_have_the_policys_probabilities(space: str) -> None:
    model = model_of(ppo.FastPPO, space, n_steps=2, batch_size=2)
    net = network.Network(model.policy)
    draws = np.random.default_rng(0)
    x = np.repeat(draws.standard_normal((1, NUMBERS), np.float32), 4000, axis=0)
    collected = rollout.Rollout(net, _many(model, 4000), 1)
    collected.seen[0] = x
    collected.act(0, collected.noise(draws))
    with torch.no_grad():
        taken = torch.from_numpy(collected.actions[0])
        taken = taken.long() if space != "box" else taken
        taken = taken.flatten() if space == "discrete" else taken
        values, log_prob, _ = model.policy.evaluate_actions(torch.from_numpy(x), taken)
        drawn = model.policy(torch.from_numpy(x))[0].numpy().reshape(4000, -1)
    np.testing.assert_allclose(collected.log_probs[0], log_prob.numpy(), **TOLERANCE)
    np.testing.assert_allclose(collected.values[0], values.numpy().ravel(), **TOLERANCE)
    # Two samples of the same distribution: five standard errors of the difference.
    spread = drawn.std(0) * np.sqrt(2 / 4000)
    assert (abs(collected.actions[0].mean(0) - drawn.mean(0)) < 5 * spread + 1e-6).all()


def _many(model: Any, count: int) -> Any:
    """The model's vectorised environment, said to be many."""
    env = DummyVecEnv([lambda: Monitor(CheckedEnv(Still(model.action_space)))])
    env.num_envs = count
    return env


# Deep Q-learning -----------------------------------------------------------------------------


def test_dqn() -> None:
    model = model_of(dqn.FastDQN, "discrete", buffer_size=10)
    net = dqn.Network(model.policy)
    draws = np.random.default_rng(0)
    data = batch(1, draws)
    data["rewards"] *= 3  # errors on both sides of the Huber loss's corner
    chosen = draws.integers(0, 3, ROWS)
    tensors = {key: torch.from_numpy(value) for key, value in data.items()}
    with torch.no_grad():
        best = model.q_net_target(tensors["following"]).max(dim=1).values
        aims = tensors["rewards"] + (1 - tensors["ends"]) * 0.97 * best
    values = model.q_net(tensors["x"]).gather(1, torch.from_numpy(chosen)[:, None])[:, 0]
    loss = functional.smooth_l1_loss(values, aims)
    loss.backward()

    grads, work = np.full_like(net.flat.values, np.nan), net.work(ROWS)
    target = compiled.turned(net.target.values, net.layers)
    found = q_learning.gradient(
        net.flat.values, target, grads, net.layers, net.kind, data["x"], chosen,
        data["following"], data["rewards"], data["ends"], 0.97, work, np.empty_like(work),
    )  # fmt: skip
    np.testing.assert_allclose(found, loss.item(), **TOLERANCE)
    expected = gradients(net.flat, model.q_net.parameters())
    np.testing.assert_allclose(grads, expected, **TOLERANCE)
    greedy = model.q_net(tensors["x"]).argmax(1).numpy()
    np.testing.assert_array_equal(net.greedy(data["x"]), greedy)


# SAC and TD3 ---------------------------------------------------------------------------------


def critic_loss(model: Any, tensors: Any, aims: torch.Tensor, weight: float) -> torch.Tensor:
    found = model.critic(tensors["x"], tensors["actions"])
    total: Any = weight * sum(functional.mse_loss(values[:, 0], aims) for values in found)
    return total


@pytest.mark.parametrize("count", [1, 2, 3])
def test_sac(count: int) -> None:
    keywords = {"net_arch": [32, 16], "n_critics": count}
    # A spread that leaves actions away from 1: there the library's log(1 - a^2 + 1e-6) is ill
    # conditioned in float32, and one ulp of the action moves it by a percent.
    model = model_of(sac.FastSAC, "box", 0.1, buffer_size=10, policy_kwargs=keywords)
    net = sac.Network(model)
    draws = np.random.default_rng(0)
    data, alpha = batch(2, draws), 0.3
    noise = draws.standard_normal((2, ROWS, 2), np.float32)
    tensors = {key: torch.from_numpy(value) for key, value in data.items()}

    def drawn(x: torch.Tensor, at: int) -> tuple[torch.Tensor, torch.Tensor]:
        """`Actor.action_log_prob` with given noise."""
        mean, log_std, _ = model.actor.get_action_dist_params(x)
        distribution = model.actor.action_dist.proba_distribution(mean, log_std)
        gaussian = mean + log_std.exp() * torch.from_numpy(noise[at])
        action = torch.tanh(gaussian)
        return action, distribution.log_prob(action, gaussian)

    action, log_prob = drawn(tensors["x"], 0)
    with torch.no_grad():
        following, next_log_prob = drawn(tensors["following"], 1)
        lowest = torch.cat(model.critic_target(tensors["following"], following), 1).min(1).values
        worth = lowest - alpha * next_log_prob
        aims = tensors["rewards"] + (1 - tensors["ends"]) * 0.97 * worth
    loss = critic_loss(model, tensors, aims, 0.5)
    loss.backward()
    space = net.room(ROWS)
    soft_actor.act(
        net.actor, data["x"], noise[0], space.actor, space.narrow, space.drawn, space.log_probs
    )
    np.testing.assert_allclose(space.drawn, action.detach().numpy(), **TOLERANCE)
    np.testing.assert_allclose(space.log_probs, log_prob.detach().numpy(), **TOLERANCE)
    soft_actor.aims(
        net.actor, net.critics, data["following"], data["rewards"], data["ends"], noise[1],
        0.97, alpha, space,
    )  # fmt: skip
    critics.join(data["x"], data["actions"], space.joint)
    found = critics.gradient(net.critics, 0.5, space)
    np.testing.assert_allclose(found, loss.item(), **TOLERANCE)
    both = _flat(net.critics.params, model.critic)
    expected = gradients(both, model.critic.parameters())
    np.testing.assert_allclose(net.critics.grads, expected, **TOLERANCE)

    model.critic.zero_grad()
    lowest = torch.cat(model.critic(tensors["x"], action), 1).min(1).values
    actor_loss = (alpha * log_prob - lowest).mean()
    actor_loss.backward()
    critics.join(data["x"], space.drawn, space.joint)
    critics.action_gradient(net.critics, False, space)
    soft_actor.actor_gradient(net.actor, data["x"], noise[0], alpha, space)
    found = soft_actor.actor_loss(alpha, space)
    np.testing.assert_allclose(found, actor_loss.item(), **TOLERANCE)
    flat = _flat(net.actor.params, model.actor)
    expected = gradients(flat, model.actor.parameters())
    np.testing.assert_allclose(net.actor.grads, expected, **TOLERANCE)


def _flat(values: np.ndarray, module: Any) -> binding.Flat:
    """Where a module's parameters lie, found by their memory."""
    start = values.ctypes.data
    places = {id(p): (p.data_ptr() - start) // 4 for p in module.parameters()}
    return binding.Flat(values, places)


def test_td3() -> None:
    keywords = {"net_arch": [32, 16]}
    model = model_of(td3.FastTD3, "box", buffer_size=10, policy_kwargs=keywords)
    net = td3.Network(model.policy)
    draws = np.random.default_rng(0)
    data = batch(2, draws)
    noise = draws.uniform(-0.5, 0.5, (ROWS, 2)).astype(np.float32)
    tensors = {key: torch.from_numpy(value) for key, value in data.items()}
    with torch.no_grad():
        following = model.actor_target(tensors["following"]) + torch.from_numpy(noise)
        following = following.clamp(-1, 1)
        lowest = torch.cat(model.critic_target(tensors["following"], following), 1).min(1).values
        aims = tensors["rewards"] + (1 - tensors["ends"]) * 0.97 * lowest
    loss = critic_loss(model, tensors, aims, 1.0)
    loss.backward()
    space = net.room(ROWS)
    delayed_actor.aims(
        net.actor, net.critics, data["following"], data["rewards"], data["ends"], noise, 0.97,
        space,
    )  # fmt: skip
    critics.join(data["x"], data["actions"], space.joint)
    found = critics.gradient(net.critics, 1.0, space)
    np.testing.assert_allclose(found, loss.item(), **TOLERANCE)
    both = _flat(net.critics.params, model.critic)
    expected = gradients(both, model.critic.parameters())
    np.testing.assert_allclose(net.critics.grads, expected, **TOLERANCE)

    model.critic.zero_grad()
    actor_loss = -model.critic.q1_forward(tensors["x"], model.actor(tensors["x"])).mean()
    actor_loss.backward()
    found = delayed_actor.actor_gradient(net.actor, net.critics, data["x"], space)
    np.testing.assert_allclose(found, actor_loss.item(), **TOLERANCE)
    flat = _flat(net.actor.params, model.actor)
    expected = gradients(flat, model.actor.parameters())
    np.testing.assert_allclose(net.actor.grads, expected, **TOLERANCE)


# Optimisers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.RMSprop])
def test_optimizers(kind: Any) -> None:

    torch.manual_seed(0)
    mine, theirs = (torch.nn.Linear(7, 3) for _ in range(2))
    theirs.load_state_dict(mine.state_dict())
    flat = binding.flatten(list(mine.parameters()))
    optimizer = binding.Optimizer(kind(mine.parameters(), lr=0.01, eps=1e-5), flat)
    other = kind(theirs.parameters(), lr=0.01, eps=1e-5)
    for step in range(20):
        for parameter in theirs.parameters():
            parameter.grad = torch.randn_like(parameter) * 3
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        grads = np.concatenate([p.grad.numpy().ravel() for p in theirs.parameters()])
        one, moments = np.float32(1), optimizer.moments
        if optimizer.is_adam:
            optimizers.adam(
                flat.values, grads, moments, one, 0.01, *optimizer.constants(), step + 1
            )
        else:
            first, _, eps = optimizer.constants()
            optimizers.rmsprop(flat.values, grads, moments, one, 0.01, first, eps)
        optimizer.count(1)
        other.step()
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), **TOLERANCE)
    loaded = kind(theirs.parameters(), lr=0.5)
    loaded.load_state_dict(optimizer.source.state_dict())
    assert all(float(state["step"]) == 20 for state in loaded.state.values())
    before = [state["step"].clone() for state in loaded.state.values()]
    for parameter in theirs.parameters():
        parameter.grad = torch.zeros_like(parameter)
    loaded.step()
    after = [state["step"] for state in loaded.state.values()]
    assert [float(b - a) for a, b in zip(before, after, strict=True)] == [1.0, 1.0]
