"""Pictures of every kind as pixels: what is shared, and what comes back."""

import numpy as np
import pytest
import torch
from PIL import Image

import regluon as mx
from regluon.base import DTypeError
from regluon.image.picture import unwrapped


PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize(
    "picture",
    [PIXELS, torch.from_numpy(PIXELS), mx.nd.array(PIXELS, dtype="uint8"), mx.np.array(PIXELS)],
    ids=lambda picture: type(picture).__module__.split(".")[0],
)
def test_results_come_back_as_the_kind_that_was_given(picture):
    pixels, wrap = unwrapped(picture)
    assert np.array_equal(pixels, PIXELS)
    for result in (pixels, pixels[1:], pixels[::-1], pixels.astype(np.float32) / 2):
        back = wrap(result)
        assert type(back) is type(picture)
        values = back.asnumpy() if isinstance(back, mx.nd.NDArray) else np.asarray(back)
        assert np.array_equal(values, result)
        assert not np.may_share_memory(values, pixels)


def test_pixels_are_not_copied_on_the_way_in():
    tensor = torch.zeros(2, 3, 3)
    pixels, _ = unwrapped(tensor)
    pixels[:] = 1
    assert tensor.sum() == 18
    assert unwrapped(PIXELS)[0] is PIXELS


def test_an_array_comes_back_on_its_context():
    picture = mx.nd.ones((2, 3, 3), ctx=mx.cpu(1))
    pixels, wrap = unwrapped(picture)
    assert wrap(pixels).context is mx.cpu(1)


def test_a_tensor_with_a_gradient_can_be_a_picture():
    pixels, wrap = unwrapped(torch.ones(2, 3, 3, requires_grad=True))
    assert not wrap(pixels).requires_grad


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1"])
def test_pillow_images_of_every_mode_are_coloured_or_grey(mode):
    image = Image.fromarray(PIXELS).convert(mode)
    pixels, wrap = unwrapped(image)
    assert pixels.shape == (2, 3, 1 if mode == "L" else 3)
    back = wrap(pixels[:1])
    assert (back.mode, back.size) == ("L" if mode == "L" else "RGB", (3, 1))
    assert isinstance(wrap(pixels.astype(np.float32)), np.ndarray)


@pytest.mark.parametrize("thing", [None, "a.jpg", [[1, 2]], b"", 3])
def test_what_is_no_picture_is_named(thing):
    with pytest.raises(DTypeError, match=f"not {type(thing).__name__}; .*imread"):
        unwrapped(thing)
