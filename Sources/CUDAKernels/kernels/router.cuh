// The router: softmax over all experts and the best few of each row.
#pragma once
#include "device.cuh"

// Rows that a block reads the router's weights for.
constexpr int routerRows = 8;

// Grid: a block of 256 threads for each 8 rows. Shared memory: 8 * (inputs + experts) floats.
//
// x [rows, inputs] bf16, gate [experts, inputs] f32, indices and weights [rows, count], best first. Ties go to the
// lower index. Weights are the chances times `scale`, divided by their sum before that where `isNormalised`.
KERNEL(256)
route_rows(
    const bfloat *x, const float *gate, int *indices, float *weights, int rows, int inputs, int experts, int count,
    int isNormalised, float scale) {
    DYNAMIC_SHARED(memory);
    float *lines = (float *)memory, *scores = lines + routerRows * inputs;
    const int first = blockIdx.x * routerRows, own = min(routerRows, rows - first);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    for (int i = threadIdx.x * 8; i < routerRows * inputs; i += blockDim.x * 8) {
        float values[8] = {};
        if (i < own * inputs) loadEight(x + (size_t)first * inputs + i, values);
        storeEight(lines + i, values);
    }
    __syncthreads();
    for (int expert = warp; expert < experts; expert += blockDim.x / 32) {
        float sums[routerRows] = {};
        for (int i = lane; i < inputs; i += 32) {
            const float w = gate[(size_t)expert * inputs + i];
#pragma unroll
            for (int r = 0; r < routerRows; r++) sums[r] += w * lines[r * inputs + i];
        }
#pragma unroll
        for (int r = 0; r < routerRows; r++) {
            const float sum = warpSum(sums[r]);
            if (lane == 0) scores[r * experts + expert] = sum;
        }
    }
    __syncthreads();
    // From here on a warp is a row's.
    if (warp >= own) return;
    float *line = scores + warp * experts;
    float most = negativeInfinity();
    for (int e = lane; e < experts; e += 32) most = fmaxf(most, line[e]);
    for (int mask = 16; mask > 0; mask >>= 1) most = fmaxf(most, shuffleXor(most, mask));
    float sum = 0;
    for (int e = lane; e < experts; e += 32) sum += expf(line[e] - most);
    sum = warpSum(sum);
    float chosen = 0;
    for (int place = 0; place < count; place++) {
        float best = negativeInfinity();
        int expert = experts;
        for (int e = lane; e < experts; e += 32)
            if (line[e] > best || (line[e] == best && e < expert)) best = line[e], expert = e;
        for (int mask = 16; mask > 0; mask >>= 1) {
            const float other = shuffleXor(best, mask);
            const int index = shuffleXor(expert, mask);
            if (other > best || (other == best && index < expert)) best = other, expert = index;
        }
        const float chance = expf(best - most) / sum;
        chosen += chance;
        if (lane == 0) {
            indices[(size_t)(first + warp) * count + place] = expert;
            weights[(size_t)(first + warp) * count + place] = chance;
        }
        // A lane takes only experts of its own away: nobody else reads them.
        if (expert % 32 == lane) line[expert] = negativeInfinity();
    }
    __syncwarp();
    const float factor = isNormalised ? scale / chosen : scale;
    for (int place = lane; place < count; place += 32) weights[(size_t)(first + warp) * count + place] *= factor;
}

// Grid: a block of 256 threads for each expert. Shared memory: 2 * experts ints.
//
// Sorts the slots (row, place) of a routing by expert, in their order: `order[p]` is the slot at sorted place p,
// `places[slot]` the inverse, `offsets` [experts + 1]. `tiles` [tileCount, 2] are an expert and the first of at most
// `tileRows` sorted places that a block multiplies with its weights; -1 where no tile is left.
KERNEL(256)
sort_by_expert(
    const int *experts, int slots, int count, int tileRows, int *offsets, int *order, int *places, int *tiles,
    int tileCount) {
    DYNAMIC_SHARED(memory);
    int *counts = (int *)memory;
    SHARED int warpCounts[8];
    const int me = blockIdx.x, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int e = threadIdx.x; e < count; e += blockDim.x) counts[e] = 0;
    __syncthreads();
    for (int slot = threadIdx.x; slot < slots; slot += blockDim.x) addShared(&counts[experts[slot]], 1);
    __syncthreads();
    // Few experts: every thread adds them up for itself.
    int first = 0, firstTile = 0, allTiles = 0;
    for (int e = 0; e < count; e++) {
        const int tilesOf = (counts[e] + tileRows - 1) / tileRows;
        if (e < me) first += counts[e], firstTile += tilesOf;
        allTiles += tilesOf;
    }
    const int own = counts[me];
    if (threadIdx.x == 0) {
        offsets[me] = first;
        if (me == count - 1) offsets[count] = first + own;
    }
    for (int t = threadIdx.x; t < (own + tileRows - 1) / tileRows; t += blockDim.x) {
        tiles[2 * (firstTile + t)] = me;
        tiles[2 * (firstTile + t) + 1] = first + t * tileRows;
    }
    if (me == 0)
        for (int t = allTiles + threadIdx.x; t < tileCount; t += blockDim.x) tiles[2 * t] = -1, tiles[2 * t + 1] = 0;
    int next = first;
    for (int start = 0; start < slots; start += blockDim.x) {
        const int slot = start + threadIdx.x;
        const bool isOwn = slot < slots && experts[slot] == me;
        const uint32_t bits = warpBallot(isOwn);
        if (lane == 0) warpCounts[warp] = bitCount(bits);
        __syncthreads();
        int before = next;
        for (int w = 0; w < 8; w++) {
            if (w < warp) before += warpCounts[w];
            next += warpCounts[w];
        }
        if (isOwn) {
            const int place = before + bitCount(bits & ((1u << lane) - 1));
            order[place] = slot;
            places[slot] = place;
        }
        __syncthreads();
    }
}
