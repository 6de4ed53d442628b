// Activations and sums, element by element, eight at a time; counts are multiples of 8.
#pragma once
#include "device.cuh"

// GELU, exact.
__device__ __forceinline__ float geluOf(float x) { return 0.5f * x * (1 + erff(x * 0.70710678118654752f)); }
// x * sigmoid(1.702 x).
__device__ __forceinline__ float quickGELUOf(float x) { return x / (1 + fastExp(-1.702f * x)); }
__device__ __forceinline__ float siluOf(float x) { return x / (1 + fastExp(-x)); }

__device__ __forceinline__ size_t firstOfEight() {
    return ((size_t)blockIdx.x * blockDim.x + threadIdx.x) * 8;
}

// sum[i] += x[i mod repeat]: a matrix of `repeat` elements is added again and again down the rows.
KERNEL(256)
add_f32(float *sum, const float *x, long long repeat, long long count) {
    const size_t i = firstOfEight();
    if (i >= (size_t)count) return;
    float a[8], b[8];
    loadEight(sum + i, a);
    loadEight(x + i % (size_t)repeat, b);
    for (int j = 0; j < 8; j++) a[j] += b[j];
    storeEight(sum + i, a);
}

// y = x in the other type.
template <class In, class Out> __device__ __forceinline__ void convert(const In *x, Out *y, long long count) {
    const size_t i = firstOfEight();
    if (i >= (size_t)count) return;
    float values[8];
    loadEight(x + i, values);
    storeEight(y + i, values);
}

KERNEL(256) widen(const bfloat *x, float *y, long long count) { convert(x, y, count); }

KERNEL(256) narrow(const float *x, bfloat *y, long long count) { convert(x, y, count); }
