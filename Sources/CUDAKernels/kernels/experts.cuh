// Products of rows with the experts they were sorted to, and the sum of a row's results.
//
// Grid: (tiles of 128 outputs, as many tiles of rows as there can be). Which expert a block multiplies with is read
// from `sort_by_expert`'s tiles on the device: nothing waits for the sizes.
#pragma once
#include "gemm.cuh"

// The rows of tokens whose slots are at some sorted places.
struct RoutedRows {
    typedef const bfloat *Start;
    const bfloat *x;
    const int *order;
    size_t stride;
    int first, end, slotsPerRow;

    __device__ __forceinline__ Start start(int row) const {
        return first + row < end ? x + (size_t)(order[first + row] / slotsPerRow) * stride : nullptr;
    }
    __device__ __forceinline__ const bfloat *at(Start start, int input) const {
        return start ? start + input : nullptr;
    }
};

// y[p] = silu(gate x) * up x for the token x of each sorted place p.
template <class T>
__device__ __forceinline__ void multiplyUp(
    const bfloat *x, const int *order, const bfloat *const *weights, const int *tiles, const int *offsets, bfloat *y,
    int inputs, int outputs, int slotsPerRow, unsigned char *shared) {
    const int expert = tiles[2 * blockIdx.y];
    if (expert < 0) return;
    const int first = tiles[2 * blockIdx.y + 1], end = offsets[expert + 1], left = blockIdx.x * T::width;
    T tile;
    tile.multiply(
        RoutedRows{x, order, (size_t)inputs, first, end, slotsPerRow},
        MatrixRows{weights[expert], (size_t)inputs, left, outputs}, inputs, shared, weights[expert]);
    storeTile(tile, y, outputs / 2, first, end, left, outputs, nullptr, storeGated);
}

// y[p] = w x[p] for each sorted place p.
template <class T>
__device__ __forceinline__ void multiplyDown(
    const bfloat *x, const bfloat *const *weights, const int *tiles, const int *offsets, bfloat *y, int inputs,
    int outputs, unsigned char *shared) {
    const int expert = tiles[2 * blockIdx.y];
    if (expert < 0) return;
    const int first = tiles[2 * blockIdx.y + 1], end = offsets[expert + 1], left = blockIdx.x * T::width;
    T tile;
    tile.multiply(
        MatrixRows{x, (size_t)inputs, first, end}, MatrixRows{weights[expert], (size_t)inputs, left, outputs}, inputs,
        shared, weights[expert]);
    storeTile(tile, y, outputs, first, end, left, outputs, nullptr, storeNarrow);
}

// `weights` are the experts' matrices [outputs, inputs]; those of the first product as `storeGated` wants them.
#define EXPERT_PRODUCTS(up, down, T)                                                                               \
    KERNEL(T::threads)                                                                                             \
    up(const bfloat *x, const int *order, const bfloat *const *weights, const int *tiles, const int *offsets,      \
       bfloat *y, int inputs, int outputs, int slotsPerRow) {                                                      \
        DYNAMIC_SHARED(memory);                                                                                    \
        multiplyUp<T>(x, order, weights, tiles, offsets, y, inputs, outputs, slotsPerRow, memory);                 \
    }                                                                                                              \
    KERNEL(T::threads)                                                                                             \
    down(const bfloat *x, const bfloat *const *weights, const int *tiles, const int *offsets, bfloat *y, int inputs, \
         int outputs) {                                                                                            \
        DYNAMIC_SHARED(memory);                                                                                    \
        multiplyDown<T>(x, weights, tiles, offsets, y, inputs, outputs, memory);                                   \
    }
EXPERT_PRODUCTS(experts_up_16, experts_down_16, Tile16)
EXPERT_PRODUCTS(experts_up_32, experts_down_32, Tile32)
EXPERT_PRODUCTS(experts_up_64, experts_down_64, Tile64)
EXPERT_PRODUCTS(experts_up_128, experts_down_128, Tile128)
#undef EXPERT_PRODUCTS

// sum[r] += weights[r, j] * y[places[r, j]] for all places j of a row, in f32 and in their order.
//
// Grid: (pieces of 8 columns / 128 threads, rows).
KERNEL(128)
gather_experts(
    float *sum, const bfloat *y, const int *places, const float *weights, int slotsPerRow, int columns) {
    const int column = (blockIdx.x * blockDim.x + threadIdx.x) * 8;
    const size_t row = blockIdx.y;
    if (column >= columns) return;
    float total[8] = {};
    for (int j = 0; j < slotsPerRow; j++) {
        const float weight = weights[row * slotsPerRow + j];
        float values[8];
        loadEight(y + (size_t)places[row * slotsPerRow + j] * columns + column, values);
        for (int k = 0; k < 8; k++) total[k] += weight * values[k];
    }
    float values[8];
    loadEight(sum + row * columns + column, values);
    for (int k = 0; k < 8; k++) values[k] += total[k];
    storeEight(sum + row * columns + column, values);
}
