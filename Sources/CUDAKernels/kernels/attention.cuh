// The three attentions of many queries: CLIP's blocks, SAM's grids, the decoder's prompts.
#pragma once
#include "flash_attention.cuh"
#include "rope.cuh"

// Waits for what was copied, for all threads.
__device__ __forceinline__ void arrive() {
    copyCommit();
    copyWait<0>();
    __syncthreads();
}

// Rows of a packed matrix [rows, 3 * channels], columns as (q k v, head, element).
struct PlainKeys {
    const bfloat *first;
    size_t stride;
    int channels;
    float scale;

    __device__ __forceinline__ const bfloat *query(int i) const { return first + (size_t)i * stride; }
    __device__ __forceinline__ const bfloat *key(int i) const { return query(i) + channels; }
    __device__ __forceinline__ const bfloat *value(int i) const { return query(i) + 2 * channels; }
    __device__ __forceinline__ float score(float product, int, int) const { return product * scale; }
};

template <int width>
__device__ __forceinline__ void attendBlock(
    const bfloat *qkv, bfloat *out, int tokens, int heads, float scale, unsigned char *memory) {
    const int start = blockIdx.x * tileQueries, head = blockIdx.y, channels = heads * width;
    const size_t batch = blockIdx.z;
    const PlainKeys keys{
        qkv + batch * tokens * 3 * channels + head * width, (size_t)3 * channels, channels, scale * powersOfTwo};
    Flash<width> flash;
    flash.fetch(memory, [&](int i) { return start + i < tokens ? keys.query(start + i) : nullptr; }, qkv);
    arrive();
    flash.begin(memory);
    flash.run(keys, tokens, memory, qkv);
    flash.finish([&](int i) {
        return start + i < tokens ? out + (batch * tokens + start + i) * channels + head * width : nullptr;
    });
}

// SAM's attention over a grid or one of its windows. Keys are n x n; positions of a window outside the grid are those
// of the padding and are attended to.
struct GridKeys {
    // The batch's rows, at this head's queries.
    const bfloat *first, *padding;
    size_t stride;
    int channels, side, n, top, left;
    // [64, biasStride]: what is added for a key's line, then for its column; in the units of scores.
    const float *biases;
    int biasStride;
    float scale;

    __device__ __forceinline__ const bfloat *query(int i) const {
        const int y = top + i / n, x = left + i % n;
        return y < side && x < side ? first + (size_t)(y * side + x) * stride : padding;
    }
    __device__ __forceinline__ const bfloat *key(int i) const { return query(i) + channels; }
    __device__ __forceinline__ const bfloat *value(int i) const { return query(i) + 2 * channels; }
    __device__ __forceinline__ float score(float product, int query, int key) const {
        const float *own = biases + query * biasStride;
        return product * scale + own[key / n] + own[n + key % n];
    }
};

// Products of the queries with a table of relative positions [2 n - 1, width], each put where its key's line or column
// is: offset q - k + n - 1 for a query at q.
template <int width, class Place>
__device__ __forceinline__ void relate(
    const Flash<width> &flash, const bfloat *table, int n, unsigned char *tile, float *biases, int stride,
    const Place &place) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (int start = 0; start < 2 * n - 1; start += 64) {
        flash.fetch(tile, [&](int i) { return start + i < 2 * n - 1 ? table + (size_t)(start + i) * width : nullptr; },
                    table);
        arrive();
        float products[8][4];
        flash.products(products, tile);
#pragma unroll
        for (int j = 0; j < 8; j++) {
#pragma unroll
            for (int k = 0; k < 4; k++) {
                const int query = warp * 16 + lane / 4 + k / 2 * 8;
                const int key = place(query) + n - 1 - (start + j * 8 + lane % 4 * 2 + k % 2);
                if (key >= 0 && key < n) biases[query * stride + key] = products[j][k] * powersOfTwo;
            }
        }
        __syncthreads();
    }
}

template <int width>
__device__ __forceinline__ void attendGrid(
    const bfloat *qkv, const bfloat *padding, const bfloat *heights, const bfloat *widths, bfloat *out, int side,
    int n, int heads, int biasStride, float scale, unsigned char *memory) {
    float *biases = (float *)(memory + Flash<width>::sharedBytes);
    const int windows = (side + n - 1) / n, channels = heads * width;
    const int start = blockIdx.x * tileQueries, head = blockIdx.y, window = blockIdx.z % (windows * windows);
    const size_t batch = blockIdx.z / (windows * windows);
    const GridKeys keys{
        qkv + batch * side * side * 3 * channels + head * width,
        padding + head * width,
        (size_t)3 * channels,
        channels,
        side,
        n,
        window / windows * n,
        window % windows * n,
        biases,
        biasStride,
        scale * powersOfTwo};
    Flash<width> flash;
    flash.fetch(memory, [&](int i) { return start + i < n * n ? keys.query(start + i) : nullptr; }, qkv);
    arrive();
    flash.begin(memory);
    unsigned char *tile = memory + Flash<width>::tileBytes;
    relate<width>(flash, heights, n, tile, biases, biasStride, [&](int i) { return (start + i) / n; });
    relate<width>(flash, widths, n, tile, biases + n, biasStride, [&](int i) { return (start + i) % n; });
    flash.run(keys, n * n, memory, qkv);
    flash.finish([&](int i) -> bfloat * {
        const int y = keys.top + (start + i) / n, x = keys.left + (start + i) % n;
        if (start + i >= n * n || y >= side || x >= side) return nullptr;
        return out + ((batch * side + y) * side + x) * channels + head * width;
    });
}

// The pages of a sequence; query i stands at position `position + i`.
struct PagedKeys {
    const bfloat *keys, *values;
    const int *pages;
    int head, heads, width, position;
    float scale;

    __device__ __forceinline__ const bfloat *key(int i) const { return keys + pagePlace(pages, i, head, heads, width); }
    __device__ __forceinline__ const bfloat *value(int i) const {
        return values + pagePlace(pages, i, head, heads, width);
    }
    __device__ __forceinline__ float score(float product, int query, int key) const {
        return key <= position + query ? product * scale : negativeInfinity();
    }
};

template <int width>
__device__ __forceinline__ void attendPrompt(
    const bfloat *qkv, const bfloat *keys, const bfloat *values, const int *pages, int pagesPerSequence,
    const int *starts, const int *lengths, bfloat *out, int heads, int keyHeads, float scale, unsigned char *memory) {
    // The last queries see the most keys: they go first.
    const int tile = gridDim.x - 1 - blockIdx.x, head = blockIdx.y, sequence = blockIdx.z;
    const int first = starts[sequence], rows = starts[sequence + 1] - first, start = tile * tileQueries;
    if (start >= rows) return;
    const int columns = (heads + 2 * keyHeads) * width, position = lengths[sequence] - rows + start;
    const PagedKeys paged{
        keys, values, pages + (size_t)sequence * pagesPerSequence, head * keyHeads / heads, keyHeads, width, position,
        scale * powersOfTwo};
    Flash<width> flash;
    flash.fetch(
        memory,
        [&](int i) { return start + i < rows ? qkv + (size_t)(first + start + i) * columns + head * width : nullptr; },
        qkv);
    arrive();
    flash.begin(memory);
    flash.run(paged, min(position + tileQueries, lengths[sequence]), memory, qkv);
    flash.finish([&](int i) {
        return start + i < rows ? out + ((size_t)(first + start + i) * heads + head) * width : nullptr;
    });
}

// attend_block: grid (tiles of 64 queries, heads, batches); qkv [batches * tokens, 3 * heads * width], out [batches *
// tokens, heads * width].
//
// attend_grid: grid (tiles of 64 of the n * n queries, heads, batches * windows); qkv [batches * side * side, ...];
// padding [3 * heads * width]; heights and widths [2 n - 1, width]; n is the window's side, or the grid's. Shared
// memory: that of `Flash`, then 64 * biasStride floats, biasStride >= 2 n and 8 more than a multiple of 32.
//
// attend_prompt: grid (tiles of the most queries, heads, sequences); rows starts[s] ..< starts[s + 1] of qkv belong to
// sequence s, whose pages hold lengths[s] tokens, these rows' included.
#define TOWER_ATTENTION(width)                                                                                        \
    KERNEL(128)                                                                                                       \
    attend_block_##width(const bfloat *qkv, bfloat *out, int tokens, int heads, float scale) {                        \
        DYNAMIC_SHARED(memory);                                                                                       \
        attendBlock<width>(qkv, out, tokens, heads, scale, memory);                                                   \
    }                                                                                                                 \
    KERNEL(128)                                                                                                       \
    attend_grid_##width(                                                                                              \
        const bfloat *qkv, const bfloat *padding, const bfloat *heights, const bfloat *widths, bfloat *out, int side, \
        int n, int heads, int biasStride, float scale) {                                                              \
        DYNAMIC_SHARED(memory);                                                                                       \
        attendGrid<width>(qkv, padding, heights, widths, out, side, n, heads, biasStride, scale, memory);             \
    }
#define PROMPT_ATTENTION(width)                                                                                       \
    KERNEL(128)                                                                                                       \
    attend_prompt_##width(                                                                                            \
        const bfloat *qkv, const bfloat *keys, const bfloat *values, const int *pages, int pagesPerSequence,          \
        const int *starts, const int *lengths, bfloat *out, int heads, int keyHeads, float scale) {                   \
        DYNAMIC_SHARED(memory);                                                                                       \
        attendPrompt<width>(                                                                                          \
            qkv, keys, values, pages, pagesPerSequence, starts, lengths, out, heads, keyHeads, scale, memory);        \
    }
// The miniatures have heads of 16, 24 and 32.
TOWER_ATTENTION(16)
TOWER_ATTENTION(24)
TOWER_ATTENTION(32)
TOWER_ATTENTION(64)
#undef TOWER_ATTENTION
PROMPT_ATTENTION(16)
PROMPT_ATTENTION(32)
PROMPT_ATTENTION(64)
PROMPT_ATTENTION(128)
#undef PROMPT_ATTENTION
