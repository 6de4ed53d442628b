// Rows brought together: patches of pixels, rows from anywhere, columns side by side.
#pragma once
#include "device.cuh"

// Grid: a block for each patch. The patches of square views, [views * grid * grid, 3 * patch * patch], columns as
// (channel, y, x); bytes u become (u / 255 - 0.5) / 0.5. pixels [views, side, side, 3].
KERNEL(256) cut_patches(const uint8_t *pixels, bfloat *out, int side, int patch) {
    const int grid = side / patch, size = 3 * patch * patch;
    const size_t number = blockIdx.x;
    const int place = (int)(number % ((size_t)grid * grid));
    const uint8_t *view = pixels + number / ((size_t)grid * grid) * side * side * 3;
    const uint8_t *corner = view + ((size_t)(place / grid * patch) * side + place % grid * patch) * 3;
    for (int i = threadIdx.x * 2; i < size; i += blockDim.x * 2) {
        float pair[2];
        for (int j = 0; j < 2; j++) {
            const int channel = (i + j) / (patch * patch), y = (i + j) / patch % patch, x = (i + j) % patch;
            pair[j] = (corner[((size_t)y * side + x) * 3 + channel] / 255.0f - 0.5f) / 0.5f;
        }
        *(uint32_t *)(out + number * size + i) = packBFloats(pair[0], pair[1]);
    }
}

// Grid: a block for each row. Row i of the result is the row at address `rows[i]`, `pieces` of 16 bytes long: image
// positions with newlines and the separator between them, embeddings of tokens, last rows of sequences.
KERNEL(128) gather_rows(const uint4 *const *rows, uint4 *out, int pieces) {
    const uint4 *from = rows[blockIdx.x];
    uint4 *to = out + (size_t)blockIdx.x * pieces;
    for (int i = threadIdx.x; i < pieces; i += blockDim.x) to[i] = from[i];
}

// Grid: a block for each row. Row i of the result, bf16, is row `ids[i]` of the table [vocabulary, columns].
KERNEL(128) embed_tokens(const int *ids, const bfloat *table, bfloat *out, int columns) {
    const uint4 *from = (const uint4 *)(table + (size_t)ids[blockIdx.x] * columns);
    uint4 *to = (uint4 *)(out + (size_t)blockIdx.x * columns);
    for (int i = threadIdx.x; i < columns / 8; i += blockDim.x) to[i] = from[i];
}

// Grid: a block for each row. The columns of `left`, then those of `right`, in pieces of 16 bytes.
KERNEL(128) join_columns(const uint4 *left, const uint4 *right, uint4 *out, int leftPieces, int rightPieces) {
    const size_t row = blockIdx.x;
    const int pieces = leftPieces + rightPieces;
    for (int i = threadIdx.x; i < pieces; i += blockDim.x)
        out[row * pieces + i] = i < leftPieces ? left[row * leftPieces + i] : right[row * rightPieces + i - leftPieces];
}
