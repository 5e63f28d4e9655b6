"""Networks built by name, built again from their Spec, given another head, and taken apart by layers."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from timm.models import group_parameters
from torch import Tensor, nn

from edgekd.config import Code
from edgekd.errors import CheckpointError, UsageError
from edgekd.images.imageset import ImageData
from edgekd.models import timm_nets
from edgekd.models.known import is_file
from edgekd.models.names import own_net, resolve
from edgekd.models.network import Images, Network, Spec
from edgekd.models.ownfile import build_own, own_sum
from edgekd.models.transforms import apply_transform
from edgekd.models.whitening import fit_whitening

Start = Literal["scratch", "weights", "pretrained"]


def build(
    name: str, images: Images, *, input_size: int | None = None, start: Start = "scratch", code: Code | None = None
) -> Network:
    """The network `name` for these images; what it takes from the images' statistics is set where they are at hand.

    `start`: "scratch" makes timm's nets fit the canvas (patch size, stem); "weights" keeps timm's own size and
    stem, for a weight file that is applied afterwards; "pretrained" also loads timm's weights.
    An own file must be named by the command whose options `code` are: there is no record that it could be held to.
    Raises UsageError (no such model or size), CheckpointError (own file), MissingDependency (no weights).
    """
    spec = plan(name, images, input_size=input_size, start=start)
    if spec.code is not None and not (code or Code()).is_named(Path(spec.name.rsplit(":", 1)[0])):
        raise CheckpointError(
            f"{name}: its code is not run: a record names it, the command does not", "name it on the command line"
        )
    if start != "pretrained":
        network = rebuild(spec, code)
        if isinstance(images, ImageData):
            fit_whitening(network, images)
        return network
    if is_file(spec.name) or own_net(spec.name) is not None:
        raise UsageError(f"{name}: has no pretrained weights", "leave --pretrained out, or name a timm model")
    counts = len(spec.classes), spec.channels
    return Network(timm_nets.create_pretrained(spec.name, *counts, spec.options), spec)


def plan(name: str, images: Images, *, input_size: int | None = None, start: Start = "scratch") -> Spec:
    """The Spec that `build` would build, without building it."""
    canonical = resolve(name)
    options: dict[str, Any] = {}
    wish = input_size or images.canvas
    mean, std = images.mean, images.std
    if not is_file(canonical) and own_net(canonical) is None:
        own_stem = start != "scratch"
        if own_stem:
            wish = input_size or timm_nets.own_size(canonical)
            mean, std = timm_nets.normalisation(canonical, images.channels)
        wish, options = timm_nets.fit_size(canonical, wish, own_stem=own_stem)
        if input_size not in (None, wish):
            raise UsageError(f"--input-size {input_size}: {name} cannot be built for it", f"its own size is {wish}")
    code = own_sum(canonical) if is_file(canonical) else None
    return Spec(canonical, images.classes, images.channels, wish, mean, std, options, code)


def rebuild(spec: Spec, code: Code | None = None) -> Network:
    """The same architecture with fresh weights.

    An own file runs only when it is what the Spec records and `code`, the command's options, names or trusts it.
    Raises CheckpointError otherwise.
    """
    backbone = _backbone(spec, code or Code())
    for change in spec.transforms:
        backbone = apply_transform(backbone, change)
    return Network(backbone, spec)


def _backbone(spec: Spec, code: Code) -> nn.Module:
    counts = len(spec.classes), spec.channels
    if is_file(spec.name):
        return build_own(spec.name, spec.code, code, (*counts, spec.input_size))
    own = own_net(spec.name)
    if own is not None:
        return own.make(*counts, spec.input_size)
    return timm_nets.create(spec.name, *counts, spec.options)


def head_of(backbone: nn.Module) -> nn.Module:
    """The final classifier: timm's own answer, else the last linear layer.

    Raises UsageError when there is none, or more than one (distilled DeiT).
    """
    get_classifier: Any = getattr(backbone, "get_classifier", None)
    if get_classifier:
        head = get_classifier()
    else:
        head = next((each for each in reversed(list(backbone.modules())) if isinstance(each, nn.Linear)), None)
    if not isinstance(head, nn.Linear | nn.Conv2d):
        raise UsageError(
            f"{type(backbone).__name__}: has no single linear classifier at its end",
            "end the network in one nn.Linear",
        )
    return head


def ends_of(backbone: nn.Module) -> list[nn.Parameter]:
    """The weights of the first layer and of the final classifier, as far as there are such."""
    layers = (each for each in backbone.modules() if isinstance(each, nn.Linear | nn.Conv2d))
    first = next((each.weight for each in layers), None)
    try:
        head = head_of(backbone).weight
    except UsageError:
        head = None
    return [each for each in (first, head) if isinstance(each, nn.Parameter)]


def undecayed(backbone: nn.Module) -> list[nn.Parameter]:
    """What is no layer's matrix though it has its shape, by timm's own list: position and class embeddings."""
    named: Any = getattr(backbone, "no_weight_decay", set)
    return [parameter for name, parameter in backbone.named_parameters() if name in named()]


def head_name(backbone: nn.Module) -> str:
    """The classifier's name in the backbone, so that `<name>.weight` is in its state."""
    head = head_of(backbone)
    return next(str(name) for name, module in backbone.named_modules() if module is head)


def swap_head(network: Network, classes: tuple[str, ...]) -> None:
    """Give the network a fresh classifier for other classes, in place."""
    backbone: Any = network.backbone
    if hasattr(backbone, "reset_classifier"):
        backbone.reset_classifier(len(classes))
    else:
        head: Any = head_of(backbone)
        fresh = nn.Linear(head.weight.shape[1], len(classes), bias=head.bias is not None)
        backbone.set_submodule(head_name(backbone), fresh)
    backbone.to(network.offset.device)
    network.spec = replace(network.spec, classes=classes)


def pooled_features(network: Network, canvas: Tensor) -> Tensor:
    """What the final classifier sees: [n, features]. Raises UsageError like `head_of`."""
    seen: list[Tensor] = []
    hook = head_of(network.backbone).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        network(canvas)
    finally:
        hook.remove()
    return seen[-1].flatten(1)


def layer_groups(backbone: nn.Module) -> list[list[nn.Parameter]]:
    """All parameters in groups from the input to the head; the last group is the final classifier."""
    try:
        last = {f"{head_name(backbone)}.{name}" for name, _ in head_of(backbone).named_parameters()}
    except UsageError:
        last = set()
    parameters = dict(backbone.named_parameters())
    body = [[name for name in group if name not in last] for group in _grouped(backbone)]
    names = [group for group in body if group] + [[name for name in parameters if name in last]]
    return [[parameters[name] for name in group] for group in names if group]


def _grouped(backbone: nn.Module) -> list[list[str]]:
    matcher: Any = getattr(backbone, "group_matcher", None)
    if matcher:
        groups = group_parameters(backbone, matcher(coarse=False))
        return [groups[layer] for layer in sorted(groups)]
    found: dict[str, list[str]] = {}
    for name, _ in backbone.named_parameters():
        found.setdefault(name.partition(".")[0], []).append(name)
    return list(found.values())
