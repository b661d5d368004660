"""ZooNetwork: features, an output layer, and what recipes ask of a published network."""

from collections.abc import Mapping, Sequence
from typing import Any

from regluon.gluon import nn
from regluon.gluon.hybrid import HybridBlock
from regluon.gluon.model_zoo.preprocessing import Preprocessing


Layers = Sequence[tuple[int, int]]
LayerNames = Mapping[str, str]


class ZooNetwork(HybridBlock):
    """A network that classifies pictures: `output(features(x))`.

    Its subclasses fill `features` (a HybridSequential that ends in one vector per picture) and
    `output` (a Dense) in their `__init__`, and say where the stages begin.
    """

    features: nn.HybridSequential
    output: nn.Dense
    foreign_hint = ""  # what to add where weights of another library do not fit

    def __init__(self, preprocessing: Preprocessing, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.preprocessing = preprocessing
        self._stage_range = range(0)

    def forward(self, x: Any) -> Any:
        """Return the scores (batch, classes), before any softmax, of pictures (batch, 3, H, W)."""
        return self.output(self.features(x))

    def stages(self) -> list[tuple[str, nn.HybridSequential]]:
        """Return the parts of `features` that get coarser, by name, from the pixels upwards.

        First the stem, then the stages; each shares its blocks with `features`. Layers behind the
        last stage belong to none.

        >>> from regluon.gluon.model_zoo import vision
        >>> [name for name, _ in vision.resnet18_v1().stages()]
        ['stem', 'stage1', 'stage2', 'stage3', 'stage4']
        """
        first = self._stage_range.start
        stages = [(f"stage{at - first + 1}", self.features[at]) for at in self._stage_range]
        return [("stem", self.features[:first]), *stages]

    def foreign_names(self) -> dict[str, LayerNames]:
        """Return what other libraries call the layers of this network, by library.

        Each table goes from the structural name of a layer here, such as `features.0`, to its name
        in a torch state dict of that library.
        """
        return {}
