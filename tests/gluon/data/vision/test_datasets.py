"""Folders and lists of pictures: classes, labels, and one clear error for everything odd."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

import regluon as mx
from regluon.base import ImageError, MXNetError
from regluon.gluon.data import DataLoader
from regluon.gluon.data.vision import ImageFolderDataset, ImageListDataset, transforms


def picture(path: Path, level: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", np.full((6, 8, 3), level, np.uint8))[1].tobytes())
    return path


@pytest.fixture
def root(tmp_path):
    """Three classes, some pictures in each, in an order that is not that of creation."""
    for name, level in (("b/2.png", 4), ("b/10.PNG", 3), ("a/x.png", 1), ("C/y.png", 0)):
        picture(tmp_path / "data" / name, level)
    return tmp_path / "data"


def test_classes_and_files_are_sorted_by_name(root):
    data = ImageFolderDataset(root)
    assert data.synsets == ["C", "a", "b"]
    assert [(os.path.relpath(path, root), label) for path, label in data.items] == [
        ("C/y.png", 0), ("a/x.png", 1), ("b/10.PNG", 2), ("b/2.png", 2),
    ]  # fmt: skip
    assert len(data) == 4
    img, label = data[2]
    assert (type(img), img.shape, img.dtype, label) == (mx.nd.NDArray, (6, 8, 3), np.uint8, 2)
    assert int(img.max().asscalar()) == 3
    assert data.describe(2) == str(root / "b" / "10.PNG")


def test_grey_pictures_numpy_semantics_and_a_transform(root):
    data = ImageFolderDataset(str(root), flag=0, transform=lambda img, label: (img * 2, -label))
    mx.npx.set_np()
    img, label = data[3]
    assert (type(img), img.shape, label) == (mx.np.ndarray, (6, 8, 1), -2)
    assert int(img.max().item()) == 8


def test_batches_of_a_folder(root):
    steps = transforms.Compose([transforms.Resize(4), transforms.ToTensor()])
    loader = DataLoader(ImageFolderDataset(root).transform_first(steps), 3, num_workers=2)
    shapes = [(x.shape, x.dtype, y.asnumpy().tolist()) for x, y in loader]
    assert shapes == [((3, 3, 4, 4), np.float32, [0, 1, 2]), ((1, 3, 4, 4), np.float32, [2])]


def test_sideways_photos_are_turned_unless_asked_otherwise(root):
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    data = cv2.imencode(".jpg", np.zeros((6, 8, 3), np.uint8))[1].tobytes()
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (root / "a" / "side.jpg").write_bytes(data[:2] + segment + data[2:])
    assert ImageFolderDataset(root)[1][0].shape == (8, 6, 3)
    assert ImageFolderDataset(root, exif=False)[1][0].shape == (6, 8, 3)


def test_what_is_no_picture_is_left_out_with_one_warning(root):
    picture(root / "loose.png")
    picture(root / "a" / "inner" / "deep.png")
    for name in ("notes.txt", "a/list.csv", "a/.hidden.png", ".DS_Store", ".git/x.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("no picture")
    with pytest.warns(UserWarning, match=r"left out 4 entries \(.*\); pictures are") as caught:
        data = ImageFolderDataset(root)
    assert len(caught) == 1
    assert {"loose.png", "notes.txt", "a/list.csv", "a/inner/"} <= set(
        str(caught[0].message).split("(")[1].split(")")[0].split(", ")
    )
    assert (len(data), data.synsets) == (4, ["C", "a", "b"])


def linked(place, target):
    place.symlink_to(target)
    return place


def test_links_inside_the_root_are_followed_and_others_only_if_asked(root, tmp_path):
    linked(root / "a" / "again.png", root / "b" / "2.png")
    assert len(ImageFolderDataset(root)) == 5
    outside = picture(tmp_path / "other" / "z.png")
    linked(root / "a" / "z.png", outside)
    with pytest.raises(MXNetError, match=r"a/z.png: is a link that leads out .*/other/z.png"):
        ImageFolderDataset(root)
    assert len(ImageFolderDataset(root, follow_symlinks=True)) == 6
    (root / "a" / "z.png").unlink()
    linked(root / "d", outside.parent)
    with pytest.raises(MXNetError, match="/d: is a link that leads out"):
        ImageFolderDataset(root)
    assert ImageFolderDataset(root, follow_symlinks=True).synsets[-1] == "d"


def test_a_root_that_is_a_link_and_a_neighbour_with_a_longer_name(root, tmp_path):
    assert len(ImageFolderDataset(linked(tmp_path / "link", root))) == 4
    linked(root / "a" / "z.png", picture(tmp_path / "data2" / "z.png"))
    with pytest.raises(MXNetError, match="leads out"):
        ImageFolderDataset(root)


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize(
    ("target", "words"),
    [("..", "back to a folder that it is in"), (".", "back to a folder"), ("loop", "leads nowhere"),
     ("nothing", "leads nowhere")],
)  # fmt: skip
def test_links_in_a_circle_or_to_nothing_are_errors(root, target, words, follow):
    linked(root / "loop", target)
    with pytest.raises(MXNetError, match=rf"loop: is a link .*{words.split('back')[0]}"):
        ImageFolderDataset(root, follow_symlinks=follow)


def test_a_link_to_the_root_among_the_pictures_is_an_error(root):
    linked(root / "a" / "up.png", root)
    with pytest.raises(MXNetError, match=r"up.png: is a link back"):
        ImageFolderDataset(root)


def remove_all(root):
    for path in sorted(root.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def only_loose(root):
    remove_all(root)
    picture(root / "1.png")


def one_level_too_high(root):
    root.rename(root.parent / "train")
    root.mkdir()
    (root.parent / "train").rename(root / "train")


def file_instead(root):
    remove_all(root)
    root.rmdir()
    root.write_text("")


PROBLEMS = {
    "missing": (lambda root: (remove_all(root), root.rmdir()), r"data: does not exist; name a fo"),
    "file": (file_instead, "data: is a file; name a folder"),
    "empty": (remove_all, "data: has no folders in it; put the pictures of each class"),
    "loose": (only_loose, r"data: has only loose pictures \(1.png, ...\)"),
    "empty class": (lambda root: (root / "d e").mkdir(), "no pictures of the class 'd e'; remove"),
    "two empty": (lambda root: [(root / n).mkdir() for n in "xy"], "class 'x', 'y'; remove"),
    "too high": (one_level_too_high, r"class 'train'; it has folders \(C, a, b\): is .*/train mea"),
    "newline": (lambda root: picture(root / "a" / "x\ny.png"), r"x\\ny.png': the name has control"),
    "class with newline": (lambda root: picture(root / "q\r" / "y.png"), r"q\\r': the name has"),
    "no text": (
        lambda root: picture(root / os.fsdecode(b"caf\xe9") / "y.png"), r"caf\\udce9': the name",
    ),
    "bad file name": (
        lambda root: picture(root / "a" / os.fsdecode(b"\xff.png")), r"\\udcff.png': the name",
    ),
    "pipe": (lambda root: os.mkfifo(root / "a" / "p.png"), "p.png: is missing or no regular file"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize(("change", "words"), PROBLEMS.values(), ids=PROBLEMS)
def test_an_odd_folder_is_a_clear_error_at_once(root, change, words):
    change(root)
    with pytest.raises(MXNetError, match=words):
        ImageFolderDataset(root)


def test_names_of_all_languages_are_fine(root):
    for name in ("größe", "宽　度", "ملف", "🌱 new", "a\u00a0b"):
        picture(root / name / f"{name}.png")
    assert len(ImageFolderDataset(root).synsets) == 8


def test_what_may_not_be_read_is_an_error_at_once(root, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: "2.png" not in str(path))
    with pytest.raises(MXNetError, match=r"b/2.png: may not be read; check its permissions"):
        ImageFolderDataset(root)
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(MXNetError, match=r"data/b: cannot be listed \(Permission denied\)"):
        ImageFolderDataset(root)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_that_cannot_be_decoded_is_named(root, workers):
    (root / "b" / "2.png").write_bytes(b"<html>not found</html>")
    loader = DataLoader(ImageFolderDataset(root), 2, num_workers=workers)
    with pytest.raises(ImageError, match=r"b/2.png: .*web page(.|\n)*sample 3 \(.*b/2.png\)"):
        list(loader)
    (root / "b" / "2.png").unlink()
    with pytest.raises(ImageError, match=r"b/2.png: does not exist"):
        list(loader)


def test_an_error_in_a_transform_names_the_file(root):
    data = ImageFolderDataset(root).transform_first(transforms.CropResize(0, 0, 99, 99))
    with pytest.raises(ValueError, match=r"99 x 99(.|\n)*sample 0 \(.*C/y.png\)"):
        list(DataLoader(data, 2, num_workers=1))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [({"flag": 2}, ImageError, "not 2"), ({"transform": 5}, TypeError, "not 5")],
)
def test_bad_arguments_are_clear_errors(root, arguments, error, words):
    with pytest.raises(error, match=words):
        ImageFolderDataset(root, **arguments)


def test_a_list_of_pictures(root):
    data = ImageListDataset(root, [(1, "a/x.png"), (0.5, "b/2.png"), (1, 2.5, "C/y.png")])
    assert [label if i < 2 else label.tolist() for i, (_, label) in enumerate(data)] == [
        1, 0.5, [1.0, 2.5],
    ]  # fmt: skip
    assert data[0][0].shape == (6, 8, 3)
    assert type(data[0][1]) is int
    assert data.describe(1) == str(root / "b/2.png")


def test_a_list_file_as_mxnets_tools_write_it(root):
    path = root.parent / "train.lst"
    path.write_text("7\t1.000000\ta/x.png\n\n3\t0.0\t2\tb/2.png\n", encoding="utf-8")
    labels = [label for _, label in ImageListDataset(root, path, flag=0)]
    assert labels[0] == 1
    assert labels[1].tolist() == [0, 2]
    assert ImageListDataset(root, str(path))[0][0].shape == (6, 8, 3)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "is empty"),
        ([(1, "../data2/x.png")], r"'../data2/x.png' in the list of pictures leads out"),
        ([(1, "/etc/passwd")], "leads out"),
        ([(1, "a/none.png")], "a/none.png: is missing"),
        ([("cat", "a/x.png")], r"a/x.png: its label is \['cat'\], not a number"),
        ([("a/x.png",)], r"its label is \[\]"),
        ("1\t2\n", r"train.lst:1: wanted number, label, path with tabs"),
        ("\n\n", "is empty"),
        (None, "cannot be read as a list"),
    ],
)
def test_an_odd_list_is_a_clear_error(root, entries, words):
    if not isinstance(entries, list):
        path = root.parent / "train.lst"
        if entries is not None:
            path.write_text(entries)
        entries = path
    with pytest.raises(MXNetError, match=words):
        ImageListDataset(root, entries)
