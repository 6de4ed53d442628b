// Kernels on rows of floats, written once for each instruction set and chosen at run time.
//
// Matrices are row-major. `ld*` is the distance between two rows in elements. No pointer needs more alignment than its
// element, and none is kept. Nothing here allocates, locks or starts threads.
#ifndef QUIRE_KERNELS_H
#define QUIRE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// The instruction sets that have kernels of their own, worst first.
typedef enum quire_level { QUIRE_GENERIC = 0, QUIRE_AVX2 = 1, QUIRE_AVX512 = 2 } quire_level;

/// y[r, o] += sum over i of w[o, i] * x[r, i], for `rows` rows of x, `outs` rows of w, `ins` columns.
typedef void (*quire_gemv)(const void *w, size_t ldw, const float *x, size_t ldx, size_t rows, float *y, size_t ldy,
                           size_t outs, size_t ins);

/// One instruction set's kernels.
typedef struct quire_kernels {
    const char *name;
    /// Weights in f32, bfloat16 and IEEE half; sums in f32.
    quire_gemv gemv_f32;
    quire_gemv gemv_bf16;
    quire_gemv gemv_f16;
    /// Exact conversions to f32.
    void (*widen_bf16)(const uint16_t *from, float *to, size_t count);
    void (*widen_f16)(const uint16_t *from, float *to, size_t count);
    /// row = exp(scale * row - max(scale * row)); returns the sum of the new row. count > 0.
    float (*softmax)(float *row, size_t count, float scale);
    /// The same for a row of height x width scores, to each of which bias_h[y] + bias_w[x] is added after scaling.
    float (*softmax_grid)(float *row, size_t height, size_t width, float scale, const float *bias_h,
                          const float *bias_w);
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
} quire_kernels;

/// The kernels of a level, or NULL where this processor lacks its instructions.
const quire_kernels *_Nullable quire_kernels_at(quire_level level);

/// The best kernels that this processor can run.
const quire_kernels *quire_kernels_best(void);

/// Fills with bfloat16 numbers spread evenly in [centre - width, centre + width), from a counter-based hash:
/// element i depends on seed and first + i only, so parts can be filled in any order.
void quire_fill_random_bf16(uint16_t *to, size_t count, uint64_t seed, uint64_t first, float centre, float width);

#pragma clang assume_nonnull end

#endif
