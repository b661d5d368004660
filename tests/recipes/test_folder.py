"""Folders of pictures: what is found, how it is split, and what is refused."""

import pytest

from regluon.base import MXNetError
from regluon.recipes.folder import first_of_each_class, scan


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def many(root, **counts):
    make(root, *(f"{name}/{i:03}.jpg" for name, count in counts.items() for i in range(count)))


def test_each_class_gives_its_share_to_validation(tmp_path):
    many(tmp_path, cat=10, dog=25, emu=2)
    folder = scan(tmp_path, val_fraction=0.2)
    assert folder.classes == ("cat", "dog", "emu")
    assert folder.counts() == {"cat": (8, 2), "dog": (20, 5), "emu": (1, 1)}


def test_the_split_depends_on_the_seed_and_on_nothing_else(tmp_path):
    many(tmp_path, cat=20, dog=20)
    assert scan(tmp_path, seed=1) == scan(tmp_path, seed=1)
    assert scan(tmp_path, seed=1).val != scan(tmp_path, seed=2).val


def test_a_new_picture_moves_few_others_across(tmp_path):
    many(tmp_path, cat=40, dog=40)
    before = {picture.name for picture in scan(tmp_path).val}
    make(tmp_path, "cat/new.jpg")
    after = {picture.name for picture in scan(tmp_path).val}
    assert len(before ^ after) <= 2


def test_train_and_val_folders_are_taken_as_they_are(tmp_path):
    make(tmp_path, "train/a/1.png", "train/b/1.png", "train/b/2.png", "val/a/9.png", "val/b/9.png")
    folder = scan(tmp_path)
    assert folder.counts() == {"a": (1, 1), "b": (2, 1)}
    assert folder.val[0].name == "val/a/9.png"


def test_hidden_files_are_ignored_and_others_counted(tmp_path):
    many(tmp_path, cat=3, dog=3)
    make(tmp_path, "cat/.DS_Store", ".git/config", "dog/notes.txt", "dog/more/3.JPEG")
    folder = scan(tmp_path)
    assert folder.skipped == ("dog/notes.txt",)
    assert sum(map(sum, folder.counts().values())) == 7


def test_pictures_for_fewer_labels_are_among_those_for_more(tmp_path):
    many(tmp_path, cat=30, dog=8)
    folder = scan(tmp_path)
    few, more = (set(first_of_each_class(folder.train, count)) for count in (5, 20))
    assert few < more
    assert [sum(p.label == label for p in few) for label in (0, 1)] == [5, 5]
    assert [sum(p.label == label for p in more) for label in (0, 1)] == [20, 6]


def test_the_digest_notices_added_replaced_and_moved_pictures(tmp_path):
    many(tmp_path, cat=5, dog=5)
    first = scan(tmp_path).digest()
    assert first == scan(tmp_path).digest()
    (tmp_path / "cat/000.jpg").write_bytes(b"another picture")
    replaced = scan(tmp_path).digest()
    make(tmp_path, "cat/x.jpg")
    assert len({first, replaced, scan(tmp_path).digest()}) == 3


REFUSED = {
    "missing": ([], "photo", ["photo does not exist", "did you mean 'photos'"]),
    "a file": (["file.txt"], "file.txt", ["is a file"]),
    "loose files": (["photos/x.jpg"], "photos", ["1 loose file", "one sub-folder per class"]),
    "empty": ([], "photos", ["holds nothing and no sub-folders"]),
    "one class": (["photos/cat/1.jpg", "photos/cat/2.jpg"], "photos", ["one class, 'cat'"]),
    "one picture": (
        ["photos/cat/1.jpg", "photos/dog/1.jpg", "photos/dog/2.jpg"],
        "photos",
        ["class 'cat'", "one picture (cat/1.jpg)", "at least two"],
    ),
    "a class without pictures": (
        ["photos/cat/1.jpg", "photos/cat/2.jpg", "photos/dog/a.txt"],
        "photos",
        ["class 'dog' has no pictures"],
    ),
    "no val": (["photos/train/cat/1.jpg"], "photos", ["no val/"]),
    "other classes in val": (
        [
            "photos/train/a/1.jpg",
            "photos/train/b/1.jpg",
            "photos/val/a/1.jpg",
            "photos/val/c/1.jpg",
        ],
        "photos",
        ["only in train: b", "only in val: c"],
    ),
}


@pytest.mark.parametrize(("files", "name", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_learned_from_is_refused_in_words(tmp_path, files, name, words):
    (tmp_path / "photos").mkdir()
    make(tmp_path, *files)
    with pytest.raises(MXNetError) as caught:
        scan(tmp_path / name)
    for part in words:
        assert part in str(caught.value)
