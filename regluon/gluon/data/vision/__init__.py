"""Datasets of pictures, and transforms of them."""

from regluon.gluon.data.vision import transforms as transforms
from regluon.gluon.data.vision.datasets import (
    ImageFolderDataset as ImageFolderDataset,
    ImageListDataset as ImageListDataset,
)
