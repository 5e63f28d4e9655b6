"""A vision transformer for 32 pixels: patches of 4, width 96, six blocks."""

from timm.models.vision_transformer import VisionTransformer


def build(classes, channels, input_size):
    """The untrained network."""
    return VisionTransformer(
        img_size=input_size, patch_size=4, in_chans=channels, num_classes=classes, embed_dim=96, depth=6, num_heads=3
    )
