"""Pictures in and out: safe decoding, resizing, cutting, drawing on a picture."""

from handful.images.cutting import Box, clip_box, cut_masked, cut_object, mask_box
from handful.images.decode import ImageLike, read, read_mask, size
from handful.images.draw import caption, grid, outline
from handful.images.ink import area_average, ink
from handful.images.listing import IMAGE_SUFFIXES, is_clutter, list_images, natural_key
from handful.images.transform import center_crop, cut, pad_square, resize, resize_short

__all__ = [
    "IMAGE_SUFFIXES",
    "Box",
    "ImageLike",
    "area_average",
    "caption",
    "center_crop",
    "clip_box",
    "cut",
    "cut_masked",
    "cut_object",
    "grid",
    "ink",
    "is_clutter",
    "list_images",
    "mask_box",
    "natural_key",
    "outline",
    "pad_square",
    "read",
    "read_mask",
    "resize",
    "resize_short",
    "size",
]
