"""The demo's data: patches of three CC0 photos of surfaces that scikit-image ships in its wheel.

Each class is one grey photo of 512 x 512 pixels, so this is a smoke demo: it shows that a
fine-tuning run works from end to end, and nothing about photos that were taken elsewhere.

The photo is cut in two from top to bottom, with patches of 64 pixels like this:

    column  0           256   320           512
            | training   | gap | test        |
            | random     |     | 3 x 8 grid  |

Training patches lie at random places inside the left half and overlap each other: 64 of them show
each of its pixels about twice. Test patches lie on a grid and share no pixel with each other, so
that 24 of them count as 24. The gap is one patch wide: no test patch shares or even touches a
pixel that was trained on, and no crop of a training patch can reach one.

The task is easy but not empty. Measured on the 72 test patches (mean of seeds 0, 1, 2), a logistic
regression scores 0.69 on raw pixels, 0.85 on nothing but the mean and deviation of the grey levels,
and 0.99 on the features of an EfficientNet-Lite0 that was trained on ImageNet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as onp
import numpy.typing as npt

from regluon.base import ImageError, MXNetError, ShapeError, optional


CLASSES = ("brick", "grass", "gravel")

Pixels = npt.NDArray[onp.uint8]
Labels = npt.NDArray[onp.int64]
Corners = list[tuple[int, int]]


@dataclass(frozen=True)
class SurfacePatches:
    """Patches of surfaces with their labels.

    Images are uint8 arrays of shape (count, patch, patch, 3), the grey value three times; labels
    are int64 arrays of shape (count,) that index `classes`. Both are ordered by class.
    """

    train_images: Pixels
    train_labels: Labels
    test_images: Pixels
    test_labels: Labels
    classes: tuple[str, ...]


def surface_photos() -> dict[str, Pixels]:
    """Return the three grey photos, uint8 of shape (512, 512), by class.

    They are read from the installed scikit-image itself, which declares them CC0. Nothing is ever
    fetched: where `skimage.data.brick()` would turn to the network, this raises `ImageError`.
    """
    folder = Path(str(optional("skimage", extra="demo").__file__)).parent / "data"
    return {name: _read_grey(folder / f"{name}.png") for name in CLASSES}


def _read_grey(path: Path) -> Pixels:
    cv2 = optional("cv2", extra="image")
    try:
        data = onp.frombuffer(path.read_bytes(), onp.uint8)
    except OSError as error:
        raise ImageError(
            f"the installed scikit-image does not ship {path.name} ({error}); version 0.26 does: "
            'pip install "scikit-image>=0.26"'
        ) from error
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    if picture is None:
        raise ImageError(f"{path} cannot be decoded; reinstall scikit-image")
    return onp.asarray(picture, onp.uint8)


def surface_patches(patch: int = 64, train_per_class: int = 64, seed: int = 0) -> SurfacePatches:
    """Cut the photos into training and test patches that are at least `patch` pixels apart.

    `patch` is the side in pixels, `train_per_class` the number of training patches of each class,
    `seed` decides where those lie; the test patches are always the same, 24 of each class at 64
    pixels. Raises `ShapeError` where the photos are too small for what was asked.

    >>> patches = surface_patches()
    >>> patches.train_images.shape, patches.test_images.shape
    ((192, 64, 64, 3), (72, 64, 64, 3))
    """
    train: list[Pixels] = []
    test: list[Pixels] = []
    photos = surface_photos()
    for index, photo in enumerate(photos.values()):
        generator = onp.random.default_rng([seed, index])
        near, far = patch_corners(photo.shape, patch, train_per_class, generator)
        train.append(_cut(photo, near, patch))
        test.append(_cut(photo, far, patch))
    return SurfacePatches(
        onp.concatenate(train), _labels(train), onp.concatenate(test), _labels(test), tuple(photos)
    )


def patch_corners(
    shape: tuple[int, ...], patch: int, train_per_class: int, generator: onp.random.Generator
) -> tuple[Corners, Corners]:
    """Return the (row, column) corners of the training and of the test patches of one photo.

    The test grid is as wide as fits into the right half beside the gap and is aligned to the right
    edge; training patches end a gap of `patch` columns before it and lie at different places.
    """
    height, width = shape
    most = min(height, width // 4)
    if not 0 < patch <= most:
        raise ShapeError(
            f"patch is {patch}; on photos of {height} x {width} pixels it must be 1 to {most}"
        )
    grid = width - (width // 2 - patch) // patch * patch
    rows, columns = height - patch + 1, grid - 2 * patch + 1
    if not 0 < train_per_class <= rows * columns:
        raise ShapeError(
            f"train_per_class is {train_per_class}; a training half has between 1 and "
            f"{rows * columns} places for a patch of {patch} pixels"
        )
    places = generator.choice(rows * columns, size=train_per_class, replace=False)
    train = [divmod(int(place), columns) for place in places]
    test = [(y, x) for y in range(0, rows, patch) for x in range(grid, width - patch + 1, patch)]
    return train, test


def _cut(photo: Pixels, corners: Corners, patch: int) -> Pixels:
    grey = onp.stack([photo[y : y + patch, x : x + patch] for y, x in corners])
    return onp.repeat(grey[..., None], 3, axis=3)


def _labels(groups: list[Pixels]) -> Labels:
    return onp.repeat(onp.arange(len(groups)), [len(group) for group in groups])


def write_image_folder(
    root: str | Path, patch: int = 64, train_per_class: int = 64, seed: int = 0
) -> Path:
    """Write the patches as `root/train/<class>/000.png` and `root/val/<class>/000.png`.

    Writing the same again changes nothing. A file of anyone else's in `train` or `val` is an
    error before anything is written: it would silently become part of the data set.
    """
    cv2 = optional("cv2", extra="image")
    root = Path(root)
    wanted = dict(_files(root, surface_patches(patch, train_per_class, seed)))
    for folder in (root / "train", root / "val"):
        for path in sorted(folder.rglob("*")):
            if not path.is_dir() and path not in wanted:
                raise MXNetError(f"{path} is not one of the demo's; name a new or empty folder")
    for path, picture in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return root


def _files(root: Path, patches: SurfacePatches) -> Iterator[tuple[Path, Pixels]]:
    parts = (
        ("train", patches.train_images, patches.train_labels),
        ("val", patches.test_images, patches.test_labels),
    )
    for part, images, labels in parts:
        for index, name in enumerate(patches.classes):
            for number, picture in enumerate(images[labels == index]):
                yield root / part / name / f"{number:03d}.png", picture
