"""The example that quantizes inputs by timestep, held against a quantizer written with NumPy.

python check_time_groups.py JOBS RESULTS reads jobs, [{model, checkpoint, inputs, timesteps}], and writes
{jobs: what each twin did under the schedules of its checkpoint, checks: {name: null, or why it failed}} as
JSON. `inputs` are the schedules as Isotherm reads them, `timesteps` lists of those to predict at.
"""

import copy
import json
import math
import pathlib
import sys
import tempfile
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples"))

import forward
import make_models
import numpy as np
import torch
from safetensors.torch import save_file
from time_grouped_torch import TimeGroupedInputs
from torch import nn
from twins import SAMPLES, TWINS


def quantize_plainly(x, schedule, inputs, times):
    """F32 [samples, ...], each by the parameters of its own timestep."""
    known, bounds, scales = inputs["timesteps"], schedule["boundaries"], schedule["scale"]
    out = np.empty_like(x)
    for i, t in enumerate(times):
        step = min(range(len(known)), key=lambda s: (abs(known[s] - t), s))
        if len(scales) != len(known):
            step = max(g for g in range(len(scales)) if bounds[g] <= step)
        scale, zero_point = np.float32(scales[step]), np.float32(schedule["zero_point"][step])
        codes = np.clip(np.rint(x[i] / scale) + zero_point, 0, 2 ** inputs["bits"] - 1)
        out[i] = (codes - zero_point) * scale
    return out


class PlainLinear(nn.Module):
    """A linear layer that quantizes its own input; `times` are set before a call."""

    def __init__(self, layer, schedule, inputs):
        super().__init__()
        self.layer, self.schedule, self.inputs, self.times = layer, schedule, inputs, None

    def forward(self, x):
        return self.layer(torch.from_numpy(quantize_plainly(x.numpy(), self.schedule, self.inputs, self.times)))


class PlainTwin:
    """A twin whose layers quantize their inputs without the example."""

    def __init__(self, twin, inputs):
        self.twin = copy.copy(twin)
        self.twin.model = copy.deepcopy(twin.model)
        self.layers = []
        for schedule in inputs["layers"]:
            layer = PlainLinear(self.twin.model.get_submodule(schedule["name"]), schedule, inputs)
            self.twin.model.set_submodule(schedule["name"], layer)
            self.layers.append(layer)

    def predict(self, times):
        for layer in self.layers:
            layer.times = times.tolist()
        return self.twin.predict(times)


class ErrorMeter:
    """What quantizing costs the inputs of each layer: hooks before and after those of the example."""

    def __init__(self, model, names):
        self.modules = {name: model.get_submodule(name) for name in names}
        self.raw, self.hooks = {}, []
        # Relative errors of each call.
        self.errors = {name: [] for name in names}

    def before(self):
        self.add(lambda name, x: self.raw.update({name: x}))

    def after(self):
        self.add(self.measure)

    def add(self, see):
        for name, module in self.modules.items():
            self.hooks.append(module.register_forward_pre_hook(lambda _, args, name=name: see(name, args[0].double())))

    def remove(self):
        for hook in self.hooks:
            hook.remove()

    def measure(self, name, x):
        self.errors[name].append(((self.raw[name] - x).square().sum() / self.raw[name].square().sum()).item())

    def sqnr_db(self):
        """Of the mean relative error, weighted by weights, as reports have it."""
        weights = {name: module.weight.numel() for name, module in self.modules.items()}
        means = {name: sum(errors) / len(errors) for name, errors in self.errors.items()}
        return -10 * math.log10(sum(weights[name] * means[name] for name in weights) / sum(weights.values()))


def run_job(job):
    twin, inputs = TWINS[job["model"]](), job["inputs"]
    twin_error = twin.reference_error()
    plain, grouped = PlainTwin(twin, inputs), TimeGroupedInputs(twin.model, job["checkpoint"])
    differences = []
    for times in map(torch.tensor, job["timesteps"]):
        expected = plain.predict(times)
        with grouped:
            grouped.at(times[0] if len(times.unique()) == 1 else times)
            found = twin.predict(times)
        differences.append(((found - expected).abs().max() / expected.abs().max()).item())
    meter, signal, error = ErrorMeter(twin.model, grouped.layers), 0.0, 0.0
    originals = [twin.predict(torch.full([SAMPLES], t)) for t in inputs["timesteps"]]
    meter.before()
    with grouped:
        meter.after()
        for t, original in zip(inputs["timesteps"], originals):
            grouped.at(t)
            signal += original.square().sum().item()
            error += (twin.predict(torch.full([SAMPLES], t)) - original).square().sum().item()
    meter.remove()
    return {
        "twin_error": twin_error,
        "layers": len(grouped.layers),
        "missing": grouped.missing,
        "plain_difference": max(differences),
        "input_sqnr_db": meter.sqnr_db(),
        "output_sqnr_db": 10 * math.log10(signal / error),
    }


def write(path, layers, timesteps, bits="8", **metadata):
    """A file of schedules: layers are {name: (boundaries, scales, zero points)}."""
    tensors = {"timesteps": torch.tensor(timesteps, dtype=torch.float32)}
    for name, (boundaries, scale, zero_point) in layers.items():
        tensors[f"{name}.input_boundaries"] = torch.tensor(boundaries, dtype=torch.int32)
        tensors[f"{name}.input_scale"] = torch.tensor(scale, dtype=torch.float32)
        tensors[f"{name}.input_zero_point"] = torch.tensor(zero_point, dtype=torch.int32)
    kept = {"format": "isotherm-time-groups", "version": "1", "input_bits": bits} | metadata
    save_file(tensors, path, {key: value for key, value in kept.items() if value is not None})


class Example:
    """A file of schedules for a while, and its path."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory()
        write(f"{self.directory.name}/time_groups.isotherm", *self.args, **self.kwargs)
        return self.directory.name

    def __exit__(self, *_):
        self.directory.cleanup()


class Echo(nn.Linear):
    """A layer that puts out what it is fed."""

    def __init__(self, features):
        super().__init__(features, features, bias=False)

    def forward(self, input):
        return input


def echo(layer, checkpoint, timestep, x, **kwargs):
    with TimeGroupedInputs(layer, checkpoint, **kwargs) as inputs:
        inputs.at(timestep)
        return layer(x)


# Scales by which the timestep that was taken can be told.
TOLD = ([0, 1, 2, 3, 4], [1.0, 2.0, 4.0, 8.0], [0, 0, 0, 0])
TIMES = [100.0, 200.0, 300.0, 500.0]


class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.ModuleDict({"b": Echo(1), "c": Echo(1), "d": nn.Conv1d(1, 1, 1)})

    def forward(self, x, **kwargs):
        return self.a["b"](input=x), self.a["c"](x)


def codes_are_rounded_half_to_even_and_clamped():
    with Example({"": ([0, 4], [0.5], [7])}, TIMES, bits="4") as path:
        x = torch.tensor([-9.0, -3.51, -0.75, -0.25, 0, 0.25, 0.75, 1.26, 4.1, 9.0])
        expected = torch.tensor([-3.5, -3.5, -1.0, 0, 0, 0, 1.0, 1.5, 4.0, 4.0])
        assert torch.equal(echo(Echo(10), path, 100, x), expected)
        assert echo(Echo(1), path, 100, torch.tensor([float("nan")])).isnan().all()
    with Example({"": ([0, 4], [0.1], [0])}, TIMES) as path:
        # 25.5 scale of 0.1 as F32; what F64 and BF16 would make of it is another code.
        x = torch.tensor([1.05, 25.44, 25.46, 30.0])
        found = echo(Echo(4), path, 100, x)
        assert torch.equal(found, torch.tensor(np.float32([10, 254, 255, 255]) * np.float32(0.1))), found
        for dtype in (torch.bfloat16, torch.float16, torch.float64):
            found = echo(Echo(4), path, 100, x.to(dtype))
            wide = x.to(dtype).to(torch.promote_types(dtype, torch.float32)) / torch.tensor([0.1])
            expected = (wide.round().clamp(0, 255) * torch.tensor([0.1])).to(dtype)
            assert found.dtype == dtype and torch.equal(found, expected), (dtype, found, expected)


def the_nearest_timestep_is_taken():
    one, groups = torch.tensor([[5.3]]), ([0, 1, 3, 4], [1.0, 2.0, 4.0], [0, 0, 0])
    for schedule, expected in ((TOLD, [5, 5, 8, 6, 6, 4, 8, 8, 8]), (groups, [5, 5, 4, 6, 6, 6, 4, 4, 4])):
        with Example({"": schedule}, TIMES) as path:
            asked = [-5, 150, 401, 151, 250, 400, 500, 1e9, torch.tensor([450])]
            found = [echo(Echo(1), path, timestep, one).item() for timestep in asked]
            assert found == expected, found


def samples_have_timesteps_of_their_own():
    with Example({"": TOLD}, TIMES) as path:
        x = torch.tensor([6.9, 2.2]).expand(4, 3, 2)
        found = echo(Echo(2), path, torch.tensor([500, 100, 290, 199]), x)
        expected = torch.tensor([[8, 0], [7, 2], [8, 4], [6, 2]]).float()[:, None].expand(4, 3, 2)
        assert torch.equal(found, expected), found
        assert torch.equal(echo(Echo(2), path, [500, 100], x[:2]), expected[:2])
        refuses(lambda: echo(Echo(2), path, [500, 100, 300], x), "is fed [4, 3, 2], expected [3, ...]")
        refuses(lambda: echo(Echo(2), path, [500, 100], x[0, 0]), "is fed [2], expected [2, ...]")
        refuses(lambda: echo(Echo(2), path, [[500, 100]], x), "the shape [1, 2]")
        refuses(lambda: echo(Echo(2), path, [], x), "the shape [0]")
        refuses(lambda: echo(Echo(2), path, [5, float("nan")], x), "timestep nan is not finite")


def layers_are_found_by_name():
    model, x = Layers(), torch.tensor([[0.9]])
    with Example({"m.a.b": TOLD}, TIMES) as path, TimeGroupedInputs(model, path, prefix="m.") as inputs:
        assert (inputs.layers, inputs.missing, inputs.bits) == (["m.a.b"], [], 8)
        assert inputs.timesteps.tolist() == TIMES
        inputs.at(100)
        assert [y.item() for y in model(x)] == [1, x.item()]
    with Example({f"a.{name}": TOLD for name in "bcde"}, TIMES) as path:
        refuses(lambda: TimeGroupedInputs(model, path), "2 of 4 layers", "'a.d', 'a.e': see prefix=")
        inputs = TimeGroupedInputs(model, f"{path}/time_groups.isotherm", strict=False)
        assert (inputs.layers, inputs.missing) == (["a.b", "a.c"], ["a.d", "a.e"])
        with inputs:
            inputs.at(200)
            assert [y.item() for y in model(torch.tensor([[1.1]]))] == [2, 2]
        refuses(lambda: TimeGroupedInputs(nn.ReLU(), path, strict=False), "4 of 4 layers")
        refuses(lambda: TimeGroupedInputs(model, path, prefix="a."), "4 of 4 layers")
    with Example({"a.b": TOLD, "a.c": ([0, 4], [8.0], [0]), "x.a.b": TOLD}, TIMES) as path:
        refuses(lambda: TimeGroupedInputs(model, path, prefix="m."), "3 of 3 layers")
        with TimeGroupedInputs(model, path, strict=False) as inputs:
            inputs.at(100)
            assert [y.item() for y in model(torch.tensor([[5.0]]))] == [5, 8]
    with Example({f"l{i}": TOLD for i in range(10, 20)}, TIMES) as path:
        refuses(lambda: TimeGroupedInputs(model, path), "'l17' and 2 more: see")


def hooks_go():
    model, x = Layers(), torch.tensor([[0.9]])
    scheduler = diffusers_scheduler("DDIMScheduler")
    with Example({"a.b": TOLD, "a.c": TOLD}, TIMES) as path:
        inputs = TimeGroupedInputs(model, path)
        inputs.watch_scheduler(scheduler)
        method = scheduler.step
        refuses(lambda: leave_by_error(inputs, model, x), "are quantized already")
        assert scheduler.step == method
        assert not any(module._forward_pre_hooks for module in model.modules())
        assert [y.item() for y in model(x)] == [x.item()] * 2
        with inputs:
            assert [y.item() for y in model(x)] == [0, 0]


def leave_by_error(inputs, model, x):
    with inputs:
        assert [y.item() for y in model(x)] != [x.item()] * 2
        inputs.__enter__()


def diffusers_scheduler(name):
    import diffusers

    return getattr(diffusers, name)()


class Told:
    """A scheduler with six timesteps of which each has a scale of its own, so that it shows what was taken."""

    def __init__(self, name):
        self.scheduler = diffusers_scheduler(name)
        self.scheduler.set_timesteps(6)
        self.known = sorted({float(t) for t in self.scheduler.timesteps})
        count = len(self.known)
        self.file = Example({"": (list(range(count + 1)), [2.0**i for i in range(count)], [0] * count)}, self.known)

    def __enter__(self):
        self.inputs = TimeGroupedInputs(Echo(1), self.file.__enter__())
        self.inputs.watch_scheduler(self.scheduler)
        return self

    def __exit__(self, *_):
        self.file.__exit__()

    def expect(self, timestep):
        """Calls the model, which has to be at this timestep."""
        scale = 2.0 ** self.known.index(float(timestep))
        found = self.inputs.model(torch.full([2, 1], 0.9 * scale))
        assert (found == scale).all(), (type(self.scheduler).__name__, timestep, found)

    def step(self, timestep):
        self.scheduler.step(torch.zeros(2, 1), timestep, torch.ones(2, 1))

    def scale(self, timestep):
        self.scheduler.scale_model_input(torch.ones(2, 1), timestep)


def schedulers_of_every_kind():
    for name, scales in (
        ("DDIMScheduler", True),
        ("DDIMScheduler", False),
        ("PNDMScheduler", False),
        ("EulerDiscreteScheduler", True),
        ("HeunDiscreteScheduler", True),
        ("DPMSolverMultistepScheduler", False),
        ("FlowMatchEulerDiscreteScheduler", False),
        ("FlowMatchHeunDiscreteScheduler", False),
    ):
        with Told(name) as told, told.inputs:
            for _ in range(2):
                told.scheduler.set_timesteps(6)
                for t in told.scheduler.timesteps:
                    if scales:
                        told.scale(t)
                    told.expect(t)
                    told.step(t)
            if not scales:
                refuses(lambda: told.expect(t), "no timestep left")


def schedulers_that_begin_late():
    # Where the picture to begin with is known from what is scaled alone.
    with Told("DDIMScheduler") as told, told.inputs:
        timesteps = told.scheduler.timesteps
        told.scale(timesteps[2])
        told.expect(timesteps[2])
        told.step(timesteps[2])
        told.expect(timesteps[3])
    with Told("DPMSolverMultistepScheduler") as told, told.inputs:
        told.scheduler.set_begin_index(2)
        told.expect(told.scheduler.timesteps[2])
    # At the second of two equal timesteps.
    with Told("HeunDiscreteScheduler") as told, told.inputs:
        timesteps = told.scheduler.timesteps
        assert timesteps[1] == timesteps[2]
        told.scheduler.set_begin_index(2)
        told.expect(timesteps[2])
        told.step(timesteps[2])
        told.expect(timesteps[3])
    # Another scheduler, while the model is at work.
    with Told("DDIMScheduler") as told, told.inputs:
        first = told.scheduler
        told.scheduler = diffusers_scheduler("DDIMScheduler")
        told.scheduler.set_timesteps(6)
        told.inputs.watch_scheduler(told.scheduler)
        assert "step" not in vars(first)
        told.scale(told.scheduler.timesteps[3])
        told.expect(told.scheduler.timesteps[3])


def pipeline_of_diffusers():
    pipeline = make_models.make_pipeline(make_models.randomize(make_models.DIFFUSERS["pixart"][1](), 3))
    model, seen, fed = pipeline.transformer, [], []
    plain = forward.draw(pipeline)
    model.register_forward_pre_hook(lambda _, args, kwargs: seen.append(kwargs["timestep"][0].item()), with_kwargs=True)
    name, known = "transformer_blocks.0.attn1.to_q", [499.0, 999.0]
    with Example({name: ([0, 1, 2], [0.25, 0.5], [120, 120])}, known) as path:
        inputs = TimeGroupedInputs(model, path)
        inputs.watch_scheduler(pipeline.scheduler)
        with inputs:
            hook = model.get_submodule(name).register_forward_pre_hook(lambda _, args: fed.append(args[0] / 0.25))
            drawn = forward.draw(pipeline)
            hook.remove()
    assert not torch.equal(drawn, plain) and torch.equal(forward.draw(pipeline), plain)
    assert len(seen) == 4 and min(seen[:2]) < 749 < max(seen[:2]), seen
    for timestep, x in zip(seen, fed):
        assert torch.equal(x, x.round())
        # Odd multiples of the smaller scale are values of the earlier timestep alone.
        assert bool((x % 2 == 1).any()) == (timestep < 749), timestep


def malformed_files_are_named():
    model = Echo(1)
    good = {"": TOLD}
    for args, kwargs, text in (
        ((good, TIMES), {"format": "pt"}, "the format of"),
        ((good, TIMES), {"format": None}, "is None, expected 'isotherm-time-groups'"),
        ((good, TIMES), {"version": "2"}, "is '2', expected '1'"),
        ((good, TIMES), {"input_bits": None}, "write the checkpoint with --activation-bits"),
        ((good, TIMES), {"input_bits": "5"}, "are '5', expected 4, 6 or 8"),
        ((good, []), {}, "'timesteps' of"),
        (({}, TIMES), {}, "has no schedule of an input"),
        (({"": ([0, 4], [1.0, 2.0], [0, 0])}, TIMES), {}, "schedule of '' in"),
        (({"": ([0, 2, 5], [1.0, 2.0], [0, 0])}, TIMES), {}, "is not of 4 timesteps"),
        (({"": ([0, 6, 4], [1.0, 2.0], [0, 0])}, TIMES), {}, "is not of 4 timesteps"),
        (({"": ([0, 4], [1.0], [0, 0])}, TIMES), {}, "is not of 4 timesteps"),
        (({"": ([0, 4], [0.0], [0])}, TIMES), {}, "not above 0"),
        (({"": ([0, 4], [float("inf")], [0])}, TIMES), {}, "not above 0"),
        (({"": ([0, 4], [[1.0]], [0])}, TIMES), {}, "is torch.float32 [1, 1], expected torch.float32 of one dim"),
    ):
        with Example(*args, **kwargs) as path:
            refuses(lambda: TimeGroupedInputs(model, path), text)
    with tempfile.TemporaryDirectory() as path:
        refuses(lambda: TimeGroupedInputs(model, path), "cannot read", "time_groups.isotherm'")
        pathlib.Path(path, "time_groups.isotherm").write_text("{")
        refuses(lambda: TimeGroupedInputs(model, path), "cannot read")
        tensors = {".input_boundaries": torch.tensor([0, 1], dtype=torch.int32), "timesteps": torch.ones(1)}
        metadata = {"format": "isotherm-time-groups", "version": "1", "input_bits": "4"}
        save_file(tensors, f"{path}/time_groups.isotherm", metadata)
        refuses(lambda: TimeGroupedInputs(model, path), "'.input_scale' of", "is missing")
    with Example(good, TIMES) as path, TimeGroupedInputs(model, path):
        refuses(lambda: model(torch.ones(1, 1)), "call inputs.at(timestep)")


def refuses(action, *texts):
    try:
        action()
    except (ValueError, RuntimeError) as error:
        assert all(text in str(error) for text in texts) and "\n" not in str(error), str(error)
    else:
        raise AssertionError(f"no error about {texts[0]}")


CHECKS = (
    codes_are_rounded_half_to_even_and_clamped,
    the_nearest_timestep_is_taken,
    samples_have_timesteps_of_their_own,
    layers_are_found_by_name,
    hooks_go,
    schedulers_of_every_kind,
    schedulers_that_begin_late,
    pipeline_of_diffusers,
    malformed_files_are_named,
)


def main(jobs, path):
    checks = {}
    for check in CHECKS:
        try:
            check()
            checks[check.__name__] = None
        except Exception as error:
            traceback.print_exc()
            checks[check.__name__] = f"{type(error).__name__}: {error}"
    results = [run_job(job) for job in json.loads(pathlib.Path(jobs).read_text())]
    with open(path, "w") as file:
        json.dump({"jobs": results, "checks": checks}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
