"""Transforms of pictures as blocks: deterministic and random, alone or in a `Compose`.

They take and return arrays of ours, NumPy arrays, torch tensors or Pillow images, always with the
channels last: (height, width, channels), uint8 or float32, and for some a batch of these. So they
also run inside `torch.utils.data.DataLoader`. The argument is never changed, and the result never
shares its memory. Sizes are (width, height) or one number for both; interpolation codes are
OpenCV's, 0 nearest, 1 bilinear, 2 cubic, 3 area, 4 Lanczos, and MXNet's 9 (by the direction of the
change) and 10 (random). What is random is drawn from `sample_generator()`.
"""

from regluon.gluon.data.vision.transforms.colour import (
    RandomBrightness as RandomBrightness,
    RandomColorJitter as RandomColorJitter,
    RandomContrast as RandomContrast,
    RandomHue as RandomHue,
    RandomLighting as RandomLighting,
    RandomSaturation as RandomSaturation,
)
from regluon.gluon.data.vision.transforms.compose import (
    Compose as Compose,
    RandomApply as RandomApply,
)
from regluon.gluon.data.vision.transforms.shape import (
    CenterCrop as CenterCrop,
    CropResize as CropResize,
    RandomCrop as RandomCrop,
    RandomFlipLeftRight as RandomFlipLeftRight,
    RandomFlipTopBottom as RandomFlipTopBottom,
    RandomResizedCrop as RandomResizedCrop,
    Resize as Resize,
)
from regluon.gluon.data.vision.transforms.tensor import (
    Cast as Cast,
    Normalize as Normalize,
    ToTensor as ToTensor,
)
from regluon.gluon.data.vision.transforms.transform import (
    Transform as Transform,
)
