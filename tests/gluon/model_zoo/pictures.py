"""Two photos whose subject is beyond doubt, as EfficientNet-Lite0 wants them; both are CC0."""

from pathlib import Path

import numpy as onp
import skimage

from regluon.gluon.model_zoo import vision
from regluon.image import codec


def photos() -> dict[str, onp.ndarray]:
    """Return a cat and a cup of coffee from scikit-image's wheel, float32 (3, 224, 224)."""
    folder = Path(skimage.__file__).parent / "data"
    preprocessing = vision.efficientnet_lite0().preprocessing
    return {
        name: preprocessing(codec.read(folder / f"{name}.png")) for name in ("chelsea", "coffee")
    }
