// Runs CUDA kernels on a processor, so that their logic is tested where there is no GPU.
//
// Each thread of a block is a fiber; fibers take turns and change places only at barriers and warp-wide operations. A
// warp runs until it meets a barrier of the whole block, so that warps are as far apart as they may be. What a kernel
// forgets shows: shared memory begins as NaNs, and a barrier that not all threads reach ends the launch with a message.
// Forwards, copies of `copyAsync` arrive only when they are waited for; backwards, where the last block and the last
// thread come first, they arrive at once. Each processor runs a block at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(8) uint2 {
    uint32_t x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

using std::max;
using std::min;

namespace shim {

constexpr int warpSize = 32;

struct PendingCopy {
    void *to;
    const void *from;
};

inline void arrive(const PendingCopy &copy) {
    if (copy.from) memcpy(copy.to, copy.from, 16);
    else memset(copy.to, 0, 16);
}

struct Fiber {
    void *stack = nullptr;
    std::unique_ptr<unsigned char[]> memory;
    bool isDone = false;
    dim3 thread;
    // Copies that are on their way, and where each committed group of them ends.
    std::vector<PendingCopy> copies;
    std::vector<size_t> groups;
};

// What a warp exchanges: a slot for each lane going in and coming out.
struct Warp {
    long generation = 0;
    int arrived = 0;
    int alive = 0;
    uint32_t in[warpSize][8];
    uint32_t out[warpSize][8];
};

struct Block {
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    std::vector<unsigned char> shared;
    dim3 grid, block, index;
    const std::function<void()> *body = nullptr;
    void *mainStack = nullptr;
    int count = 0, current = 0, alive = 0, arrived = 0;
    long generation = 0, idle = 0;
    bool isReversed = false;
    std::string failure;
};

extern constinit thread_local Block *running;

void leave();
void yieldInWarp();
void syncBlock();
inline Warp &warp() { return running->warps[(unsigned)running->current / warpSize]; }
inline int lane() { return (int)((unsigned)running->current % warpSize); }

// Waits for all lanes of the warp; the last one runs `work` before the others go on.
template <class Work> void together(Work work) {
    Warp &own = warp();
    const long generation = own.generation;
    if (++own.arrived == own.alive) {
        work(own);
        own.arrived = 0;
        own.generation++;
        running->idle = 0;
    } else {
        while (own.generation == generation) yieldInWarp();
    }
}

template <class T, class Source> T exchange(T value, Source source) {
    static_assert(sizeof(T) <= 8, "a slot holds eight bytes");
    Warp &own = warp();
    const int me = lane();
    memcpy(own.in[me], &value, sizeof value);
    together([](Warp &w) { memcpy(w.out, w.in, sizeof w.in); });
    const int from = source(me);
    T result = value;
    if (from >= 0 && from < warpSize) memcpy(&result, own.out[from], sizeof result);
    return result;
}

inline float widen(uint16_t bits) {
    const uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, 4);
    return value;
}

// Compiled twice. AVX2 has no fused additions: sums are the same either way.
#if defined(__x86_64__)
#define VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define VECTORISED
#endif

// What `multiplyMatrices` does for a warp: a and b come in, the sums go out.
VECTORISED void multiplyFragments(Warp &warp);

// Runs a grid on all processors. `body` runs a thread.
void launch(dim3 grid, dim3 block, size_t sharedBytes, bool isReversed, const std::function<void()> &body);
// What the last launch of this thread did wrong, or null.
const char *failure();

}  // namespace shim

#define __device__
#define __forceinline__ inline
#define __restrict__
#define threadIdx (shim::running->fibers[shim::running->current].thread)
#define blockIdx (shim::running->index)
#define blockDim (shim::running->block)
#define gridDim (shim::running->grid)
#define SHARED static thread_local
#define KERNEL(threads) extern "C" void
#define DYNAMIC_SHARED(name) \
    unsigned char *name = (unsigned char *)(((uintptr_t)shim::running->shared.data() + 127) & ~(uintptr_t)127)

inline void __syncthreads() { shim::syncBlock(); }
inline void __syncwarp() { shim::together([](shim::Warp &) {}); }

template <class T> T shuffleXor(T value, int mask) {
    return shim::exchange(value, [=](int lane) { return lane ^ mask; });
}
template <class T> T shuffleUp(T value, int by) {
    return shim::exchange(value, [=](int lane) { return lane - by; });
}
template <class T> T shuffleFrom(T value, int lane) {
    return shim::exchange(value, [=](int) { return lane; });
}
inline uint32_t warpBallot(bool isSet) {
    shim::Warp &own = shim::warp();
    own.in[shim::lane()][0] = isSet ? 1 : 0;
    shim::together([](shim::Warp &w) {
        uint32_t bits = 0;
        for (int i = 0; i < shim::warpSize; i++) bits |= w.in[i][0] << i;
        for (int i = 0; i < shim::warpSize; i++) w.out[i][0] = bits;
    });
    return own.out[shim::lane()][0];
}
inline int bitCount(uint32_t bits) { return __builtin_popcount(bits); }
inline int addShared(int *place, int value) {
    const int old = *place;
    *place += value;
    return old;
}
inline void orShared(uint32_t *place, uint32_t bits) { *place |= bits; }
inline float fastExp(float x) { return expf(x); }
inline float fastExp2(float x) { return exp2f(x); }
inline float inverseRoot(float x) { return 1 / sqrtf(x); }
inline float addProduct(float a, float b, float c) { return a + b * c; }

inline uint32_t packBFloats(float low, float high) {
    auto round = [](float value) -> uint32_t {
        uint32_t bits;
        memcpy(&bits, &value, 4);
        if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
        return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    };
    return round(low) | round(high) << 16;
}

inline void checkAligned(const void *place, int bytes) {
    if ((uintptr_t)place % bytes != 0 && shim::running->failure.empty())
        shim::running->failure = "an access of " + std::to_string(bytes) + " bytes is not aligned";
}

// Asynchronous copies, which arrive as late as they may, or at once.
inline void copyAsync(void *shared, const void *global, bool isValid) {
    checkAligned(shared, 16);
    checkAligned(global, 16);
    const shim::PendingCopy copy{shared, isValid ? global : nullptr};
    if (shim::running->isReversed) shim::arrive(copy);
    else shim::running->fibers[shim::running->current].copies.push_back(copy);
}
inline void copyCommit() {
    auto &fiber = shim::running->fibers[shim::running->current];
    fiber.groups.push_back(fiber.copies.size());
}
template <int pending> void copyWait() {
    auto &fiber = shim::running->fibers[shim::running->current];
    if (fiber.groups.size() <= (size_t)pending) return;
    const auto firstLeft = fiber.groups.end() - pending;
    const size_t end = firstLeft[-1];
    for (size_t i = 0; i < end; i++) shim::arrive(fiber.copies[i]);
    fiber.copies.erase(fiber.copies.begin(), fiber.copies.begin() + (ptrdiff_t)end);
    fiber.groups.erase(fiber.groups.begin(), firstLeft);
    for (size_t &group : fiber.groups) group -= end;
}

// Four 8 x 8 matrices of bfloat16: lane 8 i + r gives the address of row r of matrix i (PTX ISA, ldmatrix).
template <bool isTransposed> void loadMatrices(uint32_t registers[4], const void *row) {
    checkAligned(row, 16);
    shim::Warp &own = shim::warp();
    const int me = shim::lane();
    memcpy(own.in[me], &row, sizeof row);
    shim::together([](shim::Warp &w) {
        for (int matrix = 0; matrix < 4; matrix++) {
            uint16_t values[8][8];
            for (int r = 0; r < 8; r++) {
                const void *from;
                memcpy(&from, w.in[8 * matrix + r], sizeof from);
                memcpy(values[r], from, 16);
            }
            for (int lane = 0; lane < 32; lane++) {
                const int r = lane / 4, c = lane % 4 * 2;
                const uint32_t low = isTransposed ? values[c][r] : values[r][c];
                const uint32_t high = isTransposed ? values[c + 1][r] : values[r][c + 1];
                w.out[lane][matrix] = low | high << 16;
            }
        }
    });
    memcpy(registers, own.out[me], 16);
}

// d += a b for a [16, 16] and b [16, 8], in the fragments of mma.m16n8k16 (PTX ISA).
inline void multiplyMatrices(float d[4], const uint32_t a[4], const uint32_t b[2]) {
    shim::Warp &own = shim::warp();
    const int me = shim::lane();
    memcpy(own.in[me], a, 16);
    memcpy(own.in[me] + 4, b, 8);
    shim::together(shim::multiplyFragments);
    for (int i = 0; i < 4; i++) {
        float sum;
        memcpy(&sum, &own.out[me][i], 4);
        d[i] += sum;
    }
}
