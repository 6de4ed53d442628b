// The kernels in plain C: what other instruction sets are tested against, and what runs where there is none of them.
#include "tables.h"

#include <math.h>
#include <string.h>

static float from_bf16(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static float from_f16(uint16_t bits) {
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = (bits >> 10) & 0x1F, fraction = bits & 0x3FF;
    if (exponent == 0) return (sign ? -1.0f : 1.0f) * (float)fraction * 0x1p-24f;
    uint32_t wide = sign | (exponent == 31 ? 0x7F800000u : (exponent + 112) << 23) | fraction << 13;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

static float from_f32(float value) { return value; }

#define GEMV(suffix, type)                                                                                        \
    static void gemv_##suffix(const void *w, size_t ldw, const float *x, size_t ldx, size_t rows, float *y,        \
                              size_t ldy, size_t outs, size_t ins) {                                               \
        const type *weights = w;                                                                                   \
        for (size_t o = 0; o < outs; o++)                                                                          \
            for (size_t r = 0; r < rows; r++) {                                                                    \
                float part[8] = {0};                                                                               \
                for (size_t i = 0; i < ins; i++) part[i & 7] += from_##suffix(weights[o * ldw + i]) * x[r * ldx + i]; \
                for (int j = 1; j < 8; j++) part[0] += part[j];                                                    \
                y[r * ldy + o] += part[0];                                                                         \
            }                                                                                                      \
    }
GEMV(f32, float)
GEMV(bf16, uint16_t)
GEMV(f16, uint16_t)

static void widen_bf16(const uint16_t *from, float *to, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = from_bf16(from[i]);
}

static void widen_f16(const uint16_t *from, float *to, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = from_f16(from[i]);
}

static float exponentials(float *row, size_t count) {
    float most = row[0];
    for (size_t i = 1; i < count; i++) most = row[i] > most ? row[i] : most;
    float part[8] = {0};
    for (size_t i = 0; i < count; i++) part[i & 7] += row[i] = expf(row[i] - most);
    for (int j = 1; j < 8; j++) part[0] += part[j];
    return part[0];
}

static float softmax(float *row, size_t count, float scale) {
    for (size_t i = 0; i < count; i++) row[i] *= scale;
    return exponentials(row, count);
}

static float softmax_grid(float *row, size_t height, size_t width, float scale, const float *bias_h,
                          const float *bias_w) {
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) {
            float *score = row + y * width + x;
            *score = *score * scale + (bias_h[y] + bias_w[x]);
        }
    return exponentials(row, height * width);
}

static void gelu(float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678118654752f));
}

static void quick_gelu(float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] = x[i] / (1.0f + expf(-1.702f * x[i]));
}

static void silu_multiply(float *gate, const float *up, size_t count) {
    for (size_t i = 0; i < count; i++) gate[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

static void layer_norm(const float *from, float *to, size_t count, const float *weight, const float *bias, float eps) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++) sum += from[i];
    float mean = (float)(sum / (double)count);
    for (size_t i = 0; i < count; i++) squares += (double)(from[i] - mean) * (from[i] - mean);
    float inverse = 1.0f / sqrtf((float)(squares / (double)count) + eps);
    for (size_t i = 0; i < count; i++) to[i] = (from[i] - mean) * inverse * weight[i] + bias[i];
}

static void rms_norm(const float *from, float *to, size_t count, const float *weight, float eps) {
    double squares = 0;
    for (size_t i = 0; i < count; i++) squares += (double)from[i] * from[i];
    float inverse = 1.0f / sqrtf((float)(squares / (double)count) + eps);
    for (size_t i = 0; i < count; i++) to[i] = weight[i] * (from[i] * inverse);
}

const quire_kernels quire_generic = {
    "generic",    gemv_f32, gemv_bf16,  gemv_f16,      widen_bf16, widen_f16, softmax,
    softmax_grid, gelu,     quick_gelu, silu_multiply, layer_norm, rms_norm,
};
