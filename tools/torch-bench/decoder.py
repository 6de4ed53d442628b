"""The mixture-of-experts decoder over a batch of sequences with key/value caches of their own."""
import torch
import torch.nn.functional as F


class Cache:
    """Keys and values of up to `slots` sequences; the first `len(lengths)` slots are in use."""

    def __init__(self, cfg, slots, capacity, **kind):
        """`kind` is the element type and the device."""
        shape = (slots, cfg.num_key_value_heads, capacity, cfg.head_width)
        # Zeros, since what is masked is multiplied with zero, and not every element pattern is a number.
        self.layers = [(torch.zeros(shape, **kind), torch.zeros(shape, **kind)) for _ in range(cfg.num_hidden_layers)]
        self.lengths = []

    def release(self, slot):
        """Frees a slot; the last sequence moves into it."""
        last = len(self.lengths) - 1
        if slot != last:
            n = self.lengths[last]
            for pair in self.layers:
                for values in pair:
                    values[slot, :, :n] = values[last, :, :n]
            self.lengths[slot] = self.lengths[last]
        self.lengths.pop()


def spread(heads, queries):
    """Keys' or values' heads, one for each head of queries."""
    group = queries.shape[1] // heads.shape[1]
    return heads if group == 1 else heads.repeat_interleave(group, 1)


class RmsNorm:
    def __init__(self, weights, name, eps):
        self.weight, self.eps = weights.small(f"{name}.weight"), eps

    def __call__(self, x):
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * y.to(x.dtype)


class GatedMlp:
    """down(silu(gate x) * up x), with gate and up as one matrix."""

    def __init__(self, weights, name):
        self.arithmetic = weights.arithmetic
        self.gate_up = weights.matrix(f"{name}.gate_proj.weight", f"{name}.up_proj.weight")
        self.down = weights.matrix(f"{name}.down_proj.weight")

    def __call__(self, x):
        gate, up = self.arithmetic.product(x, self.gate_up).chunk(2, -1)
        return self.arithmetic.product(F.silu(gate) * up, self.down)


class Experts:
    """Routed experts and the shared one; each routed expert's products are taken once a step, for all its rows."""

    def __init__(self, weights, name, cfg):
        self.cfg = cfg
        self.gate = weights.small(f"{name}.gate.weight").float()
        self.routed = [GatedMlp(weights, f"{name}.experts.{i}") for i in range(cfg.n_routed_experts)]
        self.shared = GatedMlp(weights, f"{name}.shared_experts")
        self.touched = None     # a list: how many experts had rows, a call

    def __call__(self, x):
        top = self.cfg.num_experts_per_tok
        weight, index = F.linear(x.float(), self.gate).softmax(-1).topk(top, -1)
        if self.cfg.norm_topk_prob:
            weight = weight / (weight.sum(-1, keepdim=True) + 1e-20)
        chosen, order = index.flatten().sort(stable=True)
        rows = order // top
        counts = torch.bincount(chosen, minlength=len(self.routed)).tolist()
        gathered = x.index_select(0, rows)
        results = torch.empty_like(gathered)
        start = 0
        for expert, count in zip(self.routed, counts):
            if count:
                results[start:start + count] = expert(gathered[start:start + count])
                start += count
        if self.touched is not None:
            self.touched.append(sum(count > 0 for count in counts))
        scale = weight.flatten().index_select(0, order) * self.cfg.routed_scaling_factor
        out = torch.zeros_like(x, dtype=torch.float32).index_add_(0, rows, results.float() * scale[:, None])
        return out.to(x.dtype) + self.shared(x)


class Attention:
    def __init__(self, weights, name, cfg):
        self.cfg, self.arithmetic = cfg, weights.arithmetic
        self.qkv = weights.matrix(*(f"{name}.{part}_proj.weight" for part in "qkv"))
        self.out = weights.matrix(f"{name}.o_proj.weight")

    def __call__(self, x, cos, sin, keep, attend):
        """x [b, n, hidden]; `keep` stores new keys and values, `attend` gives what queries see, [b, heads, n, d]."""
        b, n, _ = x.shape
        cfg = self.cfg
        heads = self.arithmetic.product(x, self.qkv).view(b, n, -1, cfg.head_width).transpose(1, 2)
        q, k, v = heads.split([cfg.num_attention_heads, cfg.num_key_value_heads, cfg.num_key_value_heads], 1)
        q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
        keep(k, v)
        return self.arithmetic.product(attend(q, k, v).transpose(1, 2).reshape(b, n, -1), self.out)

    @staticmethod
    def rotate(x, cos, sin):
        """Half-split rotary positions: element i pairs with element i + d/2."""
        a, b = x.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


class DecoderLayer:
    def __init__(self, weights, i, cfg, experts):
        name = f"model.layers.{i}"
        self.attn = Attention(weights, f"{name}.self_attn", cfg)
        self.mlp = experts(weights, f"{name}.mlp", cfg) if cfg.is_sparse(i) else GatedMlp(weights, f"{name}.mlp")
        self.norm1 = RmsNorm(weights, f"{name}.input_layernorm", cfg.rms_norm_eps)
        self.norm2 = RmsNorm(weights, f"{name}.post_attention_layernorm", cfg.rms_norm_eps)

    def __call__(self, x, *how):
        x = x + self.attn(self.norm1(x), *how)
        return x + self.mlp(self.norm2(x).flatten(0, 1)).view_as(x)


class Decoder:
    experts = Experts

    def __init__(self, weights, cfg):
        self.cfg, self.arithmetic = cfg, weights.arithmetic
        self.embedding = weights.matrix("model.embed_tokens.weight")
        self.device = self.embedding.device
        self.layers = [DecoderLayer(weights, i, cfg, self.experts) for i in range(cfg.num_hidden_layers)]
        self.norm = RmsNorm(weights, "model.norm", cfg.rms_norm_eps)
        self.head = weights.matrix("lm_head.weight")
        half = cfg.head_width // 2
        angle = torch.arange(cfg.max_position_embeddings).float()[:, None] / cfg.rope_theta ** (
            torch.arange(half).float() / half)
        self.cos, self.sin = (table.to(self.device, self.arithmetic.activations)
                              for table in (angle.cos(), angle.sin()))

    def cache(self, slots, capacity):
        return Cache(self.cfg, slots, capacity, dtype=self.arithmetic.activations, device=self.device)

    def embed(self, ids):
        return F.embedding(ids, self.embedding).to(self.arithmetic.activations)

    def prefill(self, x, cache):
        """Prompts of equal length, [b, n, hidden], into the next b slots; scores after them, [b, vocabulary]."""
        b, n, _ = x.shape
        first = len(cache.lengths)

        def attend(q, k, v):
            return F.scaled_dot_product_attention(q, spread(k, q), spread(v, q), is_causal=True)

        for layer, (keys, values) in zip(self.layers, cache.layers):
            def keep(k, v):
                keys[first:first + b, :, :n] = k
                values[first:first + b, :, :n] = v
            x = layer(x, self.cos[:n], self.sin[:n], keep, attend)
        cache.lengths += [n] * b
        return self.scores(x[:, -1])

    def step(self, ids, cache):
        """One token for each sequence in use, [b]; scores of the next, [b, vocabulary]."""
        lengths = torch.tensor(cache.lengths, device=self.device)
        b, longest = len(cache.lengths), max(cache.lengths) + 1
        slots = torch.arange(b, device=self.device)
        mask = None
        if min(cache.lengths) + 1 < longest:
            mask = torch.arange(longest, device=self.device) > lengths[:, None]
            mask = mask[:, None, None, :]
        cos, sin = (table[lengths][:, None, None, :] for table in (self.cos, self.sin))
        x = self.embed(ids)[:, None]
        for layer, (keys, values) in zip(self.layers, cache.layers):
            def keep(k, v):
                keys[slots, :, lengths] = k[:, :, 0]
                values[slots, :, lengths] = v[:, :, 0]

            def attend(q, k, v):
                return self.attend(q, keys[:b, :, :longest], values[:b, :, :longest], mask)
            x = layer(x, cos, sin, keep, attend)
        cache.lengths = [length + 1 for length in cache.lengths]
        return self.scores(x[:, 0])

    def attend(self, q, k, v, mask):
        """One query a head over the cache. For a single row plain products are faster than the fused attention, most of
        all with keys on the left."""
        b, heads, _, d = q.shape
        q = q.view(b, k.shape[1], -1, d)                    # query heads that share a key head
        scores = (k @ (q * d ** -0.5).transpose(-1, -2)).transpose(-1, -2)
        if mask is not None:
            scores = scores.masked_fill(mask, float("-inf"))
        return (scores.float().softmax(-1).to(v.dtype) @ v).view(b, heads, 1, d)

    def scores(self, x):
        return self.arithmetic.product(self.norm(x), self.head).float()
