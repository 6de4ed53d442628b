// Chooses the instruction set.
#include "kernels.h"

#include "tables.h"

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
    case QUIRE_AVX512_VNNI:
        return quire_kernels_at(QUIRE_AVX512) && __builtin_cpu_supports("avx512vnni") ? &quire_avx512_vnni : NULL;
#endif
    default:
        return NULL;
    }
}

const quire_kernels *quire_kernels_best(void) {
    for (int level = QUIRE_AVX512_VNNI; level > QUIRE_GENERIC; level--) {
        const quire_kernels *found = quire_kernels_at((quire_level)level);
        if (found) return found;
    }
    return &quire_generic;
}
