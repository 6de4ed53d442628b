// Packing, in plain C: weights are packed once, keys and values a few hundred at a time.
#include "packing.h"

#include "convert.h"
#include "kernels.h"

#include <math.h>
#include <string.h>

static inline float element(const void *from, quire_type type, size_t index) {
    switch (type) {
    case QUIRE_BF16: return from_bf16(((const uint16_t *)from)[index]);
    case QUIRE_F16: return from_f16(((const uint16_t *)from)[index]);
    default: return ((const float *)from)[index];
    }
}

// One loop for each pair of types, so that none is decided in it.
#define PACK(name, from_name, to_name, convert)                                                                       \
    static void name(const from_name *from, size_t rows, size_t depth, to_name *to) {                                 \
        for (size_t first = 0; first < depth; first += 64) {                                                          \
            size_t last = first + 64 < depth ? first + 64 : depth;                                                    \
            for (size_t r = 0; r < QUIRE_PANEL; r++)                                                                  \
                for (size_t k = first; k < last; k++)                                                                 \
                    to[k * QUIRE_PANEL + r] = r < rows ? convert(from[r * depth + k]) : 0;                            \
        }                                                                                                             \
    }
#define SAME(value) (value)
PACK(pack_f32, float, float, SAME)
PACK(pack_16, uint16_t, uint16_t, SAME)
PACK(pack_f32_bf16, float, uint16_t, to_bf16)
PACK(pack_bf16_f32, uint16_t, float, from_bf16)
PACK(pack_f16_f32, uint16_t, float, from_f16)

static inline __attribute__((always_inline)) void pack_int8(const void *from, quire_type type, size_t rows, size_t depth,
                                                            int8_t *to, float *scales) {
    memset(to, 0, (depth + 1) / 2 * 2 * QUIRE_PANEL);
    for (size_t r = 0; r < QUIRE_PANEL; r++) {
        float most = 0;
        scales[r] = 0;
        if (r >= rows) continue;
        for (size_t k = 0; k < depth; k++) {
            float size = fabsf(element(from, type, r * depth + k));
            most = size > most ? size : most;
        }
        if (!(most > 0)) continue;
        float inverse = 127 / most;
        scales[r] = most / 127;
        for (size_t k = 0; k < depth; k++) {
            // To the nearest even, by the addition of 1.5 * 2^23: |value| is at most 127.
            float value = element(from, type, r * depth + k) * inverse + 0x1.8p23f;
            to[(k / 2 * QUIRE_PANEL + r) * 2 + k % 2] = (int8_t)(int)(value - 0x1.8p23f);
        }
    }
}

void quire_pack_panel(const void *from, quire_type from_type, size_t rows, size_t depth, void *to, quire_type to_type,
                      float *scales) {
    if (to_type == QUIRE_INT8) {
        if (from_type == QUIRE_BF16) pack_int8(from, QUIRE_BF16, rows, depth, to, scales);
        else pack_int8(from, from_type, rows, depth, to, scales);
    } else if (from_type == to_type && to_type != QUIRE_F32) {
        pack_16(from, rows, depth, to);
    } else if (to_type == QUIRE_BF16) {
        pack_f32_bf16(from, rows, depth, to);
    } else if (from_type == QUIRE_BF16) {
        pack_bf16_f32(from, rows, depth, to);
    } else if (from_type == QUIRE_F16) {
        pack_f16_f32(from, rows, depth, to);
    } else {
        pack_f32(from, rows, depth, to);
    }
}

void quire_put_key(const float *from, size_t width, void *panels, quire_type type, size_t slot) {
    size_t place = slot / QUIRE_PANEL * width * QUIRE_PANEL + slot % QUIRE_PANEL;
    if (type == QUIRE_BF16) {
        uint16_t *to = (uint16_t *)panels + place;
        for (size_t i = 0; i < width; i++) to[i * QUIRE_PANEL] = to_bf16(from[i]);
    } else {
        float *to = (float *)panels + place;
        for (size_t i = 0; i < width; i++) to[i * QUIRE_PANEL] = from[i];
    }
}

void quire_put_value(const float *from, size_t width, void *panels, quire_type type, size_t capacity, size_t slot) {
    for (size_t first = 0; first < width; first += QUIRE_PANEL) {
        size_t count = width - first < QUIRE_PANEL ? width - first : QUIRE_PANEL;
        size_t place = first * capacity + slot * QUIRE_PANEL;
        if (type == QUIRE_BF16) {
            uint16_t *to = (uint16_t *)panels + place;
            for (size_t i = 0; i < count; i++) to[i] = to_bf16(from[first + i]);
        } else {
            memcpy((float *)panels + place, from + first, count * sizeof(float));
        }
    }
}

#if defined(__x86_64__)
__attribute__((target_clones("avx2", "default")))
#endif
void quire_fill_random_bf16(uint16_t *to, size_t count, uint64_t seed, uint64_t first, float centre, float width) {
    uint32_t base = (uint32_t)first + (uint32_t)(first >> 32) * 0x85EBCA6Bu, mix = (uint32_t)(seed ^ seed >> 32);
    for (size_t i = 0; i < count; i++) {
        uint32_t z = (base + (uint32_t)i) * 0x9E3779B1u + mix;
        z = (z ^ (z >> 16)) * 0x85EBCA6Bu;
        z = (z ^ (z >> 13)) * 0xC2B2AE35u;
        // The top 23 bits as a fraction, with the last one set: never exactly the centre.
        float value = centre + width * ((float)(int32_t)(z >> 9 | 1) * 0x1p-22f - 1.0f);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        to[i] = (uint16_t)((bits + 0x8000u) >> 16);
    }
}
