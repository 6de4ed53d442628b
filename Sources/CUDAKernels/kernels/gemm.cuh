// Dense products: y = x w^T + bias, with what follows the product done on the way out.
//
// Grid: (tiles of 128 outputs, tiles of rows). Inputs and outputs are multiples of 8.
#pragma once
#include "elementwise.cuh"
#include "tile.cuh"

// What becomes of the sums.
enum {
    storeNarrow = 0,  // y bf16
    storeWide = 1,    // y f32
    addWide = 2,      // y f32 += sums
    storeGELU = 3,    // y bf16
    storeQuickGELU = 4,
    // y [rows, outputs / 2] bf16 = silu(gate) * up; of 16 outputs eight are gates and the next eight are ups.
    storeGated = 5
};

__device__ __forceinline__ void storePair(bfloat *to, float a, float b) { *(uint32_t *)to = packBFloats(a, b); }

// Writes a tile's sums; `rows` and `outputs` are how many there are in all, `top` and `left` where the tile begins.
template <class T>
__device__ __forceinline__ void storeTile(
    const T &tile, void *y, size_t stride, int top, int rows, int left, int outputs, const float *bias, int mode) {
    tile.eachRow([&](int i, int half, int place) {
        const int row = top + place;
        if (row >= rows) return;
        if (mode == storeGated) {
#pragma unroll
            for (int j = 0; j < T::tilesAcross; j += 2) {
                const int column = left + T::column(j);
                if (column >= outputs) continue;
                const float *gate = tile.sums[i][j] + 2 * half, *up = tile.sums[i][j + 1] + 2 * half;
                // Gates and ups alternate by eights: output 16 n + m is the result's 8 n + m.
                bfloat *to = (bfloat *)y + (size_t)row * stride + column / 16 * 8 + column % 8;
                storePair(to, siluOf(gate[0]) * up[0], siluOf(gate[1]) * up[1]);
            }
            return;
        }
#pragma unroll
        for (int j = 0; j < T::tilesAcross; j++) {
            const int column = left + T::column(j);
            if (column >= outputs) continue;
            float a = tile.sums[i][j][2 * half], b = tile.sums[i][j][2 * half + 1];
            if (bias) a += bias[column], b += bias[column + 1];
            const size_t place = (size_t)row * stride + column;
            if (mode == storeWide || mode == addWide) {
                float2 *to = (float2 *)((float *)y + place);
                if (mode == addWide) a += to->x, b += to->y;
                *to = float2{a, b};
                continue;
            }
            if (mode == storeGELU) a = geluOf(a), b = geluOf(b);
            if (mode == storeQuickGELU) a = quickGELUOf(a), b = quickGELUOf(b);
            storePair((bfloat *)y + place, a, b);
        }
    });
}

template <class T>
__device__ __forceinline__ void multiplyRows(
    const bfloat *x, const bfloat *w, const float *bias, void *y, int rows, int inputs, int outputs, int stride,
    int mode, unsigned char *shared) {
    const int left = blockIdx.x * T::width, top = blockIdx.y * T::height;
    T tile;
    tile.multiply(
        MatrixRows{x, (size_t)inputs, top, rows}, MatrixRows{w, (size_t)inputs, left, outputs}, inputs, shared, w);
    storeTile(tile, y, stride, top, rows, left, outputs, bias, mode);
}

// x [rows, inputs] and w [outputs, inputs] bf16; bias [outputs] f32 or null; y has rows of `stride` elements.
#define PRODUCT(name, T)                                                                                             \
    KERNEL(T::threads)                                                                                               \
    name(                                                                                                            \
        const bfloat *x, const bfloat *w, const float *bias, void *y, int rows, int inputs, int outputs, int stride, \
        int mode) {                                                                                                  \
        DYNAMIC_SHARED(memory);                                                                                      \
        multiplyRows<T>(x, w, bias, y, rows, inputs, outputs, stride, mode, memory);                                 \
    }
PRODUCT(product_16, Tile16)
PRODUCT(product_32, Tile32)
PRODUCT(product_64, Tile64)
PRODUCT(product_128, Tile128)
#undef PRODUCT
