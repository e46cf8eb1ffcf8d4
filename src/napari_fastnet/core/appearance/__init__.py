"""The appearance of tissue: sharpness, stain, fill, and flags of doubtful patches."""
