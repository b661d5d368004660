"""What a network expects of its pictures."""

import json

import numpy as onp
import pytest

from regluon.base import FormatError, MXNetError
from regluon.gluon.model_zoo import Preprocessing, vision
from regluon.ops import pixels


def test_a_picture_is_resized_cropped_and_normalized() -> None:
    picture = onp.random.randint(0, 256, (60, 90, 3)).astype("uint8")
    found = Preprocessing(28, interpolation="bicubic")(picture)
    resized = pixels.resize(picture, 32, keep_ratio=True, interp=2)
    assert resized.shape == (32, 48, 3)
    middle = resized[2:30, 10:38].astype("float32") / 255
    wanted = (middle - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    assert found.dtype == onp.float32
    assert onp.allclose(found, wanted.transpose(2, 0, 1), atol=1e-5)


def test_scale_says_in_what_units_mean_and_std_are() -> None:
    grey = onp.full((4, 4, 3), 191, "uint8")
    raw = Preprocessing(4, (127.0,) * 3, (128.0,) * 3, scale=1.0)
    unit = Preprocessing(4, (127 / 255,) * 3, (128 / 255,) * 3)
    assert onp.allclose(raw.normalized(grey), 0.5)
    assert onp.allclose(unit.normalized(grey), 0.5)


@pytest.mark.parametrize("name", vision.model_names())
def test_the_record_survives_json(name: str) -> None:
    record = vision.get_model(name).preprocessing
    assert Preprocessing.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_no_crop_keeps_the_size() -> None:
    assert Preprocessing(224, crop_pct=1.0).resize_side == 224


@pytest.mark.parametrize(
    "change",
    [
        {"sise": 3},
        {"mean": [1, 2]},
        {"mean": 3},
        {"std": [1, 0, 1]},
        {"std": ["a", "b", "c"]},
        {"size": 0},
        {"size": "big"},
        {"crop_pct": 1.5},
        {"scale": -1},
        {"interpolation": "sharp"},
        {"interpolation": 3},
    ],
)
def test_a_wrong_record_is_an_error(change: dict) -> None:
    with pytest.raises(FormatError):
        Preprocessing.from_json(Preprocessing(224).to_json() | change)


def test_missing_entries_are_an_error() -> None:
    with pytest.raises(FormatError, match="mean"):
        Preprocessing.from_json({"size": 224})


def test_an_unknown_interpolation_gets_the_nearest_one() -> None:
    with pytest.raises(MXNetError, match="did you mean 'bilinear'"):
        Preprocessing(224, interpolation="bilinaer")
