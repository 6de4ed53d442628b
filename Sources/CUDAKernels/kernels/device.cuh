// What the kernels need of the machine, under names that a GPU and the tests' shim both offer.
//
// Kernels are compiled twice: by nvcc, and as C++ over the shim that runs them on a processor. Everything that only a
// GPU has is wrapped here in a function; the shim defines the same functions.
#pragma once

#ifdef __CUDACC__
#include <cstdint>

#define SHARED __shared__
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads)
// Memory whose size the launch says, aligned for the widest copies.
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]

template <class T> __device__ __forceinline__ T shuffleXor(T value, int mask) {
    return __shfl_xor_sync(0xffffffffu, value, mask);
}
template <class T> __device__ __forceinline__ T shuffleUp(T value, int by) {
    return __shfl_up_sync(0xffffffffu, value, by);
}
template <class T> __device__ __forceinline__ T shuffleFrom(T value, int lane) {
    return __shfl_sync(0xffffffffu, value, lane);
}
__device__ __forceinline__ uint32_t warpBallot(bool isSet) { return __ballot_sync(0xffffffffu, isSet); }
__device__ __forceinline__ int bitCount(uint32_t bits) { return __popc(bits); }
__device__ __forceinline__ int addShared(int *place, int value) { return atomicAdd(place, value); }
__device__ __forceinline__ void orShared(uint32_t *place, uint32_t bits) { atomicOr(place, bits); }
__device__ __forceinline__ float fastExp(float x) { return __expf(x); }
__device__ __forceinline__ float fastExp2(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}
__device__ __forceinline__ float inverseRoot(float x) { return rsqrtf(x); }
// a + b c, rounded after the product and after the sum.
__device__ __forceinline__ float addProduct(float a, float b, float c) { return __fadd_rn(a, __fmul_rn(b, c)); }

// Two floats as bfloat16, rounded to the nearest, halves to the even one; the first in the low half.
__device__ __forceinline__ uint32_t packBFloats(float low, float high) {
    uint32_t result;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    return result;
}

// Copies 16 bytes from global to shared memory without waiting; zeros where `isValid` is false.
__device__ __forceinline__ void copyAsync(void *shared, const void *global, bool isValid) {
    const uint32_t place = (uint32_t)__cvta_generic_to_shared(shared);
    const int bytes = isValid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(place), "l"(global), "r"(bytes) : "memory");
}
__device__ __forceinline__ void copyCommit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `pending` of the committed groups are still on their way.
template <int pending> __device__ __forceinline__ void copyWait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// Four 8 x 8 matrices of bfloat16 from shared memory: lane 8 i + r gives the address of row r of matrix i.
template <bool isTransposed> __device__ __forceinline__ void loadMatrices(uint32_t registers[4], const void *row) {
    const uint32_t place = (uint32_t)__cvta_generic_to_shared(row);
    if (isTransposed) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                     : "r"(place)
                     : "memory");
    } else {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                     : "r"(place)
                     : "memory");
    }
}

// d += a b for a [16, 16] and b [16, 8] of bfloat16, in the fragments of mma.m16n8k16.
__device__ __forceinline__ void multiplyMatrices(float d[4], const uint32_t a[4], const uint32_t b[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#else
#include "shim.hpp"
#endif

// A number of 16 bits that is the upper half of a float.
typedef uint16_t bfloat;

__device__ __forceinline__ float lowFloat(uint32_t pair) {
    union {
        uint32_t bits;
        float value;
    } both;
    both.bits = pair << 16;
    return both.value;
}
__device__ __forceinline__ float highFloat(uint32_t pair) {
    union {
        uint32_t bits;
        float value;
    } both;
    both.bits = pair & 0xffff0000u;
    return both.value;
}

__device__ __forceinline__ float negativeInfinity() { return -INFINITY; }

// Eight neighbours, 16-byte aligned, as floats.
__device__ __forceinline__ void loadEight(const bfloat *from, float to[8]) {
    const uint4 bits = *reinterpret_cast<const uint4 *>(from);
    to[0] = lowFloat(bits.x), to[1] = highFloat(bits.x), to[2] = lowFloat(bits.y), to[3] = highFloat(bits.y);
    to[4] = lowFloat(bits.z), to[5] = highFloat(bits.z), to[6] = lowFloat(bits.w), to[7] = highFloat(bits.w);
}
__device__ __forceinline__ void loadEight(const float *from, float to[8]) {
    const float4 a = reinterpret_cast<const float4 *>(from)[0], b = reinterpret_cast<const float4 *>(from)[1];
    to[0] = a.x, to[1] = a.y, to[2] = a.z, to[3] = a.w, to[4] = b.x, to[5] = b.y, to[6] = b.z, to[7] = b.w;
}
__device__ __forceinline__ void storeEight(bfloat *to, const float from[8]) {
    uint4 bits;
    bits.x = packBFloats(from[0], from[1]), bits.y = packBFloats(from[2], from[3]);
    bits.z = packBFloats(from[4], from[5]), bits.w = packBFloats(from[6], from[7]);
    *reinterpret_cast<uint4 *>(to) = bits;
}
__device__ __forceinline__ void storeEight(float *to, const float from[8]) {
    reinterpret_cast<float4 *>(to)[0] = float4{from[0], from[1], from[2], from[3]};
    reinterpret_cast<float4 *>(to)[1] = float4{from[4], from[5], from[6], from[7]};
}

__device__ __forceinline__ float warpSum(float value) {
    for (int mask = 16; mask > 0; mask >>= 1) value += shuffleXor(value, mask);
    return value;
}

// The sum over all threads of the block, for every one of them; `scratch` holds 32 floats.
__device__ __forceinline__ float blockSum(float value, float *scratch) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    value = warpSum(value);
    if (lane == 0) scratch[warp] = value;
    __syncthreads();
    float total = 0;
    for (int i = 0; i < warps; i++) total += scratch[i];
    // The next sum may use the same scratch memory.
    __syncthreads();
    return total;
}
