"""The settings of a run: what is refused, and what a resumed run must share."""

from dataclasses import replace

import pytest

from regluon.base import MXNetError
from regluon.recipes.settings import FinetuneSettings


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"freeze": "feature"}, "did you mean 'features'"),
        ({"optimizer": "sdg"}, "did you mean 'sgd'"),
        ({"epochs": 0}, "--epochs is 0"),
        ({"epochs": 2.5}, "--epochs is 2.5"),
        ({"batch_size": -1}, "--batch-size is -1"),
        ({"lr": 0.0}, "--lr is 0.0"),
        ({"lr": float("nan")}, "--lr is nan"),
        ({"wd": -0.1}, "--wd is -0.1"),
        ({"head_lr_mult": float("inf")}, "--head-lr-mult is inf"),
        ({"val_fraction": 1.0}, "--val-fraction is 1.0"),
        ({"val_fraction": 0.0}, "--val-fraction is 0.0"),
        ({"image_size": 4}, "--image-size is 4"),
        ({"workers": -1}, "--workers is -1"),
        ({"seed": -1}, "--seed is -1"),
        ({"resume": True, "force": True}, "--resume continues"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_option(wrong, words):
    with pytest.raises(MXNetError, match=words):
        FinetuneSettings("photos", **wrong)


def test_the_rate_follows_the_optimizer_unless_it_is_given():
    assert FinetuneSettings("photos", optimizer="adam").rate < FinetuneSettings("photos").rate
    assert FinetuneSettings("photos", lr=0.5).rate == 0.5


def test_the_command_gives_the_settings_again():
    settings = FinetuneSettings("my photos", epochs=2, augment=False, reuse_classes=True, lr=0.1)
    assert settings.command() == (
        "regluon finetune 'my photos' --epochs 2 --lr 0.1 --reuse-classes --no-augment"
    )


def test_what_no_weight_depends_on_may_change_on_resume():
    first = FinetuneSettings("photos", workers=0, checkpoint_every=1)
    other = FinetuneSettings("elsewhere/photos", workers=4, checkpoint_every=9, resume=True)
    other = replace(other, hybridize=False)
    assert first.binding() == other.binding()
    assert first.binding() != FinetuneSettings("photos", seed=1).binding()
