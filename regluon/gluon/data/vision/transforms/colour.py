"""Random brightness, contrast, saturation, hue and lighting."""

from regluon.gluon.data.vision.transforms.transform import Transform, checked_amount
from regluon.ops import pixels
from regluon.ops.draws import draw_factor, draw_jitter
from regluon.ops.pixels import Pixels
from regluon.random import sample_generator


class RandomBrightness(Transform):
    """All values times a factor from [max(0, 1 - brightness), 1 + brightness]."""

    def __init__(self, brightness: float) -> None:
        super().__init__()
        self.brightness = checked_amount(brightness, "brightness")

    def pixels(self, img: Pixels) -> Pixels:
        """Draw the factor and apply it."""
        return pixels.adjust_brightness(img, draw_factor(sample_generator(), self.brightness))


class RandomContrast(Transform):
    """Blended with its mean grey by a factor from [max(0, 1 - contrast), 1 + contrast]."""

    def __init__(self, contrast: float) -> None:
        super().__init__()
        self.contrast = checked_amount(contrast, "contrast")

    def pixels(self, img: Pixels) -> Pixels:
        """Draw the factor and apply it."""
        return pixels.adjust_contrast(img, draw_factor(sample_generator(), self.contrast))


class RandomSaturation(Transform):
    """Blended with its grey picture by a factor from [max(0, 1 - saturation), 1 + saturation]."""

    def __init__(self, saturation: float) -> None:
        super().__init__()
        self.saturation = checked_amount(saturation, "saturation")

    def pixels(self, img: Pixels) -> Pixels:
        """Draw the factor and apply it."""
        return pixels.adjust_saturation(img, draw_factor(sample_generator(), self.saturation))


class RandomHue(Transform):
    """Hues turned by f - 1 full turns, f from [max(0, 1 - hue), 1 + hue]."""

    def __init__(self, hue: float) -> None:
        super().__init__()
        self.hue = checked_amount(hue, "hue")

    def pixels(self, img: Pixels) -> Pixels:
        """Draw the turn and apply it."""
        return pixels.adjust_hue(img, draw_factor(sample_generator(), self.hue))


class RandomColorJitter(Transform):
    """Brightness, contrast, saturation and hue with random factors, in a random order.

    Each amount is as for `RandomBrightness` and its like; 0 leaves that one out.
    """

    def __init__(
        self,
        brightness: float = 0,
        contrast: float = 0,
        saturation: float = 0,
        hue: float = 0,
    ) -> None:
        super().__init__()
        self.brightness = checked_amount(brightness, "brightness")
        self.contrast = checked_amount(contrast, "contrast")
        self.saturation = checked_amount(saturation, "saturation")
        self.hue = checked_amount(hue, "hue")

    def pixels(self, img: Pixels) -> Pixels:
        """Draw the order and the factors and apply them."""
        amounts = self.brightness, self.contrast, self.saturation, self.hue
        for adjust, factor in draw_jitter(sample_generator(), *amounts):
            img = adjust(img, factor)
        return img


class RandomLighting(Transform):
    """A random colour added, along the principal components of ImageNet's colours.

    alpha: standard deviation of the three factors. Krizhevsky et al. 2012.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = checked_amount(alpha, "alpha")

    def pixels(self, img: Pixels) -> Pixels:
        """Draw the factors and add the colour."""
        return pixels.adjust_lighting(img, sample_generator().normal(0, self.alpha, 3).tolist())
