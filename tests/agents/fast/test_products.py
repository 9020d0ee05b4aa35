from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="needs the extra `fast`")

from rl_lab_agents.fast import compiled, products

# Rows, inputs, outputs: one block, blocks of rows, blocks of outputs, remainders, too large.
SHAPES = [
    (1, 4, 2),
    (3, 5, 7),
    (8, 256, 256),
    (64, 64, 64),
    (64, 256, 256),
    (67, 255, 257),
    (100, 300, 400),
    (128, 64, 64),
    (256, 4, 64),
    (256, 64, 64),
    (257, 63, 65),
    (256, 64, 1),
    (256, 256, 256),
    (300, 700, 1500),
]


@pytest.fixture(params=SHAPES, ids=str)
def layer(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, inputs, outputs = request.param
    draws = np.random.default_rng(0)
    shapes = (rows, inputs), (outputs, inputs), (rows, outputs)
    x, weights, d = (draws.standard_normal(shape, np.float32) for shape in shapes)
    return x, weights, d


def agrees(found: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Compare with the product in float64, within the rounding of sums of its terms."""
    exact = a.astype(float) @ b.astype(float)
    bound = np.abs(a).astype(float) @ np.abs(b).astype(float)
    assert np.all(np.abs(found - exact) <= 1e-6 * bound)


def filled(*shape: int) -> np.ndarray:
    return np.full(shape, np.nan, np.float32)


def test_a_layer(layer: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    x, weights, d = layer
    out = filled(*d.shape)
    products.of_layer(x, weights, out)
    agrees(out, x, weights.T)


def test_the_gradient_of_its_input(layer: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    x, weights, d = layer
    out = filled(*x.shape)
    products.through_weights(d, weights, out)
    agrees(out, d, weights)


def test_the_gradient_of_its_weights(layer: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    x, weights, d = layer
    out = filled(*weights.shape)
    products.of_weights(d, x, out)
    agrees(out, d.T, x)


def test_the_gradient_of_its_biases(layer: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    d = layer[2]
    out = filled(d.shape[1])
    products.of_biases(d, out)
    agrees(out[None], np.ones((1, len(d)), np.float32), d)


def test_a_network_gives_the_same_from_turned_weights() -> None:
    draws = np.random.default_rng(1)
    layers = np.array([[5, 33, 0, 165], [33, 3, 198, 297]])
    params = draws.standard_normal(300, np.float32)
    x = draws.standard_normal((17, 5), np.float32)
    usual, turned = filled(17 * 36), filled(17 * 36)
    compiled.forward(params, layers, compiled.TANH, compiled.LINEAR, x, usual)
    whole = compiled.turned(params, layers)
    compiled.forward(whole, layers, compiled.TANH, compiled.LINEAR, x, turned, True)
    np.testing.assert_allclose(turned, usual, rtol=1e-5, atol=1e-5)
    # The parameters themselves are untouched, and every one of them is somewhere in the copy.
    assert np.array_equal(np.sort(whole), np.sort(params))
