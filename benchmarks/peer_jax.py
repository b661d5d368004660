"""JAX's side of bench_hybridize.py: the MLP under `jax.jit` with the weights as arguments."""

from functools import partial
from typing import Any

import jax
import networks
import numpy as np
from jax import numpy as jnp
from timing import Job, serve


Weights = list[tuple[jax.Array, jax.Array]]


def given() -> Weights:
    """Return the layers' weights, with inputs first: the order that is fast in JAX."""
    flat = [jnp.asarray(weight.T) for weight in networks.weights("mlp")]
    return list(zip(flat[::2], flat[1::2], strict=True))


def output(weights: Weights, x: jax.Array) -> jax.Array:
    for weight, bias in weights[:-1]:
        x = jax.nn.relu(x @ weight + bias)
    weight, bias = weights[-1]
    return x @ weight + bias


def loss_of(weights: Weights, x: jax.Array, y: jax.Array) -> jax.Array:
    logs = jax.nn.log_softmax(output(weights, x))
    return -jnp.take_along_axis(logs, y[:, None], axis=1).mean()


@partial(jax.jit, donate_argnums=0)
def trained(weights: Weights, x: jax.Array, y: jax.Array) -> tuple[Weights, jax.Array]:
    """Return the weights after one step of SGD, and the loss before it."""
    loss, gradients = jax.value_and_grad(loss_of)(weights, x, y)
    rate = networks.RATES["mlp"]
    return jax.tree.map(lambda weight, slope: weight - rate * slope, weights, gradients), loss


def inference(case: str) -> Job:
    weights, forward = given(), jax.jit(output)
    x = jnp.asarray(networks.batch(*networks.parts(case)[::2])[0])
    return Job(
        lambda: forward(weights, x),
        jax.block_until_ready,
        lambda result: [networks.sample(np.asarray(result))],
    )


def training(case: str) -> Job:
    weights = given()
    x, y = (jnp.asarray(array) for array in networks.batch(*networks.parts(case)[::2]))
    y = y.astype("int32")
    before = [np.array(weights[0][0]), np.array(weights[-1][1])]

    def call() -> Any:
        nonlocal weights
        weights, loss = trained(weights, x, y)
        return loss

    def values(loss: Any) -> list[list[float]]:
        now = [np.asarray(weights[0][0]), np.asarray(weights[-1][1])]
        return networks.trained(float(loss), *((a - b).T for a, b in zip(now, before, strict=True)))

    return Job(call, lambda loss: jax.block_until_ready((weights, loss)), values)


def job(case: str) -> Job:
    found = (inference if networks.parts(case)[1] == "inference" else training)(case)
    found.measure(networks.WARM)
    return found


if __name__ == "__main__":
    cases = [case for case in networks.CASES if case.startswith("mlp")]
    serve({f"{case}: jax jit": partial(job, case) for case in cases}, lambda: None)
