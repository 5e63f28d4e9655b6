"""Knowledge distillation as anyone would write it in PyTorch: live, or from an array of logits computed before."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from job import CHECKED, Images, Job, hand_back, logit_error, loss_of, make_optimizer, networks, read_job, train, weigh
from torch import Tensor, nn


def build_cache(job: Job, images: Images, teacher: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    """fp16 logits [views, images, classes] in one .npy file, mapped; and what that took."""
    started = time.perf_counter()
    folder = Path(str(job.cache))
    folder.mkdir(parents=True)
    places, found = torch.arange(len(images.train)), []
    with torch.inference_mode():
        found = [
            torch.cat([teacher(images.view(view, part)) for part in places.split(250)]) for view in range(job.views)
        ]
    np.save(folder / "logits.npy", torch.stack(found).half().numpy())
    stored = torch.from_numpy(np.load(folder / "logits.npy"))
    figures: dict[str, Any] = {"build_s": time.perf_counter() - started}
    return stored, figures | weigh(folder, job.views * len(images.train))


def check_cache(images: Images, teacher: nn.Module, stored: Tensor) -> dict[str, float]:
    """The error of the first images' stored logits in the last view."""
    places = torch.arange(min(CHECKED, len(images.train)))
    with torch.inference_mode():
        return {"logit_error": logit_error(stored[-1, places], teacher(images.view(len(stored) - 1, places)))}


def main() -> None:
    """Train as the job says."""
    job = read_job()
    images = Images(job)
    teacher, student = networks(job)
    stored, figures = build_cache(job, images, teacher) if job.cache else (None, {})
    optimizer = make_optimizer(job, student.parameters())
    total = job.epochs * images.steps
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled=job.precision == "bf16")

    def epoch(number: int) -> Iterator[Tensor]:
        for step, (batch, targets, index) in enumerate(images.epoch(number)):
            optimizer.param_groups[0]["lr"] = job.lr * job.rate((number * images.steps + step) / total)
            with autocast:
                if stored is None:
                    with torch.no_grad():
                        target = teacher(batch)
                else:
                    target = stored[number % job.views, index]
                loss = loss_of(job, student(batch), target, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.detach()

    figures |= train(job, images, student, epoch)
    if stored is not None:
        figures |= check_cache(images, teacher, stored)
    hand_back(job, figures)


if __name__ == "__main__":
    main()
