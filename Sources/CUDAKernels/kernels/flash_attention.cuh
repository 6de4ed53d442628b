// Attention of many queries in tiles of 64 x 64, with a running softmax: scores never reach memory.
//
// 4 warps, 16 queries each. Keys and values of the next tile are on their way while one is used. What the keys are,
// and what is added to scores, is the `Keys` type's business: plain blocks of rows, SAM's windows and grids with
// relative positions, or a sequence's pages.
#pragma once
#include "tile.cuh"

constexpr int tileQueries = 64, tileKeys = 64;

template <int width>
struct Flash {
    // A head's width, with zeros behind it up to what mma takes.
    static constexpr int padded = (width + 15) / 16 * 16;
    // Elements between rows in shared memory, in pieces of 16 bytes; a narrow head's rows are as wide as 64 elements,
    // for the exchange of pieces to have room.
    static constexpr int rowPieces = padded < 64 ? 8 : padded / 8;
    static constexpr int tileBytes = 64 * rowPieces * 16;
    // Queries, and two stages of keys and values.
    static constexpr int sharedBytes = 5 * tileBytes;
    static constexpr int steps = padded / 16;

    uint32_t queries[steps][4];
    float out[padded / 8][4];
    // Of this thread's two rows: the largest score so far and the sum of powers.
    float most[2], sum[2];

    static __device__ __forceinline__ unsigned char *piece(unsigned char *tile, int row, int number) {
        return tile + row * (rowPieces * 16) + ((number ^ (row & 7)) << 4);
    }

    // Copies 64 rows; `row(i)` is the address of row i, or null for zeros.
    template <class Row>
    static __device__ __forceinline__ void fetch(unsigned char *tile, const Row &row, const void *anywhere) {
        constexpr int pieces = padded / 8;
        for (int i = threadIdx.x; i < 64 * pieces; i += 128) {
            const bfloat *from = i % pieces < width / 8 ? row(i / pieces) : nullptr;
            copyAsync(
                piece(tile, i / pieces, i % pieces), from ? (const void *)(from + i % pieces * 8) : anywhere,
                from != nullptr);
        }
    }

    __device__ __forceinline__ void begin(unsigned char *tile) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
        for (int step = 0; step < steps; step++)
            loadMatrices<false>(queries[step], piece(tile, warp * 16 + lane % 16, step * 2 + lane / 16));
#pragma unroll
        for (int i = 0; i < padded / 8; i++) out[i][0] = out[i][1] = out[i][2] = out[i][3] = 0;
        most[0] = most[1] = negativeInfinity();
        sum[0] = sum[1] = 0;
    }

    // Products of this warp's queries with 64 rows: scores[j] at rows lane / 4 (+ 8), columns 8 j + lane % 4 * 2 (+ 1).
    __device__ __forceinline__ void products(float scores[8][4], unsigned char *tile) const {
        const int lane = threadIdx.x % 32;
#pragma unroll
        for (int j = 0; j < 8; j++) scores[j][0] = scores[j][1] = scores[j][2] = scores[j][3] = 0;
#pragma unroll
        for (int step = 0; step < steps; step++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                uint32_t part[4];
                loadMatrices<false>(part, piece(tile, j * 16 + lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2));
                multiplyMatrices(scores[2 * j], queries[step], part);
                multiplyMatrices(scores[2 * j + 1], queries[step], part + 2);
            }
        }
    }

    // One tile of a running softmax; scores are in units whose power of two is meant, minus infinity where masked.
    __device__ __forceinline__ void add(float scores[8][4], unsigned char *values) {
        const int lane = threadIdx.x % 32;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float best = most[half];
#pragma unroll
            for (int j = 0; j < 8; j++) best = fmaxf(best, fmaxf(scores[j][2 * half], scores[j][2 * half + 1]));
            best = fmaxf(best, shuffleXor(best, 1));
            best = fmaxf(best, shuffleXor(best, 2));
            // A row that has seen no key yet stays as it is.
            const float base = best == negativeInfinity() ? 0 : best;
            const float shrink = fastExp2(most[half] - base);
            most[half] = best;
            float total = 0;
#pragma unroll
            for (int j = 0; j < 8; j++) {
#pragma unroll
                for (int k = 2 * half; k < 2 * half + 2; k++) {
                    scores[j][k] = fastExp2(scores[j][k] - base);
                    total += scores[j][k];
                }
            }
            sum[half] = sum[half] * shrink + total;
#pragma unroll
            for (int i = 0; i < padded / 8; i++) out[i][2 * half] *= shrink, out[i][2 * half + 1] *= shrink;
        }
#pragma unroll
        for (int step = 0; step < 4; step++) {
            // The layout of sums is that of the left operand.
            uint32_t shares[4];
            shares[0] = packBFloats(scores[2 * step][0], scores[2 * step][1]);
            shares[1] = packBFloats(scores[2 * step][2], scores[2 * step][3]);
            shares[2] = packBFloats(scores[2 * step + 1][0], scores[2 * step + 1][1]);
            shares[3] = packBFloats(scores[2 * step + 1][2], scores[2 * step + 1][3]);
#pragma unroll
            for (int i = 0; i < padded / 16; i++) {
                uint32_t part[4];
                loadMatrices<true>(part, piece(values, step * 16 + lane % 16, i * 2 + lane / 16));
                multiplyMatrices(out[2 * i], shares, part);
                multiplyMatrices(out[2 * i + 1], shares, part + 2);
            }
        }
    }

    // Runs over keys 0 ..< count; `keys` knows where rows lie and what becomes of a product.
    template <class Keys>
    __device__ __forceinline__ void run(const Keys &keys, int count, unsigned char *shared, const void *anywhere) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, tiles = (count + tileKeys - 1) / tileKeys;
        auto fetchTile = [&](int number) {
            unsigned char *to = shared + (1 + number % 2 * 2) * tileBytes;
            fetch(to, [&](int i) { return number * tileKeys + i < count ? keys.key(number * tileKeys + i) : nullptr; },
                  anywhere);
            fetch(to + tileBytes,
                  [&](int i) { return number * tileKeys + i < count ? keys.value(number * tileKeys + i) : nullptr; },
                  anywhere);
            copyCommit();
        };
        fetchTile(0);
        for (int number = 0; number < tiles; number++) {
            if (number + 1 < tiles) {
                fetchTile(number + 1);
                copyWait<1>();
            } else {
                copyWait<0>();
            }
            __syncthreads();
            unsigned char *tile = shared + (1 + number % 2 * 2) * tileBytes;
            float scores[8][4];
            products(scores, tile);
#pragma unroll
            for (int j = 0; j < 8; j++) {
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    const int key = number * tileKeys + j * 8 + lane % 4 * 2 + k % 2;
                    const int query = warp * 16 + lane / 4 + k / 2 * 8;
                    scores[j][k] = key < count ? keys.score(scores[j][k], query, key) : negativeInfinity();
                }
            }
            add(scores, tile + tileBytes);
            // The tile after the next goes where this one is.
            __syncthreads();
        }
    }

    // Writes this thread's parts of its two rows; `row(query)` is where a row goes, or null.
    template <class Row> __device__ __forceinline__ void finish(const Row &row) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float total = sum[half];
            total += shuffleXor(total, 1);
            total += shuffleXor(total, 2);
            const float inverse = total > 0 ? 1 / total : 0;
            bfloat *to = row(warp * 16 + lane / 4 + half * 8);
            if (!to) continue;
#pragma unroll
            for (int i = 0; i < width / 8; i++)
                *(uint32_t *)(to + i * 8 + lane % 4 * 2) =
                    packBFloats(out[i][2 * half] * inverse, out[i][2 * half + 1] * inverse);
        }
    }
};

// What turns powers of e into powers of two.
constexpr float powersOfTwo = 1.4426950408889634f;
