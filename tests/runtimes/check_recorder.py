"""The recorder of examples/, held against sums made by hand over what hooks of this file see.

python check_recorder.py RESULTS FILE writes {name of a check: null, or why it failed} as JSON, and a
calibration of the tiny PixArt model at timesteps 100, 500 and 900, in two segments, ranks 8 and one wide
layer in one pass.
"""

import json
import math
import pathlib
import sys
import tempfile
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples"))

import forward
import make_models
import torch
from record_calibration import Recorder, mask_levels, snr_weight
from safetensors import safe_open
from torch import nn


def load(path):
    """Tensors and metadata of a file, read by the safetensors library."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()


def save(recorder):
    """What a recorder writes, and what it says it lacks."""
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/calibration.safetensors"
        lacks = recorder.save(path)
        return *load(path), lacks


class Witness:
    """Keeps every input of every linear layer: (timestep, rows in F64)."""

    def __init__(self, model):
        self.seen, self.timestep = {}, None
        for name, layer in model.named_modules():
            if isinstance(layer, nn.Linear):
                layer.register_forward_pre_hook(self.watch(name))

    def watch(self, name):
        def hook(_, args):
            rows = args[0].detach().reshape(-1, args[0].shape[-1]).double()
            self.seen.setdefault(name, []).append((self.timestep, rows))

        return hook

    def gram(self, name, weights, timesteps=None):
        """H of some timesteps."""
        calls = [(t, x) for t, x in self.seen[name] if timesteps is None or t in timesteps]
        total = sum(weights(t) * x.T @ x / len(x) for t, x in calls)
        return total / sum(weights(t) for t, _ in calls)


def near(found, expected, tolerance, what):
    error = (found.double() - expected).abs().max().item() / max(expected.abs().max().item(), 1e-30)
    assert error <= tolerance, f"{what} is off by {error}"


def leading(h, rank):
    """The part of H of highest rank r."""
    values, vectors = torch.linalg.eigh(h)
    return (vectors[:, -rank:] * values[-rank:].clamp(min=0)) @ vectors[:, -rank:].T


def make_diffusers(name):
    return make_models.randomize(make_models.DIFFUSERS[name][1](), 3).to(torch.float32)


def run_diffusers(model, timestep):
    """One call with inputs that differ from timestep to timestep."""
    inputs = forward.INPUTS[type(model).__name__](model.config)
    generator = torch.Generator().manual_seed(int(timestep))
    inputs["hidden_states"] = torch.randn(inputs["hidden_states"].shape, generator=generator)
    scale = 1000 if inputs["timestep"].is_floating_point() and inputs["timestep"].item() < 1 else 1
    inputs["timestep"] = torch.tensor([timestep / scale], dtype=inputs["timestep"].dtype)
    with torch.no_grad():
        return model(**inputs, return_dict=False)[0]


def check_layers(tensors, metadata, witness, weights, rank, tolerance=1e-5):
    same = json.loads(metadata.get("same_input", "{}"))
    timesteps = tensors["timesteps"].tolist()
    for name, calls in witness.seen.items():
        leader = same.get(name, name)
        h = witness.gram(name, weights)
        k = tensors[f"{leader}.input_sketch"].double()
        near(tensors[f"{leader}.input_square"], h.diagonal(), tolerance, f"square of {name}")
        near(k @ k.T, leading(h, min(rank, len(h))), tolerance, f"sketch of {name}")
        assert k.shape == (len(h), min(rank, len(h))), k.shape
        check_ranges(tensors, name, leader, timesteps, calls)
    return same


def check_ranges(tensors, name, leader, timesteps, calls):
    found = tensors[f"{leader}.input_histogram"]
    low, high = (tensors[f"{leader}.input_{end}"] for end in ("min", "max"))
    for i, timestep in enumerate(timesteps):
        x = torch.cat([x for t, x in calls if t == timestep]).flatten()
        assert (low[i], high[i]) == (x.min(), x.max()), f"range of {name}"
        exact = torch.histc(x, found.shape[1], low.min().item(), high.max().item())
        assert found[i].sum() == len(x), f"histogram of {name}"
        # Of how many values the shares below each edge differ.
        moved = (found[i].cumsum(0) - exact.cumsum(0)).abs().max().item() / len(x)
        assert moved < max(0.01, 4 / len(x)), f"histogram of {name} is off by {moved}"


def squares_sketches_ranges_and_histograms():
    for name in ("flux", "sd3", "pixart", "dit", "wan"):
        model = make_diffusers(name)
        witness, recorder = Witness(model), Recorder(model, rank=16, bins=64)
        weights = lambda t: 1 + t / 500
        with recorder:
            for timestep in (900, 20, 500):
                witness.timestep = timestep
                recorder.at(timestep, weights(timestep))
                run_diffusers(model, timestep)
        tensors, metadata, lacks = save(recorder)
        assert tensors["timesteps"].tolist() == [20, 500, 900]
        near(tensors["weights"], torch.tensor([1.04, 2, 2.8]).double(), 1e-6, "weights")
        assert (metadata["format"], metadata["version"]) == ("isotherm-calibration", "2")
        assert lacks["never_called"] == [] and lacks["in_part"] == []
        assert any("proj" in name or "embed" in name for name in lacks["left_out"]) or name == "flux"
        check_layers(tensors, metadata, witness, weights, 16)


def all_of_h_where_the_rank_is_the_width():
    model = make_diffusers("pixart")
    witness, recorder = Witness(model), Recorder(model, rank=10**6)
    with recorder:
        witness.timestep = 500
        recorder.at(500)
        run_diffusers(model, 500)
    tensors, metadata, _ = save(recorder)
    assert "weights" not in tensors
    same = json.loads(metadata["same_input"])
    for name in witness.seen:
        k = tensors[f"{same.get(name, name)}.input_sketch"].double()
        assert k.shape[0] == k.shape[1]
        near(k @ k.T, witness.gram(name, lambda t: 1), 1e-5, name)


def masked_language_model():
    model = make_models.randomize(make_models.qwen2(64), 5)
    witness, recorder = Witness(model), Recorder(model, layers=["model.layers.*"], rank=8)
    ids = torch.randint(0, 300, (3, 40), generator=torch.Generator().manual_seed(1))
    masked = []
    with recorder, torch.no_grad():
        for level, batch in mask_levels(ids, mask_id=319, levels=4):
            masked.append(((batch == 319).sum(1).tolist(), level))
            assert torch.equal(batch[batch != 319], ids[batch != 319])
            recorder.at(level)
            witness.timestep = torch.tensor(level).item()
            model(input_ids=batch, use_cache=False)
    assert masked == [([5] * 3, 0.125), ([15] * 3, 0.375), ([25] * 3, 0.625), ([35] * 3, 0.875)]
    tensors, metadata, _ = save(recorder)
    del witness.seen["lm_head"]
    same = check_layers(tensors, metadata, witness, lambda t: 1, 8)
    expected = {}
    for i in range(2):
        layer = f"model.layers.{i}"
        expected[f"{layer}.self_attn.k_proj"] = expected[f"{layer}.self_attn.v_proj"] = f"{layer}.self_attn.q_proj"
        expected[f"{layer}.mlp.up_proj"] = f"{layer}.mlp.gate_proj"
    assert same == expected, same
    assert not any(name.startswith("lm_head") for name in tensors)
    assert not any(name.startswith(f"{layer}.input") for name in tensors for layer in same)


def segments_of_the_time_axis():
    model = make_diffusers("pixart")
    order = [700, 100, 900, 300, 500]
    witness, recorder = Witness(model), Recorder(model, rank=4, segments=2, timesteps=order)
    with recorder:
        for timestep in order:
            witness.timestep = timestep
            recorder.at(timestep)
            run_diffusers(model, timestep)
    tensors, metadata, _ = save(recorder)
    same = json.loads(metadata["same_input"])
    for name in witness.seen:
        leader = same.get(name, name)
        for segment, timesteps in enumerate([[100, 300], [500, 700, 900]]):
            h = witness.gram(name, lambda t: 1, timesteps)
            k = tensors[f"{leader}.input_sketch"][segment].double()
            near(tensors[f"{leader}.input_square"][segment], h.diagonal(), 1e-5, name)
            near(k @ k.T, leading(h, 4), 1e-5, name)
    refuses(lambda: Recorder(model, segments=2).at(5), "timesteps=")
    refuses(lambda: Recorder(model, segments=2, timesteps=[5]), "as many")


def one_pass_sketches_of_wide_layers():
    model = nn.Sequential(nn.Linear(300, 8))
    generator = torch.Generator().manual_seed(2)
    # Eigenvalues fall as 1 / i^2, as they do in trained models.
    shape = torch.linalg.qr(torch.randn(300, 300, generator=generator)).Q / torch.arange(1, 301)
    witness, recorder = Witness(model), Recorder(model, rank=12, whole=100)
    with recorder:
        for timestep in range(5):
            witness.timestep = timestep
            recorder.at(timestep)
            model(torch.randn(400, 300, generator=generator) @ shape.T)
    tensors, _, _ = save(recorder)
    h = witness.gram("0", lambda t: 1)
    k = tensors["0.input_sketch"].double()
    near(tensors["0.input_square"], h.diagonal(), 1e-5, "square")
    lost = [torch.linalg.matrix_norm(h - part, "nuc").item() for part in (k @ k.T, leading(h, 12))]
    assert k.shape == (300, 12) and lost[0] < 2 * lost[1], lost
    # It takes nothing for more than it is: H - K K^T has no eigenvalue below 0.
    assert torch.linalg.eigvalsh(h - k @ k.T)[0] > -1e-5 * h.diagonal().sum()


def at_most_max_rows():
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 4))
    recorder = Recorder(model, rank=6, max_rows=10)
    x = torch.randn(7, 5, 6, generator=torch.Generator().manual_seed(3))
    with recorder, torch.no_grad():
        recorder.at(0.5)
        model(x)
        model(x[:1])
    tensors, _, _ = save(recorder)
    for name in ("0", "1"):
        assert tensors[f"{name}.input_histogram"].sum() == (10 + 5) * 6
    near(tensors["0.input_square"], x.flatten(0, 1).square().mean(0).double(), 1.0, "square")


def outputs_stay_and_hooks_go():
    model = make_diffusers("sd3")
    plain = run_diffusers(model, 500)
    recorder = Recorder(model)
    recorder.at(500)
    with recorder:
        assert torch.equal(run_diffusers(model, 500), plain)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())
    first, _, _ = save(recorder)
    run_diffusers(model, 100)
    again, _, _ = save(recorder)
    assert all(torch.equal(first[name], again[name]) for name in first)
    # Also where a call fails.
    broken = nn.Sequential(nn.Linear(2, 2))
    refuses(lambda: record(broken, torch.full((1, 2), float("nan"))), "not finite")
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in broken.modules())


def scheduler_of_a_pipeline():
    pipeline = make_models.make_pipeline(make_diffusers("pixart"))
    plain = forward.draw(pipeline)
    methods = [pipeline.scheduler.step, pipeline.scheduler.set_timesteps]
    model, calls = pipeline.transformer, []
    model.register_forward_pre_hook(lambda _, args, kwargs: calls.append(kwargs), with_kwargs=True)
    witness, recorder = Witness(model), Recorder(model, rank=8, segments=2)
    # The pipeline hands its transformer the timestep; the witness takes it from there.
    model.register_forward_pre_hook(
        lambda _, args, kwargs: setattr(witness, "timestep", kwargs["timestep"][0].item()), with_kwargs=True
    )
    weight = snr_weight(pipeline.scheduler)
    recorder.watch_scheduler(pipeline.scheduler, weight=weight)
    with recorder:
        for _ in range(2):
            assert torch.equal(forward.draw(pipeline), plain)
    assert [pipeline.scheduler.step, pipeline.scheduler.set_timesteps] == methods
    tensors, metadata, _ = save(recorder)
    timesteps = sorted({call["timestep"][0].item() for call in calls})
    assert len(calls) == 4 and tensors["timesteps"].tolist() == timesteps, (timesteps, tensors["timesteps"])
    # Guidance: two in a batch.
    assert calls[0]["timestep"].shape == (2,)
    left = [pipeline.scheduler.alphas_cumprod[int(t)].item() for t in timesteps]
    near(tensors["weights"], torch.tensor([min(a / (1 - a), 5) for a in left]).double(), 1e-5, "weights")
    assert abs(weight(0) - 5) < 1e-9 and weight(999) < 0.01
    same = json.loads(metadata["same_input"])
    for name in witness.seen:
        k = tensors[f"{same.get(name, name)}.input_sketch"].double()
        for segment in range(2):
            h = witness.gram(name, weight, [timesteps[segment]])
            near(k[segment] @ k[segment].T, leading(h, min(8, len(h))), 1e-5, name)


def schedulers_of_every_kind():
    import diffusers

    class Denoiser(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(x)

    for name, scales in (
        ("DDIMScheduler", True),
        ("DDIMScheduler", False),
        ("DDPMScheduler", False),
        ("PNDMScheduler", False),
        ("EulerDiscreteScheduler", True),
        ("HeunDiscreteScheduler", True),
        ("DPMSolverMultistepScheduler", False),
        ("UniPCMultistepScheduler", False),
        ("FlowMatchEulerDiscreteScheduler", False),
        ("FlowMatchHeunDiscreteScheduler", False),
    ):
        scheduler, model = getattr(diffusers, name)(), Denoiser()
        recorder = Recorder(model)
        recorder.watch_scheduler(scheduler, weight=snr_weight(scheduler))
        with recorder, torch.no_grad():
            scheduler.set_timesteps(6)
            x = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
            for timestep in scheduler.timesteps:
                y = scheduler.scale_model_input(x, timestep) if scales else x
                noise = model(y)
                assert recorder._now == timestep.float().item(), (name, recorder._now, timestep)
                x = scheduler.step(noise, timestep, x).prev_sample
        tensors, _, _ = save(recorder)
        assert tensors["timesteps"].tolist() == sorted({t.float().item() for t in scheduler.timesteps}), name
    assert math.isclose(snr_weight(diffusers.FlowMatchEulerDiscreteScheduler())(500), 1)


class Branches(nn.Module):
    """Two layers that share their input, but not in every call."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x, how):
        a = self.a(x)
        if how == "skip":
            return a
        if how == "written over":
            x.add_(1)
        return a + self.b(x if how in ("same", "written over") else a)


def inputs_that_are_shared_at_times():
    x = torch.ones(5, 3)
    for later in ("other", "written over", "skip"):
        model = Branches()
        recorder = Recorder(model)
        recorder.at(1)
        with recorder, torch.no_grad():
            model(x.clone(), "same")
            refuses(lambda: model(x.clone(), later), "share_inputs=False")
    recorder = Recorder(Branches())
    recorder.at(1)
    with recorder, torch.no_grad():
        recorder.model(x.clone(), "other")
        recorder.model(x.clone(), "same")
    assert "same_input" not in save(recorder)[1]
    model = Branches()
    with Recorder(model, share_inputs=False) as recorder, torch.no_grad():
        recorder.at(1)
        model(x.clone(), "same")
        recorder.at(2)
        model(x.clone(), "skip")
    tensors, metadata, lacks = save(recorder)
    assert "same_input" not in metadata and lacks["in_part"] == ["b"]
    assert "b.input_square" in tensors and "b.input_min" not in tensors
    with torch.inference_mode(), Recorder(Branches()) as recorder:
        recorder.at(1)
        recorder.model(x.clone(), "written over")
    tensors, metadata, _ = save(recorder)
    near(tensors["b.input_square"], torch.full([3], 4.0).double(), 1e-6, "square")


def record(model, x):
    with Recorder(model) as recorder:
        recorder.at(1)
        model(x)


def refuses(action, text):
    try:
        action()
    except (ValueError, RuntimeError) as error:
        assert text in str(error), str(error)
    else:
        raise AssertionError(f"no error about {text}")


def mistakes_are_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.Conv1d(2, 2, 1))
    refuses(lambda: Recorder(model, layers=["1"]), "no linear layer is called '1'")
    refuses(lambda: Recorder(nn.Sequential(nn.Conv1d(2, 2, 1))), "no linear layer")
    refuses(lambda: Recorder(model, rank=0), "rank is 0")
    refuses(lambda: Recorder(model).save("nowhere"), "nothing was recorded")
    recorder = Recorder(model)
    assert recorder.left_out == ["1"]
    with recorder:
        refuses(lambda: model(torch.ones(1, 2, 2)), "rec.at(timestep)")
    recorder.at(3)
    refuses(lambda: recorder.at(3, 2.0), "one weight")
    refuses(lambda: recorder.at(4, -1), "0 or more")
    refuses(lambda: recorder.at(float("nan")), "not finite")


CHECKS = (
    squares_sketches_ranges_and_histograms,
    all_of_h_where_the_rank_is_the_width,
    masked_language_model,
    segments_of_the_time_axis,
    one_pass_sketches_of_wide_layers,
    at_most_max_rows,
    outputs_stay_and_hooks_go,
    scheduler_of_a_pipeline,
    schedulers_of_every_kind,
    inputs_that_are_shared_at_times,
    mistakes_are_named,
)


def write_example(path):
    model = make_diffusers("pixart")
    recorder = Recorder(model, rank=8, segments=2, timesteps=[100, 500, 900], whole=128)
    with recorder:
        for timestep in (900, 500, 100):
            recorder.at(timestep, 1 + timestep / 100)
            run_diffusers(model, timestep)
    recorder.save(path, "pixart")


def main(path, example):
    write_example(example)
    results = {}
    for check in CHECKS:
        try:
            check()
            results[check.__name__] = None
        except Exception as error:
            traceback.print_exc()
            results[check.__name__] = f"{type(error).__name__}: {error}"
    with open(path, "w") as file:
        json.dump(results, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
