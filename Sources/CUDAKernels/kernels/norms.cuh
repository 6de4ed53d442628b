// Norms over rows, with the residual added before where there is one.
//
// Grid: a block for each row. Shared memory: the row as floats. Columns are a multiple of 8.
#pragma once
#include "device.cuh"

// Brings a row into shared memory; with `delta` the sum of both, which is stored as the new residual.
template <class In>
__device__ __forceinline__ void loadRow(In *x, const bfloat *delta, float *row, int columns) {
    for (int i = threadIdx.x * 8; i < columns; i += blockDim.x * 8) {
        float values[8];
        loadEight(x + i, values);
        if (delta) {
            float more[8];
            loadEight(delta + i, more);
            for (int j = 0; j < 8; j++) values[j] += more[j];
            storeEight(x + i, values);
        }
        storeEight(row + i, values);
    }
}

// y = weight * x / sqrt(mean(x^2) + epsilon).
template <class In>
__device__ __forceinline__ void rmsNormRow(
    In *x, const bfloat *delta, const float *weight, bfloat *y, int columns, float epsilon, float *row) {
    SHARED float scratch[32];
    const size_t start = (size_t)blockIdx.x * columns;
    loadRow(x + start, delta ? delta + start : nullptr, row, columns);
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
template <class In, class Out>
__device__ __forceinline__ void layerNormRow(
    In *x, const bfloat *delta, const float *weight, const float *bias, Out *y, int columns, float epsilon,
    float *row) {
    SHARED float scratch[32];
    const size_t start = (size_t)blockIdx.x * columns;
    loadRow(x + start, delta ? delta + start : nullptr, row, columns);
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

// x [rows, columns] f32, to which delta (bf16, or null) is added first; weight f32; y bf16.
KERNEL(256)
rms_norm_f32(float *x, const bfloat *delta, const float *weight, bfloat *y, int columns, float epsilon) {
    DYNAMIC_SHARED(memory);
    rmsNormRow(x, delta, weight, y, columns, epsilon, (float *)memory);
}

KERNEL(256)
rms_norm_bf16(bfloat *x, const bfloat *delta, const float *weight, bfloat *y, int columns, float epsilon) {
    DYNAMIC_SHARED(memory);
    rmsNormRow(x, delta, weight, y, columns, epsilon, (float *)memory);
}

KERNEL(256)
layer_norm_f32(
    float *x, const bfloat *delta, const float *weight, const float *bias, bfloat *y, int columns, float epsilon) {
    DYNAMIC_SHARED(memory);
    layerNormRow(x, delta, weight, bias, y, columns, epsilon, (float *)memory);
}

KERNEL(256)
layer_norm_bf16(
    bfloat *x, const bfloat *delta, const float *weight, const float *bias, bfloat *y, int columns, float epsilon) {
    DYNAMIC_SHARED(memory);
    layerNormRow(x, delta, weight, bias, y, columns, epsilon, (float *)memory);
}

// The same with a result in f32, for a norm whose output is the residual.
KERNEL(256)
layer_norm_wide(
    float *x, const bfloat *delta, const float *weight, const float *bias, float *y, int columns, float epsilon) {
    DYNAMIC_SHARED(memory);
    layerNormRow(x, delta, weight, bias, y, columns, epsilon, (float *)memory);
}
