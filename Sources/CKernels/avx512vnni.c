// The kernels for AVX-512 (F, BW, DQ, VL) with VNNI: vectors of 16 floats.
#if defined(__x86_64__)
#include <math.h>
#include <stdint.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c"))), \
                             apply_to = function)
#define WIDTH 16
#define NAME "avx512-vnni"
#define VNNI
#define TABLE quire_avx512_vnni
#include "vector.h"
#pragma clang attribute pop
#endif
