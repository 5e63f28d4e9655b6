"""timm's networks, made small, for 32 pixels."""

from types import SimpleNamespace

import torch
from timm.models.mlp_mixer import MlpMixer
from torch import Tensor, nn

from edgekd.models.build import build
from edgekd.models.network import Network, Spec
from edgekd.models.timm_nets import create

SMALL = {"img_size": 32, "patch_size": 4, "embed_dim": 48, "depth": 4, "num_heads": 3}
NETS = {
    "swin": ("swin_tiny_patch4_window7_224", {
        "img_size": 32, "patch_size": 2, "window_size": 4, "embed_dim": 24, "depths": (1, 1, 1, 2),
    }),
    "swin2": ("swinv2_tiny_window8_256", {
        "img_size": 32, "patch_size": 2, "window_size": 4, "embed_dim": 24, "depths": (1, 1, 1, 2),
    }),
    "vit": ("vit_tiny_patch16_224", SMALL),
    "vit-oblong": ("vit_tiny_patch16_224", SMALL | {"img_size": (32, 32), "patch_size": (4, 8)}),
    "vit-average": ("vit_tiny_patch16_224", SMALL | {"class_token": False, "global_pool": "avg", "fc_norm": False}),
    "deit": ("deit_tiny_distilled_patch16_224", SMALL),
    "registers": ("vit_tiny_patch16_224", SMALL | {"reg_tokens": 4, "no_embed_class": True}),
    "eva": ("eva02_tiny_patch14_224", SMALL),
    "beit": ("beit_base_patch16_224", SMALL),
    "beit-shared": ("beit_base_patch16_224", SMALL | {"use_shared_rel_pos_bias": True, "use_rel_pos_bias": False}),
    "cait": ("cait_xxs24_224", SMALL),
    "mixer": ("mixer_s16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 32, "num_blocks": 4}),
    "convnext": ("convnext_atto", {"dims": (8, 12, 16, 24), "depths": (1, 1, 1, 1), "patch_size": 2}),
    "resnet": ("resnet10t", {}),
}  # fmt: skip


def made(kind: str, classes: int = 3) -> Network:
    """A small network of this kind, frozen and in evaluation mode."""
    torch.manual_seed(0)
    name, options = NETS[kind]
    return network_of(
        MlpMixer(classes, **options) if kind == "mixer" else create(name, classes, 3, options), name, classes
    )


def network_of(backbone: nn.Module, name: str, classes: int = 3, size: int = 32) -> Network:
    """The backbone as a teacher."""
    spec = Spec(name, tuple("abcdefghij"[:classes]), 3, size, (0.5,) * 3, (0.25,) * 3)
    return Network(backbone, spec).eval().requires_grad_(False)


def built(name: str, classes: int = 3) -> Network:
    """A network for 32 pixels as a training would build it, frozen and in evaluation mode."""
    torch.manual_seed(0)
    return build(name, images_of(32, classes)).eval().requires_grad_(False)


def images_of(side: int, classes: int = 3) -> SimpleNamespace:
    """What `build` must know of images of this side."""
    names = tuple("abcdefghij"[:classes])
    return SimpleNamespace(classes=names, channels=3, canvas=side, mean=(0.5,) * 3, std=(0.25,) * 3)


def canvases(count: int = 2, size: int = 32) -> Tensor:
    """Random images."""
    return torch.randint(0, 255, (count, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
