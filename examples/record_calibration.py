"""Records what the linear layers of a diffusion model are fed: a calibration file for Isotherm.

Needs PyTorch and nothing else. A pipeline of diffusers, whose scheduler tells the timesteps:

    from record_calibration import Recorder, snr_weight

    rec = Recorder(pipe.transformer)
    rec.watch_scheduler(pipe.scheduler, weight=snr_weight(pipe.scheduler))
    with rec:
        for prompt in prompts:
            pipe(prompt, num_inference_steps=25)
    rec.save("calibration.safetensors")

A masked language model, whose time is the share of masked tokens:

    from record_calibration import Recorder, mask_levels

    with Recorder(model) as rec, torch.no_grad():
        for level, batch in mask_levels(ids, mask_id=tokenizer.mask_token_id, levels=20):
            rec.at(level)
            model(input_ids=batch)
    rec.save("calibration.safetensors")

Of each layer X the file (safetensors, metadata format = isotherm-calibration, version = 2) holds
`X.input_min`, `X.input_max` and `X.input_histogram` for each timestep, `X.input_square` (the diagonal of
H) and `X.input_sketch` (K, where K K^T is the part of H of highest rank r). H is the weighted mean of
x x^T. Every call of a layer counts alike, whatever its batch: H = sum over calls of w_t mean(x x^T), over
the sum of w_t. `weights` are those of the timesteps times the number of calls at each.
"""

import ctypes
import fnmatch
import json
import struct
import weakref

import torch
from torch import nn

F32, F64 = torch.float32, torch.float64

# Bins that are counted for each one that is saved, see _Histogram.
FINENESS = 8

# Columns of a one-pass sketch beyond its rank.
OVERSAMPLING = 8

# A number that fits the I32 of a histogram.
MOST_COUNTED = 2**31 - 1


class Recorder:
    """Watches a model's linear layers while it is a context manager; `save` writes what they were fed.

    model: a module; its own calls are what is counted, so pass what the pipeline calls.
    layers: names of modules, or patterns such as "blocks.*.attn.*"; None = every nn.Linear.
    rank: columns of a sketch; a layer of no more columns than this gets all of H.
    segments: parts of the time axis with a sketch of their own. A timestep's part depends on all others,
        so more than one needs `timesteps`, or a scheduler to watch, which knows them.
    bins: of a histogram.
    max_rows: most rows (tokens) that count of one call of a layer, drawn at random from a fixed seed;
        None = all. Rows of one image resemble each other: some hundreds say nearly as much.
    timesteps: all that will be recorded, known in advance; see `segments`.
    whole: most columns of a layer whose H is added up whole, in columns^2 * 8 bytes where the model runs;
        wider layers get a sketch in one pass (Nystrom).
    share_inputs: find layers that are fed the same tensor, such as q, k and v, and record it once. Not
        done for tensors of torch.inference_mode, which could be written over unseen.

    Convolutions and other modules with weights of two or more dimensions are left out: `left_out` lists
    them. A layer whose values are not finite, or that is called before a timestep is known, ends the call
    with an exception.
    """

    def __init__(
        self,
        model,
        layers=None,
        rank=64,
        segments=1,
        bins=512,
        max_rows=None,
        timesteps=None,
        whole=4096,
        share_inputs=True,
    ):
        _check_counts(rank=rank, segments=segments, bins=bins, max_rows=1 if max_rows is None else max_rows)
        self.model = model
        self.rank, self.segments, self.bins, self.max_rows = rank, segments, bins, max_rows
        self.whole, self.share_inputs = whole, share_inputs
        self.layers, self.left_out = _choose_layers(model, layers)
        self._segment_of = None
        if timesteps is not None:
            self._plan_segments(timesteps)
        self._statistics = {}
        self._leaders = {}
        self._weights, self._calls = {}, {}
        self._now = None
        self._inputs, self._called = [], {}
        self._hooks = []
        self._watch = None
        self._random = torch.Generator().manual_seed(0)

    def __enter__(self):
        if self._hooks:
            raise RuntimeError("this recorder is at work already")
        self._hooks.append(self.model.register_forward_pre_hook(self._begin_call))
        self._hooks.append(self.model.register_forward_hook(self._end_call))
        for name, layer in self.layers.items():
            hook = self._make_hook(name)
            self._hooks.append(layer.register_forward_pre_hook(hook, with_kwargs=True))
        if self._watch:
            self._watch.start()
        return self

    def __exit__(self, *_):
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()
        self._inputs.clear()
        if self._watch:
            self._watch.stop()

    def at(self, timestep, weight=1.0):
        """Says of what timestep (or mask level) the model's next calls are, and what the timestep weighs."""
        timestep, weight = _round32(timestep), float(weight)
        if not 0 <= weight < float("inf"):
            raise ValueError(f"the weight of timestep {timestep} is {weight}, expected 0 or more")
        if self._weights.get(timestep, weight) != weight:
            known = self._weights[timestep]
            raise ValueError(f"timestep {timestep} has weight {known}, now {weight}: a timestep has one weight")
        if self.segments > 1:
            if self._segment_of is None:
                raise ValueError(f"{self.segments} segments need timesteps=, all that will be recorded")
            if timestep not in self._segment_of:
                raise ValueError(f"timestep {timestep} is not one of those named in advance")
        self._weights[timestep] = weight
        self._now = timestep

    def watch_scheduler(self, scheduler, weight=None):
        """Takes timesteps from a scheduler of diffusers: `at` is not needed then.

        weight: a function of a timestep, see `snr_weight`; None = all weigh the same.
        """
        if self._watch:
            self._watch.stop()
        self._watch = _SchedulerWatch(scheduler, weight or (lambda timestep: 1.0))
        if self._hooks:
            self._watch.start()

    def save(self, path, model_name=None):
        """Writes the file; returns what it lacks.

        Returns {"left_out": layers of other kinds, "never_called": layers without input, "in_part": layers
        that were called at some timesteps only, which have neither ranges nor histograms}.
        """
        timesteps = sorted(self._calls)
        if not timesteps or not self._statistics:
            raise ValueError("nothing was recorded: call the model inside `with rec:`")
        if self.segments > 1 and len(timesteps) < len(self._segment_of):
            missing = sorted(set(self._segment_of) - set(timesteps))
            raise ValueError(f"timestep {missing[0]} was named in advance, and never recorded")
        mean_calls = sum(self._calls.values()) / len(timesteps)
        weights = [self._weights[t] * self._calls[t] / mean_calls for t in timesteps]
        tensors = {"timesteps": torch.tensor(timesteps, dtype=F32)}
        if len(set(weights)) > 1:
            tensors["weights"] = torch.tensor(weights, dtype=F32)
        in_part = []
        for name, statistics in self._statistics.items():
            if statistics.histogram.covers(timesteps):
                for key, value in statistics.histogram.export(timesteps, self.bins).items():
                    tensors[f"{name}.{key}"] = value
            else:
                in_part.append(name)
            tensors[f"{name}.input_square"], tensors[f"{name}.input_sketch"] = statistics.gram.export(name)
        metadata = {"format": "isotherm-calibration", "version": "2"}
        if model_name is not None:
            metadata["model"] = model_name
        same = {name: leader for name, leader in sorted(self._leaders.items()) if name != leader}
        if same:
            metadata["same_input"] = json.dumps(same)
        _write_safetensors(path, tensors, metadata)
        never = [name for name in self.layers if name not in self._leaders]
        return {"left_out": self.left_out, "never_called": never, "in_part": in_part}

    def _plan_segments(self, timesteps):
        known = sorted({_round32(t) for t in timesteps})
        if len(known) < self.segments:
            raise ValueError(f"{self.segments} segments need as many timesteps, there are {len(known)}")
        # Segment s has the timesteps [floor(s T / S), floor((s + 1) T / S)).
        edges = [s * len(known) // self.segments for s in range(self.segments + 1)]
        of = [s for s in range(self.segments) for _ in range(edges[s], edges[s + 1])]
        self._segment_of = dict(zip(known, of))

    def _begin_call(self, *_):
        if self._watch:
            if self.segments > 1 and self._segment_of is None:
                self._plan_segments(self._watch.scheduler.timesteps)
            timestep = _round32(self._watch.find_timestep())
            self.at(timestep, self._watch.weight(timestep))
        if self._now is None:
            raise RuntimeError("the timestep of this call is not known: call rec.at(timestep) before it")
        self._inputs.clear()
        self._called.clear()

    def _end_call(self, *_):
        self._inputs.clear()
        self._calls[self._now] = self._calls.get(self._now, 0) + 1
        for name, leader in self._leaders.items():
            if self._called.get(name, 0) != self._called.get(leader, 0):
                raise RuntimeError(_explain_parting(name, leader))

    def _make_hook(self, name):
        @torch.no_grad()
        def record(_, args, kwargs):
            if self._now is None:
                raise RuntimeError(f"layer {name} is called, the timestep is not known: call rec.at(timestep)")
            x = args[0] if args else kwargs["input"]
            found = self._find_leader(name, x)
            leader = self._leaders.setdefault(name, found)
            self._called[name] = self._called.get(name, 0) + 1
            # What was recorded apart once stays apart, though it may share its input in this call.
            if leader == name:
                self._add(name, x.detach().reshape(-1, x.shape[-1]))
            elif leader != found:
                raise RuntimeError(_explain_parting(name, leader))

        return record

    def _find_leader(self, name, x):
        """The layer of this call that was fed the same tensor first; it itself where none was."""
        if not self.share_inputs or x.is_inference():
            return name
        place = (x.data_ptr(), x.storage_offset(), x.shape, x.stride(), x.dtype, x.device, x._version)
        for reference, known, leader in self._inputs:
            # While the tensor lives nothing else can lie where it lies.
            if reference() is not None and known == place:
                return leader
        # Others may follow a layer that follows nobody itself.
        if self._leaders.get(name, name) == name:
            self._inputs.append((weakref.ref(x), place, name))
        return name

    def _add(self, name, x):
        if self.max_rows is not None and len(x) > self.max_rows:
            chosen = torch.randperm(len(x), generator=self._random)[: self.max_rows].sort().values
            x = x[chosen.to(x.device)]
        if len(x) == 0:
            return
        x = x.to(F32)
        low, high = (value.item() for value in torch.aminmax(x))
        if not (abs(low) < float("inf") and abs(high) < float("inf")):
            raise ValueError(f"the input of layer {name} at timestep {self._now} is not finite")
        statistics = self._statistics.get(name)
        if statistics is None:
            statistics = self._statistics[name] = _Statistics(self, x.shape[1], len(self._statistics))
        statistics.histogram.add(self._now, x, low, high)
        segment = self._segment_of[self._now] if self.segments > 1 else 0
        statistics.gram.add(segment, x, self._weights[self._now])


def mask_levels(ids, mask_id, levels=20, seed=0):
    """Batches for a masked language model: yields (level, ids with that share of each sequence masked).

    ids: integers [sequences, tokens]. levels: how many, spread evenly over 0..1 (the midpoints of as many
    equal parts), or a list of them. The same seed masks the same places.
    """
    if isinstance(levels, int):
        levels = [(i + 0.5) / levels for i in range(levels)]
    generator = torch.Generator().manual_seed(seed)
    for level in levels:
        count = round(level * ids.shape[1])
        order = torch.rand(ids.shape, generator=generator).argsort(1)
        # The places of the first `count` of a random order.
        places = torch.zeros(ids.shape, dtype=torch.bool).scatter_(1, order[:, :count], True)
        yield level, ids.masked_fill(places.to(ids.device), mask_id)


def snr_weight(scheduler, most=5.0):
    """Weights by signal to noise, min(abar / (1 - abar), most), of a scheduler of diffusers.

    Returns a function of a timestep. A flow-matching scheduler has no abar: there sigma = t / the number of
    training timesteps, and the signal to noise ratio is ((1 - sigma) / sigma)^2.
    """
    left = getattr(scheduler, "alphas_cumprod", None)
    count = scheduler.config.num_train_timesteps

    def weigh(timestep):
        if left is not None:
            signal = float(left[min(max(round(timestep), 0), count - 1)])
            noise = 1 - signal
        else:
            sigma = min(max(timestep / count, 0.0), 1.0)
            signal, noise = (1 - sigma) ** 2, sigma**2
        return min(signal / noise, most) if noise > 0 else most

    return weigh


def _check_counts(**counts):
    for name, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} is {value!r}, expected a whole number from 1")


def _choose_layers(model, patterns):
    """The linear layers that are meant, by name, and the names of other layers with weights that are not."""
    chosen, left_out = {}, []
    wanted = ["*"] if patterns is None else list(patterns)
    unused = set(wanted)
    for name, module in model.named_modules():
        matched = [pattern for pattern in wanted if fnmatch.fnmatchcase(name, pattern)]
        if not matched:
            continue
        if isinstance(module, nn.Linear):
            chosen[name] = module
            unused.difference_update(matched)
        elif isinstance(getattr(module, "weight", None), torch.Tensor) and module.weight.ndim > 1:
            left_out.append(name)
    if patterns is not None and unused:
        raise ValueError(f"no linear layer is called {sorted(unused)[0]!r}")
    if not chosen:
        raise ValueError("the model has no linear layer")
    return chosen, left_out


def _explain_parting(name, leader):
    return (
        f"layers {name} and {leader} are fed the same tensor in some calls, and not in others: "
        "record them apart with share_inputs=False"
    )


def _round32(timestep):
    """The number as F32, the dtype it is saved in: two timesteps that it cannot tell apart are one."""
    value = float(torch.as_tensor(timestep, dtype=F64).to(F32))
    if not abs(value) < float("inf"):
        raise ValueError(f"timestep {timestep} is not finite")
    return value


class _SchedulerWatch:
    """Knows the timestep of a denoiser's call from what a scheduler is asked.

    A pipeline calls set_timesteps once, then for each timestep scale_model_input (not all pipelines do), the
    denoiser, and step.
    """

    METHODS = ("set_timesteps", "scale_model_input", "step")

    def __init__(self, scheduler, weight):
        self.scheduler, self.weight = scheduler, weight
        # What was scaled for the call to come, and where in `timesteps` it is.
        self._scaled = self._next = None

    def start(self):
        for name in self.METHODS:
            if hasattr(self.scheduler, name):
                setattr(self.scheduler, name, self._wrap(name, getattr(self.scheduler, name)))

    def stop(self):
        for name in self.METHODS:
            # The wrapper hides the method of the class.
            self.scheduler.__dict__.pop(name, None)

    def _wrap(self, name, method):
        def call(*args, **kwargs):
            result = method(*args, **kwargs)
            self._scaled = None
            if name == "set_timesteps":
                self._next = None
            else:
                timestep = kwargs["timestep"] if "timestep" in kwargs else args[1]
                if name == "step":
                    self._next = self._find_index(timestep) + 1
                else:
                    self._scaled = timestep
            return result

        return call

    def _find_index(self, timestep):
        """Where this timestep is. Some schedulers take one twice: then the one that is due."""
        known = [float(t) for t in self.scheduler.timesteps]
        timestep = float(timestep)
        due = self._next
        return due if due is not None and known[due : due + 1] == [timestep] else known.index(timestep)

    def find_timestep(self):
        if self._scaled is not None:
            return self._scaled
        index = getattr(self.scheduler, "step_index", None)
        if index is None:
            index = self._next
        if index is None:
            # Pipelines that begin with an image skip the first timesteps.
            index = getattr(self.scheduler, "begin_index", None) or 0
        return self.scheduler.timesteps[index]


class _Statistics:
    """What is known of one layer's input."""

    def __init__(self, recorder, columns, number):
        self.histogram = _Histogram(recorder.bins * FINENESS)
        rank = min(recorder.rank, columns)
        if columns <= recorder.whole:
            self.gram = _WholeGram(columns, recorder.segments, rank)
        else:
            self.gram = _SketchedGram(columns, recorder.segments, rank, number)


class _Histogram:
    """Ranges and histograms for each timestep, in one pass.

    The bins to be saved lie between the smallest and the largest value of all timesteps, which are known at
    the end only. So `FINENESS` times as many are counted between bounds that begin as the first call's
    range; where a value lies outside, the bounds are doubled towards it and bins merged in pairs. At least
    half of the fine bins are in use thus, four for each one saved, and what falls into a fine bin that two
    saved ones share is divided between them as if it were spread evenly.
    """

    def __init__(self, fine):
        self.fine = fine
        self.low = self.width = None
        self.lows, self.highs, self.counts = {}, {}, {}

    def covers(self, timesteps):
        return self.counts.keys() >= set(timesteps)

    def add(self, timestep, x, low, high):
        self.lows[timestep] = min(low, self.lows.get(timestep, low))
        self.highs[timestep] = max(high, self.highs.get(timestep, high))
        if self.width is None:
            # A constant needs some width, too, that F64 can tell from the value.
            self.low, self.width = low, max(high - low, abs(low) * 1e-6, 1e-30)
        while low < self.low or high > self.low + self.width:
            self._widen(to_left=low < self.low)
        dtype = F64 if _has_f64(x.device) else F32
        index = ((x.to(dtype) - self.low) * (self.fine / self.width)).to(torch.int32)
        counts = torch.bincount(index.clamp_(0, self.fine - 1).flatten(), minlength=self.fine).cpu()
        self.counts[timestep] = self.counts[timestep] + counts if timestep in self.counts else counts

    def _widen(self, to_left):
        for timestep, counts in self.counts.items():
            merged = counts.view(-1, 2).sum(1)
            empty = torch.zeros_like(merged)
            self.counts[timestep] = torch.cat([empty, merged] if to_left else [merged, empty])
        if to_left:
            self.low -= self.width
        self.width *= 2

    def export(self, timesteps, bins):
        lows = torch.tensor([self.lows[t] for t in timesteps], dtype=F32)
        highs = torch.tensor([self.highs[t] for t in timesteps], dtype=F32)
        # Sums up to each edge of a fine bin [T, fine + 1], read off at the edges of the saved ones.
        sums = torch.stack([self.counts[t] for t in timesteps]).cumsum(1).to(F64)
        sums = torch.cat([torch.zeros(len(timesteps), 1, dtype=F64), sums], 1)
        edges = torch.linspace(lows.min().item(), highs.max().item(), bins + 1, dtype=F64)
        places = ((edges - self.low) * (self.fine / self.width)).clamp(0, self.fine)
        left = places.floor().clamp(max=self.fine - 1).long()
        found = sums[:, left] + (sums[:, left + 1] - sums[:, left]) * (places - left)
        found[:, 0], found[:, -1] = 0, sums[:, -1]
        # So many values that I32 cannot count them: their shares do.
        found *= min(1.0, MOST_COUNTED / sums[:, -1].max().item())
        counts = found.round().diff(dim=1).to(torch.int32)
        return {"input_min": lows, "input_max": highs, "input_histogram": counts}


class _WholeGram:
    """H of each segment, added up whole: products in F32, sums in F64 where the device has it."""

    def __init__(self, columns, segments, rank):
        self.columns, self.rank = columns, rank
        self.sums, self.weights = [None] * segments, [0.0] * segments

    def add(self, segment, x, weight):
        product = x.T @ x
        if self.sums[segment] is None:
            self.sums[segment] = torch.zeros_like(product, dtype=F64 if _has_f64(x.device) else F32)
        self.sums[segment].add_(product, alpha=weight / len(x))
        self.weights[segment] += weight

    def export(self, name):
        """diag H and K, [C] and [C, r], or [S, C] and [S, C, r]."""
        squares, sketches = [], []
        for total, weight in _with_weight(name, self.sums, self.weights):
            h = total.to("cpu", F64) / weight
            values, vectors = torch.linalg.eigh((h + h.T) / 2)
            # Ascending; rounding leaves those of a singular H a little below 0.
            leading = values[-self.rank :].clamp(min=0).sqrt() * vectors[:, -self.rank :]
            squares.append(h.diagonal())
            sketches.append(leading.flip(1))
        return _stack(squares), _stack(sketches)


class _SketchedGram:
    """diag H, and H times a random matrix, from which a part of rank r is made at the end.

    Fixed-rank Nystrom approximation of a positive semidefinite matrix from a stream: Tropp, Yurtsever, Udell,
    Cevher 2017, arXiv:1706.05736, algorithm 3.
    """

    def __init__(self, columns, segments, rank, seed):
        self.rank = rank
        self.sums, self.weights = [None] * segments, [0.0] * segments
        noise = torch.randn(
            columns, min(columns, rank + OVERSAMPLING), dtype=F64, generator=torch.Generator().manual_seed(seed)
        )
        self.test = torch.linalg.qr(noise).Q
        self.test_here = None

    def add(self, segment, x, weight):
        if self.test_here is None:
            self.test_here = self.test.to(x.device, F32)
        dtype = F64 if _has_f64(x.device) else F32
        if self.sums[segment] is None:
            self.sums[segment] = (
                torch.zeros_like(self.test_here, dtype=dtype),
                torch.zeros(x.shape[1], dtype=dtype, device=x.device),
            )
        images, squares = self.sums[segment]
        images.add_(x.T @ (x @ self.test_here), alpha=weight / len(x))
        squares.add_(x.square().sum(0), alpha=weight / len(x))
        self.weights[segment] += weight

    def export(self, name):
        squares, sketches = [], []
        for (images, square), weight in _with_weight(name, self.sums, self.weights):
            squares.append(square.to("cpu", F64) / weight)
            sketches.append(self._sketch(images.to("cpu", F64) / weight))
        return _stack(squares), _stack(sketches)

    def _sketch(self, images):
        # A little is added to all eigenvalues, and taken off again, for the factorization's sake: as much as
        # sums of F32 products may be off.
        shift = 1e-6 * torch.linalg.matrix_norm(images, 2).item()
        if shift == 0:
            return images[:, : self.rank]
        shifted = images + shift * self.test
        core = self.test.T @ shifted
        factor = torch.linalg.cholesky((core + core.T) / 2)
        root = torch.linalg.solve_triangular(factor, shifted.T, upper=False).T
        vectors, values, _ = torch.linalg.svd(root, full_matrices=False)
        values = (values[: self.rank].square() - shift).clamp(min=0)
        return vectors[:, : self.rank] * values.sqrt()


def _with_weight(name, sums, weights):
    """Sum and weight of each segment."""
    for segment, (total, weight) in enumerate(zip(sums, weights)):
        if total is None or weight == 0:
            where = f" in segment {segment}" if len(sums) > 1 else ""
            raise ValueError(f"layer {name} was fed nothing that weighs anything{where}")
        yield total, weight


def _stack(parts):
    return (parts[0] if len(parts) == 1 else torch.stack(parts)).to(F32)


def _has_f64(device):
    return device.type in ("cpu", "cuda")


def _write_safetensors(path, tensors, metadata):
    """The format in full: the header's length (8 bytes), the header (JSON), the data; all dtypes have 4 bytes."""
    header, offset = {"__metadata__": metadata}, 0
    order = sorted(tensors)
    for name in order:
        tensor = tensors[name]
        end = offset + tensor.numel() * 4
        dtype = {F32: "F32", torch.int32: "I32"}[tensor.dtype]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            tensor = tensors[name].contiguous()
            # Without NumPy; what runs PyTorch is little-endian, as the format is.
            file.write((ctypes.c_char * (tensor.numel() * 4)).from_address(tensor.data_ptr()))
