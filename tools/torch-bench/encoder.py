"""DeepEncoder: SAM with its 16x compressor, CLIP on top of it, and the projector."""
import math

import torch
import torch.nn.functional as F

from resample import cubic_matrix, linear_matrix


class PositionGrid:
    """A table of positions, [s, s, c], in every size that was asked for."""

    def __init__(self, grid):
        self.sizes = {grid.shape[0]: grid}
        self.grid = grid

    def __call__(self, side):
        """[side, side, c]: antialiased bicubic in float32."""
        if side not in self.sizes:
            m = torch.tensor(cubic_matrix(len(self.grid), side), dtype=torch.float32, device=self.grid.device)
            self.sizes[side] = torch.einsum("yi,xj,ijc->yxc", m, m, self.grid.float()).to(self.grid.dtype)
        return self.sizes[side]


class Linear:
    def __init__(self, weights, name):
        self.arithmetic = weights.arithmetic
        self.weight, self.bias = weights.matrix(f"{name}.weight"), weights.small(f"{name}.bias")

    def __call__(self, x):
        return self.arithmetic.product(x, self.weight, self.bias)


class LayerNorm:
    def __init__(self, weights, name, eps):
        self.weight, self.bias, self.eps = weights.small(f"{name}.weight"), weights.small(f"{name}.bias"), eps

    def __call__(self, x):
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class SamAttention:
    """Attention over an [h, w] grid with decomposed relative positions."""

    def __init__(self, weights, name, heads, attend):
        self.heads, self.attend = heads, attend
        self.qkv, self.proj = Linear(weights, f"{name}.qkv"), Linear(weights, f"{name}.proj")
        self.tables = [weights.small(f"{name}.rel_pos_h"), weights.small(f"{name}.rel_pos_w")]
        self.relative = {}      # by (axis, length)

    def table(self, axis, n):
        """[n, d, n]: for query q the table's columns for offsets q - k."""
        if (axis, n) not in self.relative:
            table = self.tables[axis]
            if len(table) != 2 * n - 1:
                m = torch.tensor(linear_matrix(len(table), 2 * n - 1), dtype=torch.float32, device=table.device)
                table = (m @ table.float()).to(table.dtype)
            i = torch.arange(n, device=table.device)
            self.relative[axis, n] = table[i[:, None] - i[None, :] + n - 1].transpose(1, 2).contiguous()
        return self.relative[axis, n]

    def __call__(self, x):
        b, h, w, c = x.shape
        q, k, v = self.qkv(x).view(b, h * w, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        grid = q.reshape(b, self.heads, h, w, -1)         # the bias uses q before scaling
        bias_h = grid @ self.table(0, h)                                            # [b, heads, h, w, h]
        bias_w = (grid.transpose(2, 3) @ self.table(1, w)).transpose(2, 3)          # [b, heads, h, w, w]
        out = self.attend(q, k, v, bias_h, bias_w)
        return self.proj(out.transpose(1, 2).reshape(b, h, w, c))


class SamBlock:
    def __init__(self, weights, name, cfg, window, attend):
        self.window = window                               # 0 means global attention
        self.norm1, self.norm2 = (LayerNorm(weights, f"{name}.norm{i}", 1e-6) for i in (1, 2))
        self.attn = SamAttention(weights, f"{name}.attn", cfg.heads, attend)
        self.lin1, self.lin2 = (Linear(weights, f"{name}.mlp.lin{i}") for i in (1, 2))

    def windowed(self, x):
        """Attention in windows, all at once; padding is zero after the norm and takes part."""
        b, h, w, c = x.shape
        s = self.window
        down, right = -h % s, -w % s
        x = F.pad(x, (0, 0, 0, right, 0, down))
        rows, cols = (h + down) // s, (w + right) // s
        x = x.view(b, rows, s, cols, s, c).transpose(2, 3).reshape(-1, s, s, c)
        x = self.attn(x).view(b, rows, cols, s, s, c).transpose(2, 3).reshape(b, h + down, w + right, c)
        return x[:, :h, :w]

    def __call__(self, x):
        x = x + (self.windowed if self.window else self.attn)(self.norm1(x))
        return x + self.lin2(F.gelu(self.lin1(self.norm2(x))))


class Sam:
    def __init__(self, weights, cfg, attend):
        name = "model.sam_model"
        self.patches = [weights.small(f"{name}.patch_embed.proj.{part}") for part in ("weight", "bias")]
        self.positions = PositionGrid(weights.small(f"{name}.pos_embed")[0])
        self.blocks = [SamBlock(weights, f"{name}.blocks.{i}", cfg,
                                0 if i in cfg.global_attn_indexes else cfg.window_size, attend)
                       for i in range(cfg.layers)]
        self.neck = [weights.small(f"{name}.neck.{i}.weight") for i in (0, 2)]
        self.norms = [LayerNorm(weights, f"{name}.neck.{i}", 1e-6) for i in (1, 3)]
        self.nets = [weights.small(f"{name}.net_{i}.weight") for i in (2, 3)]

    def __call__(self, pixels):
        """[b, 3, s, s] to [b, channels, s/64, s/64]."""
        weight, bias = self.patches
        x = F.conv2d(pixels, weight, bias, stride=weight.shape[-1]).permute(0, 2, 3, 1)
        x = x + self.positions(x.shape[1])
        for block in self.blocks:
            x = block(x)
        x = F.conv2d(x.permute(0, 3, 1, 2), self.neck[0])
        x = F.conv2d(self.channel_norm(0, x), self.neck[1], padding=1)
        x = self.channel_norm(1, x)
        for net in self.nets:
            x = F.conv2d(x, net, stride=2, padding=1)
        return x

    def channel_norm(self, i, x):
        return self.norms[i](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ClipLayer:
    def __init__(self, weights, name, heads):
        self.heads = heads
        self.norm1, self.norm2 = (LayerNorm(weights, f"{name}.layer_norm{i}", 1e-5) for i in (1, 2))
        self.qkv, self.proj = (Linear(weights, f"{name}.self_attn.{part}") for part in ("qkv_proj", "out_proj"))
        self.fc1, self.fc2 = (Linear(weights, f"{name}.mlp.fc{i}") for i in (1, 2))

    def __call__(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))
        y = self.fc1(self.norm2(x))
        return x + self.fc2(y * torch.sigmoid(1.702 * y))


class Clip:
    def __init__(self, weights, cfg):
        name = "model.vision_model"
        self.class_embedding = weights.small(f"{name}.embeddings.class_embedding")
        positions = weights.small(f"{name}.embeddings.position_embedding.weight")
        side = math.isqrt(len(positions) - 1)
        self.class_position = positions[:1]
        self.positions = PositionGrid(positions[1:].view(side, side, -1))
        self.pre_norm = LayerNorm(weights, f"{name}.pre_layrnorm", 1e-5)      # the name is spelt so
        self.layers = [ClipLayer(weights, f"{name}.transformer.layers.{i}", cfg.heads) for i in range(cfg.layers)]

    def __call__(self, features):
        """SAM's output [b, c, h, h] to [b, 1 + h * h, c]."""
        b, c, h, _ = features.shape
        x = torch.cat([self.class_embedding.expand(b, 1, -1), features.flatten(2).transpose(1, 2)], 1)
        x = self.pre_norm(x + torch.cat([self.class_position, self.positions(h).reshape(-1, c)]))
        for layer in self.layers:
            x = layer(x)
        return x


class DeepEncoder:
    def __init__(self, weights, cfg, attend):
        self.sam, self.clip = Sam(weights, cfg.sam, attend), Clip(weights, cfg.clip)
        self.projector = Linear(weights, "model.projector.layers")
        self.newline, self.separator = (weights.small(f"model.{name}") for name in ("image_newline", "view_seperator"))

    def encode_view(self, pixels):
        """[b, 3, s, s] to [b, s/64, s/64, hidden]."""
        sam = self.sam(pixels)
        clip = self.clip(sam)
        joint = torch.cat([clip[:, 1:], sam.flatten(2).transpose(1, 2)], -1)  # CLIP first, class token dropped
        return self.projector(joint).view(len(joint), *sam.shape[2:], -1)

    def pages(self, views, tiles=None, grid=(1, 1)):
        """Page views [b, 3, s, s] and their tiles [b * columns * rows, 3, t, t] to rows [b, tokens, hidden]: tiles,
        page view, separator."""
        b = len(views)

        def lines(grid):
            newlines = self.newline.expand(b, grid.shape[1], 1, -1)
            return torch.cat([grid, newlines], 2).flatten(1, 2)

        parts = [lines(self.encode_view(views)), self.separator.expand(b, 1, -1)]
        if tiles is not None:
            cols, rows = grid
            tiles = self.encode_view(tiles)
            n = tiles.shape[1]
            tiles = tiles.view(b, rows, cols, n, n, -1).transpose(2, 3).reshape(b, rows * n, cols * n, -1)
            parts.insert(0, lines(tiles))
        return torch.cat(parts, 1)

    def __call__(self, image):
        """A prepared image to its [tokens, hidden] rows."""
        tiles = None if image.tiles is None else image.tiles.to(self.newline)
        return self.pages(image.view[None].to(self.newline), tiles, image.grid)[0]
