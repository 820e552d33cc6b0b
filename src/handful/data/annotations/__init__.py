"""Annotations as people and published sets keep them: masks, COCO, LabelMe."""

from handful.data.annotations.mask import OBJECT, VALUE_VOID, class_mask, mask_values

__all__ = ["OBJECT", "VALUE_VOID", "class_mask", "mask_values"]
