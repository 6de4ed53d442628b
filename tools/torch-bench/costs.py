"""What the model's parts cost: floating-point operations as Quire's ModelCosts counts them (docs/model.md), and bytes.

A multiply-add is two operations; norms, activations and softmax are left out.
"""


class Costs:
    def __init__(self, cfg):
        self.cfg = cfg
        text = cfg.text
        self.sparse = sum(text.is_sparse(i) for i in range(text.num_hidden_layers))
        self.kept = text.num_key_value_heads * text.head_width

    def view(self, side):
        """Both towers and the projector over one view of `side` pixels."""
        positions = (side // 64) ** 2
        joint = self.cfg.clip.width + self.cfg.sam.downsample_channels[1]
        return self._sam(side) + self._clip(positions) + 2 * positions * joint * self.cfg.text.hidden_size

    def prefill(self, tokens):
        """The decoder over a prompt; scores only of its last token."""
        return sum(self.decoding(context, context == tokens) for context in range(1, tokens + 1))

    def decoding(self, context, with_scores=True):
        """One token that sees `context` positions, itself included."""
        text = self.cfg.text
        hidden, layers = text.hidden_size, text.num_hidden_layers
        attention = layers * (2 * 4 * hidden * hidden + 4 * context * hidden)
        dense = (layers - self.sparse) * 2 * 3 * hidden * text.intermediate_size
        active = text.num_experts_per_tok + text.n_shared_experts
        experts = self.sparse * 2 * hidden * (text.n_routed_experts + 3 * text.moe_intermediate_size * active)
        return attention + dense + experts + (2 * hidden * text.vocab_size if with_scores else 0)

    def weights_read(self, rows):
        """Elements of the decoder's weights that `rows` tokens read at once, which choose their experts evenly."""
        text = self.cfg.text
        hidden = text.hidden_size
        attention = text.num_hidden_layers * 2 * hidden * (hidden + self.kept)
        dense = (text.num_hidden_layers - self.sparse) * 3 * hidden * text.intermediate_size
        expert = 3 * hidden * text.moe_intermediate_size
        touched = text.n_routed_experts * (1 - (1 - text.num_experts_per_tok / text.n_routed_experts) ** rows)
        always = self.sparse * (text.n_shared_experts * expert + text.n_routed_experts * hidden)
        return attention + dense + always + hidden * text.vocab_size + self.sparse * expert * touched

    def cache_read(self, context):
        """Elements of keys and values that a token reads which sees `context` positions."""
        return 2 * self.cfg.text.num_hidden_layers * self.kept * context

    def _sam(self, side):
        sam = self.cfg.sam
        grid, width, window = side // sam.patch_size, sam.width, sam.window_size
        n = grid * grid
        padded = -(-grid // window) * window

        def attention(tokens, seen, edge):
            return 2 * tokens * width * (4 * width + 2 * seen + 2 * edge)

        all_global = len(sam.global_attn_indexes)
        blocks = (sam.layers - all_global) * attention(padded * padded, window * window, window)
        blocks += all_global * attention(n, n, grid) + sam.layers * 2 * n * 2 * width * 4 * width
        neck, (first, second) = sam.neck_channels, sam.downsample_channels
        patches = n * 3 * sam.patch_size ** 2 * width
        necks = n * width * neck + n * 9 * neck * neck
        compressor = n // 4 * 9 * neck * first + n // 16 * 9 * first * second
        return blocks + 2 * (patches + necks + compressor)

    def _clip(self, positions):
        clip, n = self.cfg.clip, positions + 1
        return clip.layers * 2 * n * clip.width * (4 * clip.width + 2 * n + 2 * 4 * clip.width)
