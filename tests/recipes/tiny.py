"""A network and pictures small enough to train in a moment, for the tests of fine-tuning."""

from pathlib import Path

import numpy as onp

from regluon.base import optional
from regluon.gluon import nn
from regluon.gluon.model_zoo import Preprocessing, vision
from regluon.gluon.model_zoo.pretrained import load_pretrained
from regluon.recipes.settings import FinetuneSettings


SIZE = 16


class TinyNet(vision.ZooNetwork):
    """A stem and four stages of one convolution each, with batch norms and dropout."""

    def __init__(self, classes=1000, **kwargs):
        super().__init__(Preprocessing(SIZE, (0.5,) * 3, (0.25,) * 3), **kwargs)
        self._stage_range = range(2, 6)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(nn.Conv2D(4, 3, 2, 1, in_channels=3), nn.BatchNorm(in_channels=4))
            for before, after in ((4, 4), (4, 6), (6, 6), (6, 8)):
                stage = nn.HybridSequential(prefix="")
                stage.add(
                    nn.Conv2D(after, 3, 1, 1, use_bias=False, in_channels=before),
                    nn.BatchNorm(in_channels=after),
                    nn.Activation("relu"),
                )
                self.features.add(stage)
            self.features.add(nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dropout(0.1))
            self.output = nn.Dense(classes, in_units=8)


def tiny(pretrained=False, ctx=None, root=None, classes=1000, **kwargs):
    net = TinyNet(classes, **kwargs)
    load_pretrained(net, "tiny", pretrained, ctx, root)
    return net


def register():
    """Make the network known by the name `tiny`."""
    vision._MODELS["tiny"] = tiny


def source_weights(path, classes=1000):
    """Write weights of the tiny network for a number of classes and return it."""
    net = tiny(classes=classes)
    net.initialize()
    net.save_parameters(path)
    return net


def write_pictures(root, classes=("dark", "light", "red"), count=10, size=20):
    """Write pictures that colour alone tells apart, as PNG files."""
    cv2 = optional("cv2", extra="image")
    colours = {"dark": (30, 30, 30), "light": (220, 220, 220), "red": (30, 30, 220)}
    for index, name in enumerate(classes):
        folder = Path(root, name)
        folder.mkdir(parents=True, exist_ok=True)
        rng = onp.random.default_rng(index)
        base = onp.array(colours.get(name, rng.integers(0, 255, 3)))
        for number in range(count):
            noise = rng.normal(0, 25, (size, size + 4, 3))
            pixels = onp.clip(base + noise, 0, 255).astype("uint8")
            cv2.imwrite(str(folder / f"{number:02}.png"), pixels)
    return Path(root)


def tiny_settings(data, out, **changes):
    """Return the settings of a run that takes a second."""
    known = {
        "model": "tiny",
        "weights": "none",
        "epochs": 2,
        "batch_size": 6,
        "lr": 0.05,
        "head_lr_mult": 1.0,
        "workers": 0,
        "checkpoint_every": 2,
    }
    return FinetuneSettings(data, out, **{**known, **changes})
