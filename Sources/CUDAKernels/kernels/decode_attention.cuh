// Attention from one new token of each sequence to its pages of keys and values.
//
// Grid: (query heads, sequences), 4 warps. A warp takes every fourth page. A token's row is read by width / 8 lanes, 16
// bytes each, so that a warp's load is one stretch of memory; each group of lanes keeps a running softmax of its own
// tokens and nothing is exchanged between groups before the end.
#pragma once
#include "rope.cuh"

template <int width>
__device__ __forceinline__ void attendPages(
    const bfloat *qkv, const bfloat *keys, const bfloat *values, const int *pages, int pagesPerSequence,
    const int *lengths, bfloat *out, int heads, int keyHeads, float scale) {
    constexpr int lanes = width / 8, groups = 32 / lanes, steps = pageTokens / groups, warps = 4;
    // Tokens whose rows are on their way at once.
    constexpr int together = steps < 8 ? steps : 8;
    SHARED float sums[warps * groups][width];
    SHARED float mosts[warps * groups], weights[warps * groups];
    const int head = blockIdx.x, sequence = blockIdx.y, keyHead = head * keyHeads / heads;
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = lane / lanes, place = lane % lanes * 8;
    const int length = lengths[sequence];
    const int *own = pages + (size_t)sequence * pagesPerSequence;
    float query[8], total[8] = {}, most = negativeInfinity(), weight = 0;
    loadEight(qkv + ((size_t)sequence * (heads + 2 * keyHeads) + head) * width + place, query);
    // Powers of two are cheaper than those of e.
    for (int j = 0; j < 8; j++) query[j] *= scale * 1.4426950408889634f;

    for (int page = warp; page * pageTokens < length; page += warps) {
        const size_t base = ((size_t)own[page] * keyHeads + keyHead) * pageTokens * width + place;
        const int valid = length - page * pageTokens;
#pragma unroll
        for (int start = 0; start < steps; start += together) {
            float scores[together], best = most;
            uint4 rows[together];
#pragma unroll
            for (int i = 0; i < together; i++) {
                const int token = (start + i) * groups + group;
                rows[i] = uint4{0, 0, 0, 0};
                if (token < valid) rows[i] = *(const uint4 *)(keys + base + (size_t)token * width);
            }
#pragma unroll
            for (int i = 0; i < together; i++) {
                const uint4 row = rows[i];
                float score = query[0] * lowFloat(row.x) + query[1] * highFloat(row.x) + query[2] * lowFloat(row.y) +
                              query[3] * highFloat(row.y) + query[4] * lowFloat(row.z) + query[5] * highFloat(row.z) +
                              query[6] * lowFloat(row.w) + query[7] * highFloat(row.w);
#pragma unroll
                for (int mask = 1; mask < lanes; mask <<= 1) score += shuffleXor(score, mask);
                const int token = (start + i) * groups + group;
                scores[i] = token < valid ? score : negativeInfinity();
                best = fmaxf(best, scores[i]);
            }
            if (best == negativeInfinity()) continue;
#pragma unroll
            for (int i = 0; i < together; i++) {
                const int token = (start + i) * groups + group;
                rows[i] = uint4{0, 0, 0, 0};
                if (token < valid) rows[i] = *(const uint4 *)(values + base + (size_t)token * width);
            }
            const float shrink = fastExp2(most - best);
            most = best;
            weight *= shrink;
#pragma unroll
            for (int j = 0; j < 8; j++) total[j] *= shrink;
#pragma unroll
            for (int i = 0; i < together; i++) {
                const float share = fastExp2(scores[i] - most);
                const uint4 row = rows[i];
                weight += share;
                total[0] += share * lowFloat(row.x), total[1] += share * highFloat(row.x);
                total[2] += share * lowFloat(row.y), total[3] += share * highFloat(row.y);
                total[4] += share * lowFloat(row.z), total[5] += share * highFloat(row.z);
                total[6] += share * lowFloat(row.w), total[7] += share * highFloat(row.w);
            }
        }
    }

    const int part = warp * groups + group;
#pragma unroll
    for (int j = 0; j < 8; j++) sums[part][place + j] = total[j];
    if (place == 0) mosts[part] = most, weights[part] = weight;
    __syncthreads();
    for (int element = threadIdx.x * 2; element < width; element += blockDim.x * 2) {
        float best = negativeInfinity(), all = 0, first = 0, second = 0;
        for (int i = 0; i < warps * groups; i++) best = fmaxf(best, mosts[i]);
        for (int i = 0; i < warps * groups; i++) {
            if (mosts[i] == negativeInfinity()) continue;
            const float factor = fastExp2(mosts[i] - best);
            all += weights[i] * factor;
            first += sums[i][element] * factor;
            second += sums[i][element + 1] * factor;
        }
        const float inverse = all > 0 ? 1 / all : 0;
        *(uint32_t *)(out + ((size_t)sequence * heads + head) * width + element) =
            packBFloats(first * inverse, second * inverse);
    }
}

// qkv [sequences, (heads + 2 keyHeads) * width], queries turned by `rope_write`; keys and values of a layer, pages
// [sequences, pagesPerSequence]; lengths [sequences] count the new token; out [sequences, heads * width].
#define DECODE_ATTENTION(name, width)                                                                              \
    KERNEL(128)                                                                                                    \
    name(                                                                                                          \
        const bfloat *qkv, const bfloat *keys, const bfloat *values, const int *pages, int pagesPerSequence,       \
        const int *lengths, bfloat *out, int heads, int keyHeads, float scale) {                                   \
        attendPages<width>(                                                                                        \
            qkv, keys, values, pages, pagesPerSequence, lengths, out, heads, keyHeads, scale);                     \
    }
DECODE_ATTENTION(decode_attention_16, 16)
DECODE_ATTENTION(decode_attention_32, 32)
DECODE_ATTENTION(decode_attention_64, 64)
DECODE_ATTENTION(decode_attention_128, 128)
#undef DECODE_ATTENTION
