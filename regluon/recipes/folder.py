"""A folder of pictures as a data set: one sub-folder per class, split the same way every time."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from regluon.base import MXNetError, nearest
from regluon.random import mix


# What is meant to be a picture. Some of these cannot be decoded: the check of the pictures says so
# and names them, while other files (notes, thumbnails' databases) are skipped and counted.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif"),
    *(".tif", ".tiff", ".heic", ".heif", ".avif", ".jp2", ".psd"),
)


@dataclass(frozen=True)
class Picture:
    """A file that shows one class; `name` is its path inside the data folder."""

    path: Path
    name: str
    label: int


@dataclass(frozen=True)
class PictureFolder:
    """The pictures to train on and those to validate with; labels index `classes`."""

    root: Path
    classes: tuple[str, ...]
    train: tuple[Picture, ...]
    val: tuple[Picture, ...]
    skipped: tuple[str, ...] = ()

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return the number of training and of validation pictures of each class."""
        train = Counter(picture.label for picture in self.train)
        val = Counter(picture.label for picture in self.val)
        return {name: (train[label], val[label]) for label, name in enumerate(self.classes)}

    def digest(self) -> str:
        """Return a hash over names, sizes and split: equal if nothing changed."""
        lines = [
            f"{part}\t{picture.name}\t{picture.path.stat().st_size}"
            for part, pictures in (("train", self.train), ("val", self.val))
            for picture in pictures
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def scan(root: str | Path, val_fraction: float = 0.2, seed: int = 0) -> PictureFolder:
    """Return the pictures under `root`, which has a sub-folder per class, or `train/` and `val/`.

    Without `train/` and `val/` a share of `val_fraction` of each class, at least one picture, is
    kept for validation. Which ones depends on `seed` and the file's name alone, so that a picture
    added later moves no other one across. Raises `MXNetError` where there is nothing to learn from.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as root:
    ...     for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg"):
    ...         Path(root, name).parent.mkdir(exist_ok=True)
    ...         Path(root, name).touch()
    ...     scan(root).counts()
    {'cat': (1, 1), 'dog': (1, 1)}
    """
    root = Path(root)
    _check_root(root)
    names = [folder.name for folder in _folders(root)]
    if "train" in names and "val" in names:
        return _ready_made(root)
    if "train" in names and len(names) <= 3:
        raise MXNetError(
            f"{root} has a folder train/ but no val/; rename the folder with the validation "
            "pictures to val/, or give the train/ folder itself and a part of it is kept apart"
        )
    classes, pictures, skipped = _classes(root, root)
    train, val = [], []
    for label, name in enumerate(classes):
        own = [picture for picture in pictures if picture.label == label]
        if len(own) < 2:
            raise MXNetError(
                f"class {name!r} in {root} has one picture ({own[0].name}); a class needs at least "
                "two, one to train on and one to validate with"
            )
        kept = _kept_apart(own, val_fraction, seed)
        val += [picture for picture in own if picture in kept]
        train += [picture for picture in own if picture not in kept]
    return PictureFolder(root, classes, tuple(train), tuple(val), skipped)


def _kept_apart(pictures: Sequence[Picture], fraction: float, seed: int) -> set[Picture]:
    order = sorted(pictures, key=lambda picture: _key(picture.name, seed))
    count = min(len(pictures) - 1, max(1, round(fraction * len(pictures))))
    return set(order[:count])


def _key(name: str, seed: int) -> int:
    return mix(seed, zlib.crc32(name.encode()))


def first_of_each_class(
    pictures: Sequence[Picture], count: int, seed: int = 0
) -> tuple[Picture, ...]:
    """Return `count` pictures of each class, those of a smaller count being among them."""
    chosen: list[Picture] = []
    for label in sorted({picture.label for picture in pictures}):
        own = [picture for picture in pictures if picture.label == label]
        chosen += sorted(own, key=lambda picture: _key(picture.name, seed))[:count]
    return tuple(chosen)


def _ready_made(root: Path) -> PictureFolder:
    classes, train, skipped = _classes(root, root / "train")
    val_classes, val, val_skipped = _classes(root, root / "val")
    if classes != val_classes:
        only_train = sorted(set(classes) - set(val_classes))
        only_val = sorted(set(val_classes) - set(classes))
        raise MXNetError(
            f"{root}/train and {root}/val hold different classes: "
            f"only in train: {', '.join(only_train) or 'none'}; "
            f"only in val: {', '.join(only_val) or 'none'}"
        )
    return PictureFolder(root, classes, tuple(train), tuple(val), skipped + val_skipped)


def _classes(root: Path, folder: Path) -> tuple[tuple[str, ...], list[Picture], tuple[str, ...]]:
    """Return classes, pictures and skipped files of a folder with one sub-folder per class."""
    folders = _folders(folder)
    if not folders:
        loose = sum(1 for _ in _files(folder))
        found = f"{loose} loose file{'s' if loose > 1 else ''}" if loose else "nothing"
        raise MXNetError(
            f"{folder} holds {found} and no sub-folders; make one sub-folder per class "
            f"and put its pictures in: {folder.name}/cat/1.jpg, {folder.name}/dog/1.jpg"
        )
    pictures: list[Picture] = []
    skipped: list[str] = []
    for label, sub in enumerate(folders):
        before = len(pictures)
        for path in _files(sub):
            name = path.relative_to(root).as_posix()
            if path.suffix.lower() in SUFFIXES:
                pictures.append(Picture(path, name, label))
            else:
                skipped.append(name)
        if len(pictures) == before:
            raise MXNetError(
                f"class {sub.name!r} has no pictures: {sub} holds no file that ends in "
                ".jpg, .png, .webp, .bmp or .gif; add some or remove the folder"
            )
    if len(folders) < 2:
        raise MXNetError(
            f"{folder} has one class, {folders[0].name!r}; there must be at least two to tell apart"
        )
    return tuple(sub.name for sub in folders), pictures, tuple(skipped)


def _check_root(root: Path) -> None:
    if root.is_dir():
        return
    if root.exists():
        raise MXNetError(f"{root} is a file; give the folder that holds one sub-folder per class")
    parent = root.parent
    near = [item.name for item in parent.iterdir()] if parent.is_dir() else []
    raise MXNetError(f"the folder {root} does not exist{nearest(root.name, near)}")


def _folders(folder: Path) -> list[Path]:
    return sorted(
        item for item in folder.iterdir() if item.is_dir() and not item.name.startswith(".")
    )


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(
            part.startswith(".") for part in path.relative_to(folder).parts
        ):
            yield path
