// The kernels over vectors of WIDTH floats. A file that includes this defines WIDTH and TABLE and sets the target
// instruction set for the functions; the same text then compiles to AVX2 (8) and AVX-512 (16). Tails run in scalar code,
// except where a row is padded into a whole vector.
#include "tables.h"

#include <math.h>
#include <string.h>

typedef float vf __attribute__((vector_size(4 * WIDTH)));
typedef int32_t vi __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t vu __attribute__((vector_size(4 * WIDTH)));
typedef uint16_t vs __attribute__((vector_size(2 * WIDTH)));
typedef _Float16 vh __attribute__((vector_size(2 * WIDTH)));

#define INLINE static inline __attribute__((always_inline))

INLINE vf load(const float *from) {
    vf value;
    memcpy(&value, from, sizeof value);
    return value;
}

INLINE void store(float *to, vf value) { memcpy(to, &value, sizeof value); }

INLINE vf splat(float value) { return value - (vf){0}; }

/// The first `count` floats, the rest `filler`.
INLINE vf load_part(const float *from, size_t count, float filler) {
    float padded[WIDTH];
    store(padded, splat(filler));
    memcpy(padded, from, count * sizeof(float));
    return load(padded);
}

INLINE void store_part(float *to, vf value, size_t count) { memcpy(to, &value, count * sizeof(float)); }

INLINE vf load_f32(const float *from) { return load(from); }

INLINE vf load_bf16(const uint16_t *from) {
    vs bits;
    memcpy(&bits, from, sizeof bits);
    return (vf)(__builtin_convertvector(bits, vu) << 16);
}

INLINE vf load_f16(const uint16_t *from) {
    vh halves;
    memcpy(&halves, from, sizeof halves);
    return __builtin_convertvector(halves, vf);
}

INLINE float one_f32(float value) { return value; }

INLINE float one_bf16(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

INLINE float one_f16(uint16_t bits) {
    _Float16 value;
    memcpy(&value, &bits, sizeof value);
    return (float)value;
}

INLINE vf fma_(vf a, vf b, vf c) { return __builtin_elementwise_fma(a, b, c); }
INLINE vf max_(vf a, vf b) { return __builtin_elementwise_max(a, b); }
INLINE vf min_(vf a, vf b) { return __builtin_elementwise_min(a, b); }

INLINE float sum_of(vf value) {
    float parts[WIDTH], total = 0;
    store(parts, value);
    for (int step = WIDTH / 2; step > 0; step /= 2)
        for (int i = 0; i < step; i++) parts[i] += parts[i + step];
    total = parts[0];
    return total;
}

INLINE float max_of(vf value) {
    float parts[WIDTH];
    store(parts, value);
    for (int step = WIDTH / 2; step > 0; step /= 2)
        for (int i = 0; i < step; i++) parts[i] = parts[i] > parts[i + step] ? parts[i] : parts[i + step];
    return parts[0];
}

/// exp: 2^n by the exponent bits times a polynomial on [-ln 2 / 2, ln 2 / 2], to about 2 units in the last place.
/// Below -87 the result is about 1e-38, above 88 about 1e38; neither matters where it is used.
INLINE vf exp_(vf x) {
    x = min_(max_(x, splat(-87.0f)), splat(88.0f));
    vf shifted = fma_(x, splat(1.44269504088896341f), splat(0x1.8p23f));
    vf n = shifted - splat(0x1.8p23f);
    vf r = fma_(n, splat(-0x1.62e4p-1f), x);
    r = fma_(n, splat(-0x1.7f7d1cp-20f), r);
    vf p = splat(1.0f / 5040);
    p = fma_(p, r, splat(1.0f / 720));
    p = fma_(p, r, splat(1.0f / 120));
    p = fma_(p, r, splat(1.0f / 24));
    p = fma_(p, r, splat(1.0f / 6));
    p = fma_(p, r, splat(0.5f));
    p = fma_(p, r, splat(1.0f));
    p = fma_(p, r, splat(1.0f));
    vi power = ((vi)shifted) << 23;
    return (vf)((vi)p + power);
}

INLINE vf gelu_(vf x) {
    vf z = x * splat(0.70710678118654752f);
    vf size = (vf)((vi)z & 0x7FFFFFFF);
    vf t = splat(1.0f) / fma_(size, splat(0.3275911f), splat(1.0f));
    vf p = splat(1.061405429f);
    p = fma_(p, t, splat(-1.453152027f));
    p = fma_(p, t, splat(1.421413741f));
    p = fma_(p, t, splat(-0.284496736f));
    p = fma_(p, t, splat(0.254829592f));
    vf erf_size = fma_(-p * t, exp_(-size * size), splat(1.0f));
    vf erf_z = (vf)((vi)erf_size | ((vi)z & (vi)splat(-0.0f)));
    return splat(0.5f) * x * (splat(1.0f) + erf_z);
}

INLINE vf quick_gelu_(vf x) { return x / (splat(1.0f) + exp_(splat(-1.702f) * x)); }
INLINE vf silu_(vf x) { return x / (splat(1.0f) + exp_(-x)); }

static void widen_bf16(const uint16_t *from, float *to, size_t count) {
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store(to + i, load_bf16(from + i));
    for (; i < count; i++) to[i] = one_bf16(from[i]);
}

static void widen_f16(const uint16_t *from, float *to, size_t count) {
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store(to + i, load_f16(from + i));
    for (; i < count; i++) to[i] = one_f16(from[i]);
}

static void gelu(float *x, size_t count) {
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store(x + i, gelu_(load(x + i)));
    if (i < count) store_part(x + i, gelu_(load_part(x + i, count - i, 0)), count - i);
}

static void quick_gelu(float *x, size_t count) {
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store(x + i, quick_gelu_(load(x + i)));
    if (i < count) store_part(x + i, quick_gelu_(load_part(x + i, count - i, 0)), count - i);
}

static void silu_multiply(float *gate, const float *up, size_t count) {
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store(gate + i, silu_(load(gate + i)) * load(up + i));
    if (i < count) {
        vf value = silu_(load_part(gate + i, count - i, 0)) * load_part(up + i, count - i, 0);
        store_part(gate + i, value, count - i);
    }
}

static void layer_norm(const float *from, float *to, size_t count, const float *weight, const float *bias, float eps) {
    vf sums = splat(0), squares = splat(0);
    float sum = 0, square = 0;
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) sums += load(from + i);
    for (; i < count; i++) sum += from[i];
    float mean = (sum_of(sums) + sum) / (float)count;
    for (i = 0; i + WIDTH <= count; i += WIDTH) {
        vf off = load(from + i) - mean;
        squares = fma_(off, off, squares);
    }
    for (; i < count; i++) square += (from[i] - mean) * (from[i] - mean);
    float inverse = 1.0f / sqrtf((sum_of(squares) + square) / (float)count + eps);
    for (i = 0; i + WIDTH <= count; i += WIDTH)
        store(to + i, fma_((load(from + i) - mean) * inverse, load(weight + i), load(bias + i)));
    for (; i < count; i++) to[i] = (from[i] - mean) * inverse * weight[i] + bias[i];
}

static void rms_norm(const float *from, float *to, size_t count, const float *weight, float eps) {
    vf squares = splat(0);
    float square = 0;
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) squares = fma_(load(from + i), load(from + i), squares);
    for (; i < count; i++) square += from[i] * from[i];
    float inverse = 1.0f / sqrtf((sum_of(squares) + square) / (float)count + eps);
    for (i = 0; i + WIDTH <= count; i += WIDTH) store(to + i, load(weight + i) * (load(from + i) * inverse));
    for (; i < count; i++) to[i] = weight[i] * (from[i] * inverse);
}

static void add_scaled(float *to, const float *from, float factor, size_t count) {
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) store(to + i, fma_(load(from + i), splat(factor), load(to + i)));
    for (; i < count; i++) to[i] = fmaf(from[i], factor, to[i]);
}

#include "product.h"

#include "attention.h"

const quire_kernels TABLE = {
    NAME,       product_f32, product_bf16, product_f16, product_int8, quantise,   attend_f32, attend_bf16,
    widen_bf16, widen_f16,   gelu,         quick_gelu,  silu_multiply, layer_norm, rms_norm,   add_scaled,
};
