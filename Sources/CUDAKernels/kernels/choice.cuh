// The n-gram rule, and the best token of each row: the head's product, the ban and argmax without scores in memory.
#pragma once
#include "tile.cuh"

// Grid: a block of one warp for each sequence.
//
// Lists what must not come next: each token that would complete one of the n-grams of a sequence's history, without the
// exempt ones. plans [sequences, 4]: where a sequence's history begins in `histories`, its tokens, how many exempt tokens
// follow them, and the n-grams' size. banned [sequences, capacity] in the n-grams' order, counts [sequences]. As many as
// `capacity` are kept.
KERNEL(32)
ban_ngrams(const int *plans, const int *histories, int *banned, int *counts, int capacity) {
    const int sequence = blockIdx.x, lane = threadIdx.x;
    const int *plan = plans + 4 * sequence, *tokens = histories + plan[0];
    const int length = plan[1], exemptCount = plan[2], size = plan[3], last = length - size;
    const int *exempt = tokens + length;
    int found = 0;
    if (size >= 2 && last >= 0) {
        const int *tail = tokens + last + 1;
        for (int start = 0; start <= last; start += 32) {
            bool isBanned = start + lane <= last;
            // The last token differs most often.
            for (int i = size - 2; i >= 0 && isBanned; i--) isBanned = tokens[start + lane + i] == tail[i];
            const int token = isBanned ? tokens[start + lane + size - 1] : 0;
            for (int i = 0; i < exemptCount; i++) isBanned = isBanned && token != exempt[i];
            const uint32_t bits = warpBallot(isBanned);
            const int place = found + bitCount(bits & ((1u << lane) - 1));
            if (isBanned && place < capacity) banned[(size_t)sequence * capacity + place] = token;
            found += bitCount(bits);
        }
    }
    if (lane == 0) counts[sequence] = min(found, capacity);
}

// A score and its token; none yet where the token is the largest number.
struct Choice {
    float score;
    int token;

    static __device__ __forceinline__ Choice none() { return Choice{negativeInfinity(), 0x7fffffff}; }
    // Takes a better one; of equal ones the lower token.
    __device__ __forceinline__ void meet(float otherScore, int otherToken) {
        if (otherScore > score || (otherScore == score && otherToken < token))
            score = otherScore, token = otherToken;
    }
};

// The best of a tile's outputs for each of its rows.
template <class T>
__device__ __forceinline__ void chooseInTile(
    const bfloat *x, const bfloat *w, const int *banned, const int *counts, int capacity, float *bestScores,
    int *bestTokens, int rows, int inputs, int outputs, unsigned char *shared) {
    const int left = blockIdx.x * T::width, top = blockIdx.y * T::height, lane = threadIdx.x % 32;
    constexpr int words = T::width / 32;
    SHARED uint32_t bans[T::height * words];
    SHARED float scores[T::height * T::warpsAcross];
    SHARED int tokens[T::height * T::warpsAcross];
    for (int i = threadIdx.x; i < T::height * words; i += blockDim.x) bans[i] = 0;
    __syncthreads();
    for (int place = threadIdx.x / 32; place < T::height && top + place < rows; place += T::threads / 32) {
        const int *own = banned + (size_t)(top + place) * capacity;
        for (int i = lane; i < counts[top + place]; i += 32) {
            const int column = own[i] - left;
            if (column >= 0 && column < T::width) orShared(&bans[place * words + column / 32], 1u << column % 32);
        }
    }
    // The product's first barrier makes the bans everybody's.
    T tile;
    tile.multiply(
        MatrixRows{x, (size_t)inputs, top, rows}, MatrixRows{w, (size_t)inputs, left, outputs}, inputs, shared, w);
    const int across = threadIdx.x / 32 % T::warpsAcross;
    tile.eachRow([&](int i, int half, int place) {
        Choice best = Choice::none();
#pragma unroll
        for (int j = 0; j < T::tilesAcross; j++) {
#pragma unroll
            for (int k = 0; k < 2; k++) {
                const int column = T::column(j) + k;
                const bool isOut = bans[place * words + column / 32] >> column % 32 & 1;
                if (!isOut && left + column < outputs) best.meet(tile.sums[i][j][2 * half + k], left + column);
            }
        }
        // The four threads that share the row.
        for (int mask = 1; mask < 4; mask <<= 1) {
            const float score = shuffleXor(best.score, mask);
            const int token = shuffleXor(best.token, mask);
            best.meet(score, token);
        }
        if (lane % 4 == 0) {
            scores[place * T::warpsAcross + across] = best.score;
            tokens[place * T::warpsAcross + across] = best.token;
        }
    });
    __syncthreads();
    for (int place = threadIdx.x; place < T::height && top + place < rows; place += T::threads) {
        Choice best = Choice::none();
        for (int i = 0; i < T::warpsAcross; i++)
            best.meet(scores[place * T::warpsAcross + i], tokens[place * T::warpsAcross + i]);
        bestScores[(size_t)(top + place) * gridDim.x + blockIdx.x] = best.score;
        bestTokens[(size_t)(top + place) * gridDim.x + blockIdx.x] = best.token;
    }
}

// Grid: (tiles of 128 outputs, tiles of rows). x [rows, inputs], w [outputs, inputs]; banned and counts as `ban_ngrams`
// leaves them; bestScores and bestTokens [rows, tiles of outputs].
#define CHOICE(name, T)                                                                                               \
    KERNEL(T::threads)                                                                                                \
    name(                                                                                                             \
        const bfloat *x, const bfloat *w, const int *banned, const int *counts, int capacity, float *bestScores,      \
        int *bestTokens, int rows, int inputs, int outputs) {                                                         \
        DYNAMIC_SHARED(memory);                                                                                       \
        chooseInTile<T>(                                                                                              \
            x, w, banned, counts, capacity, bestScores, bestTokens, rows, inputs, outputs, memory);                   \
    }
CHOICE(choose_16, Tile16)
CHOICE(choose_32, Tile32)
CHOICE(choose_64, Tile64)
CHOICE(choose_128, Tile128)
#undef CHOICE

// Grid: a block of one warp for each row: the best of its tiles; 0 where everything is banned.
KERNEL(32) choose_best(const float *bestScores, const int *bestTokens, int tiles, int *tokens) {
    const size_t row = blockIdx.x;
    Choice best = Choice::none();
    for (int i = threadIdx.x; i < tiles; i += 32) best.meet(bestScores[row * tiles + i], bestTokens[row * tiles + i]);
    for (int mask = 16; mask > 0; mask >>= 1) {
        const float score = shuffleXor(best.score, mask);
        const int token = shuffleXor(best.token, mask);
        best.meet(score, token);
    }
    if (threadIdx.x == 0) tokens[row] = best.token == 0x7fffffff ? 0 : best.token;
}
