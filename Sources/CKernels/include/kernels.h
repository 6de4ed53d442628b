// Kernels on floats and packed weights, written once for each instruction set and chosen at run time.
//
// Matrices are row-major. `ld*` is the distance between two rows in elements. No pointer needs more alignment than its
// element, and none is kept. Nothing here allocates, locks or starts threads.
#ifndef QUIRE_KERNELS_H
#define QUIRE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// The instruction sets that have kernels of their own, worst first.
typedef enum quire_level {
    QUIRE_GENERIC = 0,
    QUIRE_AVX2 = 1,
    QUIRE_AVX512 = 2,
    /// AVX-512 with VNNI: one instruction for the pairwise multiply-add of int8 weights.
    QUIRE_AVX512_VNNI = 3
} quire_level;

enum {
    /// Outputs of a weight that lie side by side: panel[input][16], the last panel filled up with zeros.
    QUIRE_PANEL = 16,
    /// Inputs whose products are summed in one chain; the chains of a longer row are added one after another.
    QUIRE_SLICE = 384,
    /// Rows that go through a weight together when there are many.
    QUIRE_BLOCK = 192,
    /// Floats of scratch memory that a product with float weights needs.
    QUIRE_PRODUCT_SCRATCH = (QUIRE_BLOCK + QUIRE_PANEL) * QUIRE_SLICE
};

/// A product of rows with panels: y[r, o] = bias[o] + sum over i of x[r, i] * w[o, i], or y += where `add` is set.
///
/// A result depends only on its own row and panel: not on how many there are.
typedef struct quire_product {
    /// f32, bfloat16 or IEEE half: panel[depth][16]; int8: panel[(depth + 1) / 2][16][2].
    const void *w;
    /// Elements from one panel to the next.
    size_t panel_step;
    size_t panels;
    /// Inputs of a row.
    size_t depth;
    size_t rows;
    /// For float weights: [rows, depth].
    const float *_Nullable x;
    size_t ldx;
    /// For int8 weights: rows of 2 * ((depth + 1) / 2) quantised inputs, and what a unit of each row is worth.
    const int16_t *_Nullable quantised;
    const float *_Nullable row_scales;
    /// For int8 weights: what a unit of each output's weights is worth, for all columns of all panels.
    const float *_Nullable column_scales;
    /// [rows, columns]; of the last panel only `columns - 16 * (panels - 1)` outputs exist.
    float *y;
    size_t ldy;
    size_t columns;
    const float *_Nullable bias;
    int add;
} quire_product;

/// Attention from some queries to one block of keys, as a step of a softmax that runs over many blocks.
///
/// Before the first block `most` is -infinity, `sum` and `out` are 0. After the last one the result is out / sum.
typedef struct quire_attention {
    /// [rows, width].
    const float *q;
    size_t ldq;
    size_t rows;
    size_t width;
    float scale;
    /// `keys`, a multiple of 16, in panels: k as panel[width][16 keys], v as panel[keys][16 of width], `v_step` elements
    /// from one panel to the next.
    size_t keys;
    const void *k;
    const void *v;
    size_t v_step;
    /// Row r sees the first `seen + r * seen_step` keys, at least none and at most all.
    ptrdiff_t seen;
    ptrdiff_t seen_step;
    /// Where the keys are lines of a grid, `side` keys each: what is added to row r's scaled score for key i is
    /// line_bias[r, i / side] + column_bias[r, i % side].
    size_t side;
    const float *_Nullable line_bias;
    size_t ld_line;
    const float *_Nullable column_bias;
    size_t ld_column;
    /// One for each row: the largest score so far, and the sum of exponentials of scores less the largest.
    float *most;
    float *sum;
    /// [rows, width rounded up to 16].
    float *out;
    size_t ldo;
    /// [rows, keys] of scratch memory.
    float *scores;
} quire_attention;

/// One instruction set's kernels.
typedef struct quire_kernels {
    const char *name;
    /// Products by the type of the weights. `scratch` holds QUIRE_PRODUCT_SCRATCH floats.
    void (*product_f32)(const quire_product *job, float *scratch);
    void (*product_bf16)(const quire_product *job, float *scratch);
    void (*product_f16)(const quire_product *job, float *scratch);
    void (*product_int8)(const quire_product *job, float *_Nullable scratch);
    /// to[i] = round(x[i] * limit / largest |x|), to the nearest even; returns largest |x| / limit. An odd count is
    /// filled up with a zero.
    float (*quantise)(const float *x, size_t count, int16_t *to, float limit);
    /// Attention by the type of keys and values.
    void (*attend_f32)(const quire_attention *job);
    void (*attend_bf16)(const quire_attention *job);
    /// Exact conversions to f32.
    void (*widen_bf16)(const uint16_t *from, float *to, size_t count);
    void (*widen_f16)(const uint16_t *from, float *to, size_t count);
    /// x / 2 * (1 + erf(x / sqrt 2)), erf within 1.5e-7 (Abramowitz and Stegun 7.1.26).
    void (*gelu)(float *x, size_t count);
    /// x / (1 + exp(-1.702 x)).
    void (*quick_gelu)(float *x, size_t count);
    /// gate = gate / (1 + exp(-gate)) * up.
    void (*silu_multiply)(float *gate, const float *up, size_t count);
    /// to = (from - mean) / sqrt(variance + eps) * weight + bias, over one row.
    void (*layer_norm)(const float *from, float *to, size_t count, const float *weight, const float *bias, float eps);
    /// to = from / sqrt(mean of squares + eps) * weight, over one row.
    void (*rms_norm)(const float *from, float *to, size_t count, const float *weight, float eps);
    /// to += factor * from.
    void (*add_scaled)(float *to, const float *from, float factor, size_t count);
} quire_kernels;

/// The kernels of a level, or NULL where this processor lacks its instructions.
const quire_kernels *_Nullable quire_kernels_at(quire_level level);

/// The best kernels that this processor can run.
const quire_kernels *quire_kernels_best(void);

/// What a thread does between two looks at a number that another one will change.
static inline void quire_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

#pragma clang assume_nonnull end

#endif
