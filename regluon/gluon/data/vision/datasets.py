"""Datasets of picture files: a folder for each class, or a list of files with labels."""

import os
import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as onp

from regluon.base import ImageError, MXNetError
from regluon.gluon.data.dataset import Dataset
from regluon.image.image import imread


EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")
"""How the names of picture files end, in lower case; other files are left out."""

# Characters that break lists, tables and terminals: control characters, line separators, and what
# Python makes of bytes that are no text in the file system's encoding.
_BAD_NAME = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

Transform = Callable[[Any, Any], Any]


class _Pictures(Dataset):
    """Picture files with labels; what both datasets here have in common."""

    def __init__(self, flag: int, transform: Transform | None, exif: bool) -> None:
        if flag not in (0, 1):
            raise ImageError(f"flag is 1 for colour or 0 for grey, not {flag!r}")
        if transform is not None and not callable(transform):
            raise TypeError(f"transform is a function of picture and label, not {transform!r}")
        self._flag = flag
        self._transform = transform
        self._exif = exif
        self.items: list[tuple[str, Any]] = []

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, idx: int) -> Any:
        path, label = self.items[idx]
        img = imread(path, self._flag, exif=self._exif)
        return (img, label) if self._transform is None else self._transform(img, label)

    def describe(self, idx: int) -> str:
        """Return the path of the file."""
        return self.items[idx][0]


class ImageFolderDataset(_Pictures):
    """The pictures in the sub-folders of a folder: the sub-folders are the classes, in their order.

        root/brick/001.jpg
        root/brick/002.png
        root/grass/001.jpg

    flag: 1 for pictures of shape (height, width, 3), 0 for grey ones (height, width, 1); uint8.
    transform: a function of picture and label that returns what is to be the sample.
    follow_symlinks: let links lead out of `root`.
    exif: turn pictures upright, as the camera noted (MXNet leaves them as the sensor saw them).

    `synsets` are the classes' names, so that `synsets[label]` is that of a label; `items` are the
    (path, label) pairs. Sub-folders and files are sorted by name. Names that begin with a dot are
    left out, and so are other than picture files (by `EXTENSIONS`), with a warning. A folder that
    is missing, has no classes or a class without pictures, links that lead out or nowhere, names
    that are no plain text, and what cannot be read, are errors here; a picture that cannot be
    decoded is an `ImageError` with its path when it is asked for.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        flag: int = 1,
        transform: Transform | None = None,
        *,
        follow_symlinks: bool = False,
        exif: bool = True,
    ) -> None:
        super().__init__(flag, transform, exif)
        scan = _Scan(os.path.expanduser(root), follow_symlinks)  # noqa: PTH111 keeps "./a" as it is
        self.synsets = list(scan.classes)
        for label, paths in enumerate(scan.classes.values()):
            self.items += ((path, label) for path in paths)
        if scan.ignored:
            shown = ", ".join(scan.ignored[:5]) + (", ..." if len(scan.ignored) > 5 else "")
            warnings.warn(
                f"{scan.root}: left out {len(scan.ignored)} entries ({shown}); pictures are files "
                f"in a class's folder whose names end in {', '.join(EXTENSIONS)}",
                stacklevel=2,
            )


class _Scan:
    """What is in a folder of classes; every problem is an error that says where and what to do."""

    def __init__(self, root: str, follow_symlinks: bool) -> None:
        self.root = root
        self.ignored: list[str] = []
        self.classes: dict[str, list[str]] = {}
        self._follow = follow_symlinks
        self._real = os.path.realpath(root)
        if not Path(root).is_dir():
            found = "is a file" if Path(root).exists() else "does not exist"
            raise MXNetError(f"{root}: {found}; name a folder with one folder for each class")
        loose = []
        folders: dict[str, list[str]] = {}
        for entry in self._entries(root):
            if entry.is_dir():
                self._check_name(entry)
                self.classes[entry.name], folders[entry.name] = self._pictures(entry.path)
            elif _is_picture(entry.name):
                loose.append(entry.name)
            else:
                self.ignored.append(entry.name)
        self.ignored += loose
        self._check_classes(folders, loose)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                entries = [entry for entry in found if not entry.name.startswith(".")]
        except OSError as error:
            raise MXNetError(
                f"{folder}: cannot be listed ({error.strerror}); check its permissions"
            ) from error
        for entry in entries:
            if entry.is_symlink():
                self._check_link(entry.path)
        return sorted(entries, key=lambda entry: entry.name)

    def _check_link(self, path: str) -> None:
        try:
            target = os.path.realpath(path, strict=True)
        except OSError as error:
            raise MXNetError(
                f"{path}: is a link that leads nowhere ({error.strerror}); mend or remove it"
            ) from error
        if self._real == target or self._real.startswith(target + os.sep):
            raise MXNetError(f"{path}: is a link back to a folder that it is in; remove it")
        if not self._follow and not target.startswith(self._real + os.sep):
            raise MXNetError(
                f"{path}: is a link that leads out of {self.root}, to {target}; copy what it "
                "shows, or pass follow_symlinks=True if you trust it"
            )

    def _check_name(self, entry: os.DirEntry[str]) -> None:
        if _BAD_NAME.search(entry.name):
            raise MXNetError(
                f"{entry.path!r}: the name has control characters or is no text; rename it"
            )

    def _pictures(self, folder: str) -> tuple[list[str], list[str]]:
        """Return the paths of the pictures in a class's folder, and the folders in it."""
        pictures, folders = [], []
        for entry in self._entries(folder):
            if entry.is_dir():
                folders.append(entry.name)
                self.ignored.append(f"{Path(folder).name}/{entry.name}/")
            elif not _is_picture(entry.name):
                self.ignored.append(f"{Path(folder).name}/{entry.name}")
            else:
                self._check_name(entry)
                _check_file(entry.path, entry.is_file())
                pictures.append(entry.path)
        return pictures, folders

    def _check_classes(self, folders: dict[str, list[str]], loose: list[str]) -> None:
        if not self.classes:
            has = f"only loose pictures ({loose[0]}, ...)" if loose else "no folders in it"
            raise MXNetError(
                f"{self.root}: has {has}; put the pictures of each class into a folder of its own"
            )
        empty = [name for name, paths in self.classes.items() if not paths]
        if not empty:
            return
        names = ", ".join(repr(name) for name in empty[:5]) + (", ..." if empty[5:] else "")
        inner = folders[empty[0]]
        hint = (
            f"it has folders ({', '.join(inner[:3])}): is {Path(self.root, empty[0])} meant?"
            if inner
            else "remove the folder, or put pictures into it"
        )
        raise MXNetError(f"{self.root}: no pictures of the class {names}; {hint}")


class ImageListDataset(_Pictures):
    """Pictures by a list of files with labels: sample i is picture and label of entry i.

    root: the folder in which the paths of the list start, and which they do not leave.
    imglist: a list of (label, path), or the name of a `.lst` file with lines of a number, one
        label or more, and a path, with tabs between them.
    flag, transform, exif: as for `ImageFolderDataset`.

    A label is an int, a float, or for several of them a float32 NumPy array.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] = ".",
        imglist: str | os.PathLike[str] | Iterable[tuple[Any, ...] | list[Any]] = (),
        flag: int = 1,
        transform: Transform | None = None,
        *,
        exif: bool = True,
    ) -> None:
        super().__init__(flag, transform, exif)
        entries = _read_list(Path(imglist)) if isinstance(imglist, str | os.PathLike) else imglist
        inside = os.path.abspath(root) + os.sep  # noqa: PTH100 resolves no links
        for *labels, name in entries:
            path = os.path.join(root, name)  # noqa: PTH118
            if not os.path.abspath(path).startswith(inside):  # noqa: PTH100
                raise MXNetError(f"{name!r} in the list of pictures leads out of {root}")
            _check_file(path, Path(path).is_file())
            self.items.append((path, _label(labels, path)))
        if not self.items:
            raise MXNetError(f"the list of pictures in {root} is empty; give imglist")


def _read_list(path: Path) -> list[tuple[str, ...]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise MXNetError(f"{path}: cannot be read as a list of pictures ({error})") from error
    entries = []
    for number, line in enumerate(lines, 1):
        fields = line.split("\t")
        if line.strip() and len(fields) < 3:
            raise MXNetError(f"{path}:{number}: wanted number, label, path with tabs, not {line!r}")
        if line.strip():
            entries.append((*fields[1:-1], fields[-1].strip()))
    return entries


def _label(labels: Sequence[Any], path: str) -> Any:
    try:
        values = onp.asarray(labels, onp.float32).reshape(-1)
        first = float(values[0])
    except (ValueError, TypeError, IndexError) as error:
        raise MXNetError(f"{path}: its label is {labels!r}, not a number or numbers") from error
    if len(values) > 1:
        return values
    return int(first) if first.is_integer() else first


def _is_picture(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)


def _check_file(path: str, regular: bool) -> None:
    if not regular:
        raise MXNetError(f"{path}: is missing or no regular file; check the path, or remove it")
    if not os.access(path, os.R_OK):
        raise MXNetError(f"{path}: may not be read; check its permissions")
