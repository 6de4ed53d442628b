"""The decoder as PyTorch does it well on a GPU: static caches, experts by grouped products, steps in CUDA graphs."""
import torch
import torch.nn.functional as F

from decoder import Cache, Decoder, GatedMlp, spread

SPAN = 128      # by how many positions the part of the caches that a step looks at grows


def grouped_product(x, weight, ends):
    """Rows x [n, in] in groups that end at `ends`, each times its own matrix of `weight` [groups, out, in]."""
    return torch._grouped_mm(x, weight.transpose(-2, -1), offs=ends)


def has_grouped_products(device, dtype):
    """Whether this build has them for the device, without waiting for it (which a graph cannot record)."""
    if not hasattr(torch, "_grouped_mm"):
        return False
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (9, 0):
        return False    # there PyTorch loops over the groups and reads their sizes back
    try:
        x, weight = torch.ones(2, 16, dtype=dtype, device=device), torch.ones(2, 16, 16, dtype=dtype, device=device)
        grouped_product(x, weight, torch.tensor([1, 2], dtype=torch.int32, device=device))
        return True
    except RuntimeError:
        return False


class GroupedExperts:
    """Routed experts, each product taken once for all experts, and the shared one."""

    def __init__(self, weights, name, cfg):
        self.cfg = cfg
        experts = [f"{name}.experts.{i}" for i in range(cfg.n_routed_experts)]
        self.gate = weights.small(f"{name}.gate.weight").float()
        self.gate_up = weights.matrix(*(f"{expert}.{part}_proj.weight" for expert in experts
                                        for part in ("gate", "up"))).unflatten(0, (len(experts), -1))
        self.down = weights.matrix(*(f"{expert}.down_proj.weight" for expert in experts)
                                   ).unflatten(0, (len(experts), -1))
        self.shared = GatedMlp(weights, f"{name}.shared_experts")
        self.places = torch.arange(len(experts), device=self.gate.device)
        self.is_grouped = has_grouped_products(self.gate.device, self.down.dtype)

    def __call__(self, x):
        top = self.cfg.num_experts_per_tok
        weight, index = F.linear(x.float(), self.gate).softmax(-1).topk(top, -1)
        if self.cfg.norm_topk_prob:
            weight = weight / (weight.sum(-1, keepdim=True) + 1e-20)
        chosen, order = index.flatten().sort(stable=True)
        ends = torch.searchsorted(chosen, self.places, right=True, out_int32=True)
        multiply = self.grouped if self.is_grouped else self.padded
        results = multiply(x.index_select(0, order // top), chosen, ends)
        returned = torch.empty_like(results).index_copy_(0, order, results).view(len(x), top, -1)
        out = (returned.float() * (weight * self.cfg.routed_scaling_factor)[..., None]).sum(1)
        return out.to(x.dtype) + self.shared(x)

    def grouped(self, rows, chosen, ends):
        gate, up = grouped_product(rows, self.gate_up, ends).chunk(2, -1)
        return grouped_product(F.silu(gate) * up, self.down, ends)

    def padded(self, rows, chosen, ends):
        """Without grouped products: as many rows for each expert as the largest has. Reads that number back."""
        counts = ends.diff(prepend=ends.new_zeros(1))
        places = torch.arange(len(rows), device=rows.device) - (ends - counts)[chosen]
        padded = rows.new_zeros(len(self.places), int(counts.max()), rows.shape[1])
        padded[chosen, places] = rows
        gate, up = torch.bmm(padded, self.gate_up.transpose(1, 2)).chunk(2, -1)
        return torch.bmm(F.silu(gate) * up, self.down.transpose(1, 2))[chosen, places]


class StaticCache(Cache):
    """Keys and values that stay where they are, and what a recorded step reads: tokens and their positions."""

    def __init__(self, cfg, slots, capacity, **kind):
        super().__init__(cfg, slots, -(-capacity // SPAN) * SPAN, **kind)
        self.ids = torch.zeros(slots, dtype=torch.int64, device=kind["device"])
        self.positions = torch.zeros_like(self.ids)
        self.graphs = {}        # by rows and span


def fused(q, k, v, mask):
    """The fused attention; `mask` [b, 1, 1, n] is added to scores."""
    mask = mask.expand(-1, q.shape[1], -1, -1)
    return F.scaled_dot_product_attention(q, spread(k, q), spread(v, q), attn_mask=mask)


def plain(q, k, v, mask):
    """Plain products; for a single query a head they may be faster."""
    b, heads, _, d = q.shape
    q = q.view(b, k.shape[1], -1, d)
    scores = (q * d ** -0.5) @ k.transpose(-1, -2) + mask
    return (scores.float().softmax(-1).to(v.dtype) @ v).view(b, heads, 1, d)


class GraphDecoder(Decoder):
    experts = GroupedExperts

    def __init__(self, weights, cfg):
        super().__init__(weights, cfg)
        self.attention = fused      # how a step attends

    def cache(self, slots, capacity):
        return StaticCache(self.cfg, slots, capacity, dtype=self.arithmetic.activations, device=self.device)

    def is_recordable(self):
        """Whether nothing is read back, so that graphs can be recorded."""
        return self.device.type == "cuda" and all(getattr(layer.mlp, "is_grouped", True) for layer in self.layers)

    def step(self, ids, cache):
        """As Decoder's; computes for the next power of two of rows and the next multiple of SPAN positions."""
        n = len(cache.lengths)
        cache.ids[:n] = ids
        cache.positions[:n] = torch.tensor(cache.lengths, device=self.device)
        rows = min(1 << (n - 1).bit_length(), len(cache.ids))
        scores = self.run(cache, rows, -(-(max(cache.lengths) + 1) // SPAN) * SPAN)[0]
        cache.lengths = [length + 1 for length in cache.lengths]
        return scores[:n]

    def run(self, cache, rows, span):
        """Scores and best tokens of the cache's first rows, which see at most `span` positions."""
        if (rows, span) not in cache.graphs:
            def body():
                return self.advance(cache, rows, span)
            cache.graphs[rows, span] = Recorded(body) if self.is_recordable() else body
        return cache.graphs[rows, span]()

    def advance(self, cache, rows, span):
        positions = cache.positions[:rows]
        hidden = torch.arange(span, device=self.device) > positions[:, None]
        mask = torch.zeros_like(hidden, dtype=self.cos.dtype).masked_fill_(hidden, float("-inf"))[:, None, None, :]
        at = (torch.arange(rows, device=self.device)[:, None],
              torch.arange(self.cfg.num_key_value_heads, device=self.device), positions[:, None])
        cos, sin = (table[positions][:, None, None, :] for table in (self.cos, self.sin))
        x = self.embed(cache.ids[:rows])[:, None]
        for layer, (keys, values) in zip(self.layers, cache.layers):
            def keep(k, v):
                keys.index_put_(at, k[:, :, 0])
                values.index_put_(at, v[:, :, 0])

            def attend(q, k, v):
                return self.attention(q, keys[:rows, :, :span], values[:rows, :, :span], mask)
            x = layer(x, cos, sin, keep, attend)
        scores = self.scores(x[:, 0])
        return scores, scores.argmax(-1)


class Recorded:
    """A CUDA graph of `body`, which reads and writes the same memory each time."""

    def __init__(self, body):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):      # libraries choose their kernels and get their memory
                body()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.result = body()

    def __call__(self):
        self.graph.replay()
        return self.result
