"""The float network in JAX, with all four branches; parameters carry the names that the generator uses.

The program builds the ONNX form of the same network (`builtin/src/firenet`); a test there compares its
outputs with the ones stored here.
"""

import jax
import jax.numpy as jnp
import numpy as np

STAGES = ((16, 1), (32, 1), (64, 1))
MLP = (16, 16, 32)
HIDDEN = 32
WIDTH = 32
HEADS = 4
HEAD_HIDDEN = 64
INPUTS, HOURS, CHANNELS, CLASSES = 5, 24, 4, 4


def initial(seed: int) -> dict[str, np.ndarray]:
    """Parameters with He's deviation for what a ReLU follows and Glorot's elsewhere; biases zero."""
    rng = np.random.default_rng(seed)
    parameters: dict[str, np.ndarray] = {}

    def weight(name: str, shape: tuple[int, ...], fan_in: int, gain: float = 1.0) -> None:
        parameters[f"{name}.weight"] = (rng.standard_normal(shape) * np.sqrt(gain / fan_in)).astype(np.float32)
        parameters[f"{name}.bias"] = np.zeros(shape[0], np.float32)

    def conv(name: str, out: int, into: int, kernel: int, gain: float = 2.0) -> None:
        weight(name, (out, into, kernel, kernel), into * kernel * kernel, gain)

    conv("image.stem", STAGES[0][0], CHANNELS, 3)
    into = STAGES[0][0]
    for stage, (channels, blocks) in enumerate(STAGES):
        for block in range(blocks):
            name = f"image.stage{stage}.block{block}"
            conv(f"{name}.conv0", channels, into, 3)
            conv(f"{name}.conv1", channels, channels, 3, 0.5)
            if into != channels:
                conv(f"{name}.shortcut", channels, into, 1, 1.0)
            into = channels
    weight("image.token", (WIDTH, into), into)
    before = INPUTS
    for layer, units in enumerate(MLP):
        weight(f"environment.fc{layer}", (units, before), before, 2.0)
        before = units
    weight("environment.token", (WIDTH, before), before)
    weight("history.lstm", (4 * HIDDEN, INPUTS), INPUTS)
    recurrence = rng.standard_normal((4 * HIDDEN, HIDDEN)) / np.sqrt(HIDDEN)
    parameters["history.lstm.recurrence"] = recurrence.astype(np.float32)
    parameters["history.lstm.bias"][2 * HIDDEN : 3 * HIDDEN] = 1.0  # forget gates open
    weight("history.token", (WIDTH, HIDDEN), HIDDEN)
    for part in ("query", "key", "value", "output"):
        weight(f"fusion.{part}", (WIDTH, WIDTH), WIDTH)
    weight("head.fc0", (HEAD_HIDDEN, 3 * WIDTH), 3 * WIDTH, 2.0)
    weight("head.fc1", (CLASSES, HEAD_HIDDEN), HEAD_HIDDEN)
    return parameters


def _dense(p: dict, name: str, x: jax.Array) -> jax.Array:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def _conv(p: dict, name: str, x: jax.Array, stride: int = 1) -> jax.Array:
    w = p[f"{name}.weight"]
    pad = w.shape[-1] // 2
    y = jax.lax.conv_general_dilated(
        x, w, (stride, stride), ((pad, pad), (pad, pad)), dimension_numbers=("NCHW", "OIHW", "NCHW")
    )
    return y + p[f"{name}.bias"][:, None, None]


def _image(p: dict, image: jax.Array) -> jax.Array:
    """[N, 4, 32, 32] in 0..1 to [N, WIDTH]."""
    x = jax.nn.relu(_conv(p, "image.stem", image))
    for stage, (channels, blocks) in enumerate(STAGES):
        for block in range(blocks):
            name = f"image.stage{stage}.block{block}"
            stride = 2 if stage > 0 and block == 0 else 1
            y = _conv(p, f"{name}.conv1", jax.nn.relu(_conv(p, f"{name}.conv0", x, stride)))
            shortcut = _conv(p, f"{name}.shortcut", x, stride) if f"{name}.shortcut.weight" in p else x
            x = jax.nn.relu(y + shortcut)
    return _dense(p, "image.token", x.mean((2, 3)))


def _environment(p: dict, environment: jax.Array) -> jax.Array:
    """[N, 5] to [N, WIDTH]."""
    for layer in range(len(MLP)):
        environment = jax.nn.relu(_dense(p, f"environment.fc{layer}", environment))
    return _dense(p, "environment.token", environment)


def _history(p: dict, history: jax.Array) -> jax.Array:
    """[N, 24, 5] to [N, WIDTH]; gates in ONNX's order: input, output, forget, cell."""

    def step(state: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
        h, c = state
        sums = _dense(p, "history.lstm", x) + h @ p["history.lstm.recurrence"].T
        i, o, f, g = jnp.split(sums, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zero = jnp.zeros((history.shape[0], HIDDEN))
    (h, _), _ = jax.lax.scan(step, (zero, zero), history.transpose(1, 0, 2))
    return _dense(p, "history.token", h)


def _fusion(p: dict, tokens: jax.Array) -> jax.Array:
    """Multi-head attention among the three tokens [N, 3, WIDTH], with a residual sum."""
    heads = lambda x: x.reshape(x.shape[0], 3, HEADS, WIDTH // HEADS).transpose(0, 2, 1, 3)  # noqa: E731
    q, k, v = (heads(_dense(p, f"fusion.{part}", tokens)) for part in ("query", "key", "value"))
    scores = jax.nn.softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(WIDTH // HEADS), axis=-1)
    mixed = (scores @ v).transpose(0, 2, 1, 3).reshape(tokens.shape)
    return tokens + _dense(p, "fusion.output", mixed)


def forward(p: dict, image: jax.Array, environment: jax.Array, history: jax.Array) -> jax.Array:
    """Scores of the four classes [N, 4]; `image` is [N, 4, 32, 32] in 0..1."""
    tokens = jnp.stack([_image(p, image), _environment(p, environment), _history(p, history)], axis=1)
    fused = _fusion(p, tokens).reshape(len(image), 3 * WIDTH)
    return _dense(p, "head.fc1", jax.nn.relu(_dense(p, "head.fc0", fused)))
