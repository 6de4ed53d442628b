// Random weights: what `quire_fill_random_bf16` makes on a processor, bit for bit.
#pragma once
#include "device.cuh"

__device__ __forceinline__ uint32_t randomBFloat(uint32_t place, uint32_t mix, float centre, float width) {
    uint32_t z = place * 0x9E3779B1u + mix;
    z = (z ^ (z >> 16)) * 0x85EBCA6Bu;
    z = (z ^ (z >> 13)) * 0xC2B2AE35u;
    union {
        float value;
        uint32_t bits;
    } both;
    both.value = addProduct(centre, width, addProduct(-1.0f, (float)(int32_t)(z >> 9 | 1), 1.0f / 4194304));
    return (both.bits + 0x8000u) >> 16;
}

// Eight elements a thread. Element i of `count` lies at to[i / piece * apart + i % piece]; piece is a multiple of 8.
KERNEL(256)
fill_random(
    bfloat *to, long long count, long long piece, long long apart, uint32_t base, uint32_t mix, float centre,
    float width) {
    const long long i = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * 8;
    if (i >= count) return;
    uint32_t pairs[4];
    for (int j = 0; j < 4; j++) {
        const uint32_t place = base + (uint32_t)i + 2 * j;
        pairs[j] = randomBFloat(place, mix, centre, width) | randomBFloat(place + 1, mix, centre, width) << 16;
    }
    *(uint4 *)(to + i / piece * apart + i % piece) = uint4{pairs[0], pairs[1], pairs[2], pairs[3]};
}
