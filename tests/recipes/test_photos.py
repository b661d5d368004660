import hashlib
import socket

import cv2
import numpy as onp
import pytest
import skimage.data

from regluon.base import ImageError, MXNetError, ShapeError
from regluon.recipes import photos
from regluon.recipes.photos import CLASSES, patch_corners, surface_patches, write_image_folder


def digest(patches):
    state = hashlib.sha256()
    for array in (patches.train_images, patches.test_images):
        state.update(array.tobytes())
    return state.hexdigest()


def test_photos_are_those_of_scikit_image():
    found = photos.surface_photos()
    assert list(found) == list(CLASSES)
    for name, photo in found.items():
        assert photo.shape == (512, 512)
        assert photo.dtype == onp.uint8
        assert onp.array_equal(photo, getattr(skimage.data, name)())


def test_nothing_is_fetched(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert len(photos.surface_photos()) == 3


def test_a_wheel_without_the_photos_is_a_clear_error(monkeypatch, tmp_path):
    class Hollow:
        __file__ = str(tmp_path / "__init__.py")

    real = photos.optional
    monkeypatch.setattr(
        photos, "optional", lambda m, extra: Hollow if m == "skimage" else real(m, extra)
    )
    with pytest.raises(ImageError, match=r"does not ship brick\.png"):
        photos.surface_photos()
    (tmp_path / "data").mkdir()
    for content in (b"", b"not a picture"):
        (tmp_path / "data" / "brick.png").write_bytes(content)
        with pytest.raises(ImageError, match=r"brick\.png cannot be decoded"):
            photos.surface_photos()


def test_shapes_labels_and_classes():
    patches = surface_patches(patch=64, train_per_class=10)
    assert patches.classes == ("brick", "grass", "gravel")
    assert patches.train_images.shape == (30, 64, 64, 3)
    assert patches.test_images.shape == (72, 64, 64, 3)
    assert patches.train_images.dtype == patches.test_images.dtype == onp.uint8
    assert patches.train_labels.dtype == onp.int64
    assert patches.train_labels.tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert patches.test_labels.tolist() == [0] * 24 + [1] * 24 + [2] * 24
    assert (patches.train_images == patches.train_images[..., :1]).all()


def test_a_seed_decides_the_training_patches_and_only_those():
    first, again, other = surface_patches(), surface_patches(), surface_patches(seed=1)
    assert digest(first) == digest(again)
    assert not onp.array_equal(first.train_images, other.train_images)
    assert onp.array_equal(first.test_images, other.test_images)


@pytest.mark.parametrize("patch", [1, 17, 32, 64, 96, 128])
@pytest.mark.parametrize("shape", [(512, 512), (512, 530)])
def test_no_pixel_is_shared_and_the_gap_is_a_patch_wide(shape, patch):
    train, test = patch_corners(shape, patch, 300, onp.random.default_rng(0))
    used = onp.zeros((2, *shape), int)
    for part, corners in enumerate((train, test)):
        for y, x in corners:
            assert 0 <= y <= shape[0] - patch
            assert 0 <= x <= shape[1] - patch
            used[part, y : y + patch, x : x + patch] += 1
    last_trained = onp.flatnonzero(used[0].any(axis=0)).max()
    first_tested = onp.flatnonzero(used[1].any(axis=0)).min()
    assert first_tested - last_trained - 1 >= patch
    assert first_tested >= shape[1] // 2 + patch
    assert used[1].max() == 1, "test patches overlap each other"
    assert len(set(train)) == 300


@pytest.mark.parametrize("patch", [32, 64])
def test_the_cut_patches_themselves_are_apart(monkeypatch, patch):
    """Photos whose pixels tell their column show where each patch was really cut from."""
    columns = onp.tile((onp.arange(512) // 2).astype(onp.uint8), (512, 1))
    monkeypatch.setattr(photos, "surface_photos", lambda: dict.fromkeys(CLASSES, columns))
    patches = surface_patches(patch=patch)
    trained = int(patches.train_images.max()) * 2 + 1
    tested = int(patches.test_images.min()) * 2
    assert tested - trained - 1 >= patch
    assert patches.test_images.max() == 255


def test_training_patches_cover_most_of_their_half():
    train, _ = patch_corners((512, 512), 64, 64, onp.random.default_rng([0, 0]))
    seen = onp.zeros((512, 256), bool)
    for y, x in train:
        seen[y : y + 64, x : x + 64] = True
    assert seen.mean() > 0.75


@pytest.mark.parametrize("patch", [-1, 0, 129, 600])
def test_a_patch_that_does_not_fit_is_refused(patch):
    with pytest.raises(ShapeError, match=f"patch is {patch}; .* must be 1 to 128"):
        surface_patches(patch=patch)


@pytest.mark.parametrize("count", [0, 10**9])
def test_an_impossible_number_of_training_patches_is_refused(count):
    with pytest.raises(ShapeError, match=f"train_per_class is {count}"):
        surface_patches(train_per_class=count)


def test_the_image_folder_holds_the_same_pixels(tmp_path):
    patches = surface_patches(train_per_class=3)
    assert write_image_folder(tmp_path / "data", train_per_class=3) == tmp_path / "data"
    for part, images in (("train", patches.train_images), ("val", patches.test_images)):
        paths = [p for name in CLASSES for p in sorted((tmp_path / "data" / part / name).iterdir())]
        assert len(paths) == len(images)
        for path, picture in zip(paths, images, strict=True):
            assert onp.array_equal(cv2.imread(str(path)), picture)


def test_writing_twice_is_the_same_and_foreign_files_stop_it(tmp_path):
    write_image_folder(tmp_path, train_per_class=3)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    write_image_folder(tmp_path, train_per_class=3)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    with pytest.raises(MXNetError, match=r"002\.png is not one of the demo's"):
        write_image_folder(tmp_path, train_per_class=2)
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
