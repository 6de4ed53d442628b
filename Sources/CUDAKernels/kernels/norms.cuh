// Norms over rows.
//
// Grid: a block for each row. Shared memory: the row as floats. Columns are a multiple of 8.
#pragma once
#include "device.cuh"

// Brings a row into shared memory.
template <class In> __device__ __forceinline__ void loadRow(const In *x, float *row, int columns) {
    for (int i = threadIdx.x * 8; i < columns; i += blockDim.x * 8) {
        float values[8];
        loadEight(x + i, values);
        storeEight(row + i, values);
    }
}

// y = weight * x / sqrt(mean(x^2) + epsilon).
template <class In>
__device__ __forceinline__ void rmsNormRow(
    const In *x, const float *weight, bfloat *y, int columns, float epsilon, float *row) {
    SHARED float scratch[32];
    const size_t start = (size_t)blockIdx.x * columns;
    loadRow(x + start, row, columns);
    // Each thread reads what it wrote itself: no barrier is needed before the sum's own.
    float squares = 0;
    for (int i = threadIdx.x * 8; i < columns; i += blockDim.x * 8)
        for (int j = 0; j < 8; j++) squares += row[i + j] * row[i + j];
    const float factor = inverseRoot(blockSum(squares, scratch) / columns + epsilon);
    for (int i = threadIdx.x * 8; i < columns; i += blockDim.x * 8) {
        float w[8], out[8];
        loadEight(weight + i, w);
        for (int j = 0; j < 8; j++) out[j] = row[i + j] * factor * w[j];
        storeEight(y + start + i, out);
    }
}

// y = (x - mean) / sqrt(variance + epsilon) * weight + bias; the variance is of the differences, in a second pass.
template <class In>
__device__ __forceinline__ void layerNormRow(
    const In *x, const float *weight, const float *bias, bfloat *y, int columns, float epsilon, float *row) {
    SHARED float scratch[32];
    const size_t start = (size_t)blockIdx.x * columns;
    loadRow(x + start, row, columns);
    float sum = 0, squares = 0;
    for (int i = threadIdx.x * 8; i < columns; i += blockDim.x * 8)
        for (int j = 0; j < 8; j++) sum += row[i + j];
    const float mean = blockSum(sum, scratch) / columns;
    for (int i = threadIdx.x * 8; i < columns; i += blockDim.x * 8)
        for (int j = 0; j < 8; j++) squares += (row[i + j] - mean) * (row[i + j] - mean);
    const float factor = inverseRoot(blockSum(squares, scratch) / columns + epsilon);
    for (int i = threadIdx.x * 8; i < columns; i += blockDim.x * 8) {
        float w[8], b[8], out[8];
        loadEight(weight + i, w);
        loadEight(bias + i, b);
        for (int j = 0; j < 8; j++) out[j] = (row[i + j] - mean) * factor * w[j] + b[j];
        storeEight(y + start + i, out);
    }
}

// x [rows, columns] f32 or bf16; weight and bias f32; y bf16.
#define NORMS(type, In)                                                                                             \
    KERNEL(256) rms_norm_##type(const In *x, const float *weight, bfloat *y, int columns, float epsilon) {          \
        DYNAMIC_SHARED(memory);                                                                                     \
        rmsNormRow(x, weight, y, columns, epsilon, (float *)memory);                                                \
    }                                                                                                               \
    KERNEL(256)                                                                                                     \
    layer_norm_##type(                                                                                              \
        const In *x, const float *weight, const float *bias, bfloat *y, int columns, float epsilon) {               \
        DYNAMIC_SHARED(memory);                                                                                     \
        layerNormRow(x, weight, bias, y, columns, epsilon, (float *)memory);                                        \
    }
NORMS(f32, float)
NORMS(bf16, bfloat)
#undef NORMS
