// Half-split RoPE on queries and keys, and keys and values into their pages.
#pragma once
#include "device.cuh"

// Tokens of a page of keys and values.
constexpr int pageTokens = 32;

// Where the token at a position of a sequence lies: [page, head, token of the page, element].
__device__ __forceinline__ size_t pagePlace(const int *pages, int position, int head, int heads, int width) {
    const size_t page = pages[position / pageTokens];
    return ((page * heads + head) * pageTokens + position % pageTokens) * width;
}

// Grid: a block for each row. Element i of a head's first half and the one half a head further are turned by the angle
// of the row's position; queries stay in `qkv`, keys and values go to the pages of the row's sequence.
//
// qkv [rows, (heads + 2 * keyHeads) * width], width a multiple of 16; angles [positions, 2, width / 2]: cosines, then
// sines; positions and sequences [rows]; pages [sequences, pagesPerSequence]; keys and values of one layer.
KERNEL(256)
rope_write(
    bfloat *qkv, const float *angles, const int *positions, const int *sequences, const int *pages,
    int pagesPerSequence, bfloat *keys, bfloat *values, int heads, int keyHeads, int width) {
    const int row = blockIdx.x, half = width / 2, pieces = half / 8;
    const int position = positions[row];
    const int *own = pages + (size_t)sequences[row] * pagesPerSequence;
    bfloat *line = qkv + (size_t)row * (heads + 2 * keyHeads) * width;
    const float *cosines = angles + (size_t)position * width;
    for (int i = threadIdx.x; i < (heads + 2 * keyHeads) * pieces; i += blockDim.x) {
        const int head = i / pieces, place = i % pieces * 8;
        bfloat *from = line + head * width + place;
        if (head >= heads + keyHeads) {
            bfloat *to = values + pagePlace(own, position, head - heads - keyHeads, keyHeads, width) + place;
            *(uint4 *)to = *(const uint4 *)from;
            *(uint4 *)(to + half) = *(const uint4 *)(from + half);
            continue;
        }
        float a[8], b[8], cosine[8], sine[8], left[8], right[8];
        loadEight(from, a);
        loadEight(from + half, b);
        loadEight(cosines + place, cosine);
        loadEight(cosines + half + place, sine);
        for (int j = 0; j < 8; j++) {
            left[j] = a[j] * cosine[j] - b[j] * sine[j];
            right[j] = b[j] * cosine[j] + a[j] * sine[j];
        }
        bfloat *to = head < heads ? from : keys + pagePlace(own, position, head - heads, keyHeads, width) + place;
        storeEight(to, left);
        storeEight(to + half, right);
    }
}
