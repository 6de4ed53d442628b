// Chooses the instruction set, and what needs none.
#include "kernels.h"

#include "tables.h"

#include <string.h>

const quire_kernels *quire_kernels_at(quire_level level) {
    switch (level) {
    case QUIRE_GENERIC:
        return &quire_generic;
#if defined(__x86_64__)
    case QUIRE_AVX2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")
                   ? &quire_avx2
                   : NULL;
    case QUIRE_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
                   ? &quire_avx512
                   : NULL;
#endif
    default:
        return NULL;
    }
}

const quire_kernels *quire_kernels_best(void) {
    for (int level = QUIRE_AVX512; level > QUIRE_GENERIC; level--) {
        const quire_kernels *found = quire_kernels_at((quire_level)level);
        if (found) return found;
    }
    return &quire_generic;
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
