"""mx.image: pictures from files and bytes, resized and cropped."""

from regluon.image.image import (
    center_crop as center_crop,
    color_normalize as color_normalize,
    fixed_crop as fixed_crop,
    imdecode as imdecode,
    imread as imread,
    imresize as imresize,
    random_crop as random_crop,
    random_size_crop as random_size_crop,
    resize_short as resize_short,
    scale_down as scale_down,
)
