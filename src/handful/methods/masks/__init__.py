"""What every method of segmentation shares: examples with masks in, masks drawn and counted out."""
