"""Student, teacher, data and cache as `edgekd distill` finds them, without making what is not there."""

from dataclasses import dataclass, replace
from pathlib import Path

from edgekd.cache.alignment import number_images
from edgekd.cache.fit import check_fit
from edgekd.cache.folder import all_shards, missing_shards
from edgekd.cache.listing import match
from edgekd.cache.parts import read_parts
from edgekd.cache.plan import CachePlan, read_plan
from edgekd.cache.state import read_state, views_to_have
from edgekd.config import Distill
from edgekd.data.sources import open_data
from edgekd.data.view_choice import choose_views, tell_other_views
from edgekd.data.view_options import settle_views, view_recipe
from edgekd.images.imageset import ImageData, describe_data
from edgekd.methods.contract import Method
from edgekd.models.build import plan, rebuild
from edgekd.models.known import is_file
from edgekd.models.names import own_net, resolve
from edgekd.models.network import Network, Spec
from edgekd.models.weights import build_for, load_weights
from edgekd.report import Reporter
from edgekd.runs import Run, slug
from edgekd.runtimes.suffixes import is_model_file
from edgekd.teachers.cache_planning import settle_cache_views, tell_added_views
from edgekd.teachers.preparation import AtHand, at_hand, caches_of, make_ready
from edgekd.teachers.pretrained import adopted
from edgekd.teachers.resolve import Found
from edgekd.teachers.source import KnownTeacher
from edgekd.teachers.teacher import Teacher


@dataclass(frozen=True)
class KnownCache:
    """A cache that fits, begun or whole: `views` it has or will have, `rows_left` to be asked of the teacher."""

    folder: Path
    plan: CachePlan
    views: int
    rows_left: int


@dataclass(frozen=True)
class Scene:
    """What a distillation would start from.

    `teacher` is None where it cannot be asked any more (or caches of several are), `stored` the caches named, open;
    `missing` says in words what `distill` would have to get first.
    """

    teacher: KnownTeacher | None
    data: ImageData
    config: Distill
    cache: KnownCache | None = None
    stored: Teacher | None = None
    missing: str | None = None

    @property
    def folder(self) -> Path:
        """The cache's, there or not."""
        name = "" if self.teacher is None else self.teacher.name
        return self.cache.folder if self.cache else self.config.caches / name

    def network(self) -> Network | None:
        """The teacher's network, with fresh weights where it has none here: they do not change the time."""
        if self.teacher is None:
            return None
        if self.teacher.run is None or self.teacher.run.weights.is_file():
            return self.teacher.network(self.config)
        return rebuild(self.teacher.spec, self.config)


def find_scene(config: Distill, method: Method, place: Run, found: Found | None, report: Reporter) -> Scene:
    """What `distill` would start from; raises what it would raise, but for a teacher that is not there yet.

    `found` is the teacher; None: the caches named.
    """
    if found is None:
        return _of_caches(config, method, place, report)
    if isinstance(found, str):
        data = open_data(config, report)
        run = adopted(found, data, config)
        if run is None:
            return _of_name(found, config, data, report)
        config, found = replace(config, teacher=str(run.path), teacher_weights=None), run
    return _of_teacher(at_hand(config, method, place, report, found), report)


def _of_caches(config: Distill, method: Method, place: Run, report: Reporter) -> Scene:
    """The caches named; their teachers need not be there any more."""
    taught = make_ready(config, method, place, report)
    folders = list(caches_of(config))
    plan = read_plan(folders[0])
    cache = KnownCache(folders[0], plan, taught.views or 1, 0)
    known = plan.teacher
    where = Path(known["place"])
    can_ask = len(folders) == 1 and known["spec"] is not None and (not is_model_file(where) or where.is_file())
    spec = Spec.from_dict(known["spec"]) if can_ask else None
    teacher = None if spec is None else KnownTeacher(known["name"], where, spec, known["sha256"])
    return Scene(teacher, taught.data, taught.config, cache, taught.teacher)


def _of_teacher(known: AtHand, report: Reporter) -> Scene:
    """The teacher's cache is completed where it is begun; with --live none is looked for."""
    teacher, data, config = known.teacher, known.data, known.config
    folder = known.cache or config.caches / teacher.name
    if config.live or not (folder / "plan.json").is_file():
        return Scene(teacher, data, choose_views(config, teacher.views, teacher.place, data, report))
    cache = _examine(folder, teacher, data, config, report)
    tell_other_views(folder, cache.plan.views, Path(cache.plan.teacher["place"]), report)
    return Scene(teacher, data, settle_views(config, cache.plan.views), cache)


def _examine(folder: Path, teacher: KnownTeacher, data: ImageData, config: Distill, report: Reporter) -> KnownCache:
    """What of a cache is there; raises CacheError when it does not fit."""
    plan = read_plan(folder)
    recipe = view_recipe(settle_views(config, plan.views))
    check_fit(folder, plan, teacher.describe(), describe_data(data), recipe.describe())
    parts = read_parts(folder)
    new = len(match(folder, parts, data.listing).new)
    if not new:
        number_images(folder, plan, data)
    views = settle_cache_views(read_state(folder), config.views, len(data.everything), config.epochs)
    tell_added_views(folder, views_to_have(folder, plan, config.views), views, report)
    left = sum(map(len, missing_shards(folder, all_shards(plan, parts, views))))
    return KnownCache(folder, plan, views, left + new * views)


def _of_name(name: str, config: Distill, data: ImageData, report: Reporter) -> Scene:
    """A teacher whose run is not made yet."""
    spec, missing = _spec(name, data, config)
    run = f"{slug(name)}-{data.name}"
    report.warn(f"teacher {name}: {missing}; timed with fresh weights")
    config = choose_views(config, {}, None, data, report)
    return Scene(KnownTeacher(run, config.runs / run, spec, ""), data, config, missing=missing)


def _spec(name: str, data: ImageData, config: Distill) -> tuple[Spec, str]:
    """What the teacher would be, and what it lacks."""
    path = config.teacher_weights
    if path is not None:
        spec = build_for(name, data, load_weights(path), str(path), code=config).spec
        return spec, f"a run would be made of {path} first"
    if is_file(name) or own_net(resolve(name)) is not None:
        return plan(name, data), f"there is no run of it: edgekd train-teacher --model {name}"
    return plan(name, data, start="pretrained"), "there is no run of it: its pretrained weights would be fetched first"
