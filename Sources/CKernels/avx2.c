// The kernels for AVX2, FMA and F16C: vectors of 8 floats.
#if defined(__x86_64__)
#include <math.h>
#include <stdint.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define WIDTH 8
#define NAME "avx2"
#define TABLE quire_avx2
#include "vector.h"
#pragma clang attribute pop
#endif
