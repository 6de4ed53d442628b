// The kernels in plain C: what other instruction sets are tested against, and what runs where there is none of them.
#include "convert.h"
#include "tables.h"

#include <math.h>

#define PRODUCT(suffix, type)                                                                                        \
    static void product_##suffix(const quire_product *job, float *scratch) {                                         \
        (void)scratch;                                                                                               \
        for (size_t r = 0; r < job->rows; r++)                                                                       \
            for (size_t o = 0; o < job->columns; o++) {                                                              \
                const type *w = (const type *)job->w + o / QUIRE_PANEL * job->panel_step + o % QUIRE_PANEL;          \
                double sum = 0;                                                                                      \
                for (size_t k = 0; k < job->depth; k++)                                                              \
                    sum += (double)job->x[r * job->ldx + k] * from_##suffix(w[k * QUIRE_PANEL]);                     \
                float *y = job->y + r * job->ldy + o;                                                                \
                *y = (job->add ? *y : 0) + (job->bias ? job->bias[o] : 0) + (float)sum;                              \
            }                                                                                                        \
    }
PRODUCT(f32, float)
PRODUCT(bf16, uint16_t)
PRODUCT(f16, uint16_t)

static void product_int8(const quire_product *job, float *scratch) {
    (void)scratch;
    for (size_t r = 0; r < job->rows; r++)
        for (size_t o = 0; o < job->columns; o++) {
            const int8_t *w = (const int8_t *)job->w + o / QUIRE_PANEL * job->panel_step + o % QUIRE_PANEL * 2;
            const int16_t *x = job->quantised + r * ((job->depth + 1) / 2 * 2);
            int64_t sum = 0;
            for (size_t k = 0; k < job->depth; k++) sum += (int64_t)x[k] * w[k / 2 * 2 * QUIRE_PANEL + k % 2];
            float *y = job->y + r * job->ldy + o;
            *y = (job->add ? *y : 0) + (job->bias ? job->bias[o] : 0) +
                 (float)sum * (job->column_scales[o] * job->row_scales[r]);
        }
}

static float quantise(const float *x, size_t count, int16_t *to, float limit) {
    float most = 0;
    for (size_t i = 0; i < count; i++) most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    float inverse = most > 0 ? limit / most : 0;
    for (size_t i = 0; i < count; i++) to[i] = (int16_t)rintf(x[i] * inverse);
    if (count & 1) to[count] = 0;
    return most / limit;
}

#define ATTEND(suffix, type)                                                                                         \
    static void attend_##suffix(const quire_attention *job) {                                                        \
        const type *keys = job->k, *values = job->v;                                                                 \
        for (size_t r = 0; r < job->rows; r++) {                                                                     \
            ptrdiff_t limit = job->seen + (ptrdiff_t)r * job->seen_step, all = (ptrdiff_t)job->keys;                 \
            size_t seen = limit < 0 ? 0 : (size_t)(limit < all ? limit : all);                                       \
            float *row = job->scores + r * job->keys, *out = job->out + r * job->ldo, before = job->most[r];         \
            for (size_t j = 0; j < seen; j++) {                                                                      \
                const type *key = keys + j / QUIRE_PANEL * job->width * QUIRE_PANEL + j % QUIRE_PANEL;               \
                double sum = 0;                                                                                      \
                for (size_t i = 0; i < job->width; i++)                                                              \
                    sum += (double)job->q[r * job->ldq + i] * from_##suffix(key[i * QUIRE_PANEL]);                   \
                row[j] = (float)sum * job->scale;                                                                    \
                if (job->side)                                                                                       \
                    row[j] += job->line_bias[r * job->ld_line + j / job->side] +                                     \
                              job->column_bias[r * job->ld_column + j % job->side];                                  \
                if (row[j] > job->most[r]) job->most[r] = row[j];                                                    \
            }                                                                                                        \
            if (seen == 0) continue;                                                                                 \
            float factor = expf(before - job->most[r]);                                                              \
            double sum = 0;                                                                                          \
            for (size_t j = 0; j < seen; j++) sum += row[j] = expf(row[j] - job->most[r]);                           \
            job->sum[r] = job->sum[r] * factor + (float)sum;                                                         \
            for (size_t i = 0; i < job->width; i++) {                                                                \
                const type *value = values + i / QUIRE_PANEL * job->v_step + i % QUIRE_PANEL;                        \
                double total = 0;                                                                                    \
                for (size_t j = 0; j < seen; j++) total += (double)row[j] * from_##suffix(value[j * QUIRE_PANEL]);   \
                out[i] = out[i] * factor + (float)total;                                                             \
            }                                                                                                        \
        }                                                                                                            \
    }
ATTEND(f32, float)
ATTEND(bf16, uint16_t)

static void widen_bf16(const uint16_t *from, float *to, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = from_bf16(from[i]);
}

static void widen_f16(const uint16_t *from, float *to, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = from_f16(from[i]);
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

static void add_scaled(float *to, const float *from, float factor, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] += factor * from[i];
}

const quire_kernels quire_generic = {
    "generic",  product_f32, product_bf16, product_f16, product_int8, quantise,   attend_f32, attend_bf16,
    widen_bf16, widen_f16,   gelu,         quick_gelu,  silu_multiply, layer_norm, rms_norm,   add_scaled,
};
