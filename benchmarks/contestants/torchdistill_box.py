"""torchdistill's DistillationBox with its KDLoss: live, or with the cache that 1.1.4 still had."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from job import CHECKED, Images, Job, hand_back, logit_error, networks, read_job, train, weigh
from torch import Tensor, nn
from torch.utils.data import Dataset, RandomSampler
from torchdistill.core.distillation import get_distillation_box


class Samples(Dataset):
    """The images one by one, as torchdistill reads them: normalised and padded before, so that one costs a slice."""

    def __init__(self, images: Images, job: Job) -> None:
        self.pixels = images.normalise(images.padded if job.is_augmented else images.train)
        self.targets = images.targets.tolist()
        self.side = images.train.shape[1]
        self.is_augmented = job.is_augmented
        if job.cache:  # it cannot collate a batch of which only some images are cached: the first epoch must see all
            self.targets = self.targets[: images.steps * job.batch_size]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        pixels = self.pixels[place]
        if self.is_augmented:
            down, right, flip = torch.randint(0, 1 << 16, (3,)).tolist()
            reach = pixels.shape[1] - self.side + 1
            down, right = down % reach, right % reach
            pixels = pixels[:, down : down + self.side, right : right + self.side]
            pixels = pixels.flip(2) if flip % 2 else pixels
        return pixels, self.targets[place]


def config_of(job: Job, total: int) -> dict[str, Any]:
    """torchdistill's training configuration for the job; its alpha is the weight of the labels."""
    loss = {"student_module_path": ".", "student_module_io": "output", "temperature": job.temperature}
    loss |= {"teacher_module_path": ".", "teacher_module_io": "output", "alpha": 1 - job.alpha}
    kd = {"criterion": {"key": "KDLoss", "kwargs": loss | {"reduction": "batchmean"}}, "weight": 1.0}
    sgd = {"lr": job.lr, "momentum": job.momentum, "weight_decay": job.weight_decay, "nesterov": True, "fused": True}
    schedule = {"lr_lambda": lambda step: job.rate(min(step / total, 1.0))}
    loader = {"batch_size": job.batch_size, "num_workers": 0, "drop_last": True}
    return {
        "num_epochs": job.epochs,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": loader,
            "cache_output": job.cache,
        },
        "teacher": {"requires_grad": False, "forward_proc": "forward_batch_only"},
        "student": {"forward_proc": "forward_batch_only"},
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": kd}}},
        "optimizer": {"key": "SGD", "kwargs": sgd},
        "scheduler": {"key": "LambdaLR", "kwargs": schedule, "scheduling_step": 1},
    }


def check_cache(job: Job, images: Images, teacher: nn.Module) -> dict[str, float]:
    """What the cache weighs, and the error of some of its logits."""
    folder = Path(str(job.cache))
    paths = sorted(folder.rglob("*.pt"))
    chosen = paths[:CHECKED]
    stored = [torch.load(path, weights_only=False)["teacher_outputs"] for path in chosen]
    places = torch.tensor([int(path.stem) for path in chosen])
    with torch.inference_mode():
        error = logit_error(torch.stack(stored), teacher(images.view(0, places)))
    return weigh(folder, len(paths)) | {"logit_error": error}


def main() -> None:
    """Train as the job says; the first epoch of a cached training is the one that fills the cache."""
    job = read_job()
    images = Images(job)
    teacher, student = networks(job)
    data = {"train": Samples(images, job)}
    config = config_of(job, job.epochs * images.steps)
    box = get_distillation_box(teacher, student, data, config, torch.device("cpu"), None, False, 1)

    def epoch(number: int) -> Iterator[Tensor]:
        box.pre_epoch_process(epoch=number)
        for batch, targets, extra in box.train_data_loader:
            box.pre_forward_process()
            loss = box.forward_process(batch, targets, extra)
            box.post_forward_process(loss)
            yield loss.detach()
        box.post_epoch_process()

    figures = train(job, images, student, epoch)
    if job.cache:
        filling, *warm = figures["epoch_s"]
        figures |= {"build_s": filling - min(warm)} | check_cache(job, images, teacher)
    hand_back(job, figures)


if __name__ == "__main__":
    main()
