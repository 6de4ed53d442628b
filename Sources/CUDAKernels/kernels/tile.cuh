// One tile of a product of bfloat16 matrices: rows times weights [out, in], sums in f32.
//
// Shared memory holds `stages` slices of 64 inputs; while one is multiplied the next are on their way (cp.async). Rows
// of a slice are 128 bytes; their 16-byte pieces are exchanged by the row's number, so that neither the copies nor
// ldmatrix meet a bank twice. Every sum goes over the inputs in one order, whatever the tile's size: results do not
// depend on how many rows there are.
#pragma once
#include "device.cuh"

constexpr int sliceInputs = 64;

template <int rows, int columns, int warpRows, int warpColumns, int stages = 3>
struct Tile {
    static constexpr int height = rows, width = columns;
    static constexpr int warpsDown = rows / warpRows, warpsAcross = columns / warpColumns;
    static constexpr int threads = 32 * warpsDown * warpsAcross;
    static constexpr int stageBytes = (rows + columns) * sliceInputs * 2;
    static constexpr int sharedBytes = stages * stageBytes;
    static constexpr int tilesDown = warpRows / 16, tilesAcross = warpColumns / 8;
    // Pieces of 16 bytes that a thread copies of each slice.
    static constexpr int rowsPerPass = threads / 8;
    static constexpr int leftPasses = (rows + rowsPerPass - 1) / rowsPerPass;
    static constexpr int rightPasses = (columns + rowsPerPass - 1) / rowsPerPass;

    float sums[tilesDown][tilesAcross][4];

    static __device__ __forceinline__ unsigned char *piece(unsigned char *slice, int row, int number) {
        return slice + row * (sliceInputs * 2) + ((number ^ (row & 7)) << 4);
    }

    // Multiplies all inputs. `left.start(row)` is what `left.at(start, input)` makes the address of eight inputs from,
    // or null for zeros; `right` alike for the tile's columns. `anywhere` is an address that may be named.
    template <class Left, class Right>
    __device__ __forceinline__ void multiply(
        const Left &left, const Right &right, int inputs, unsigned char *shared, const void *anywhere) {
        const int thread = threadIdx.x, lane = thread % 32, warp = thread / 32;
        const int down = warp / warpsAcross * warpRows, across = warp % warpsAcross * warpColumns;
        const int number = thread % 8, firstRow = thread / 8;
#pragma unroll
        for (int i = 0; i < tilesDown; i++)
#pragma unroll
            for (int j = 0; j < tilesAcross; j++)
#pragma unroll
                for (int k = 0; k < 4; k++) sums[i][j][k] = 0;
        typename Left::Start leftStarts[leftPasses];
        typename Right::Start rightStarts[rightPasses];
#pragma unroll
        for (int i = 0; i < leftPasses; i++) leftStarts[i] = left.start(firstRow + i * rowsPerPass);
#pragma unroll
        for (int i = 0; i < rightPasses; i++) rightStarts[i] = right.start(firstRow + i * rowsPerPass);

        auto fetch = [&](int slice) {
            unsigned char *to = shared + slice % stages * stageBytes;
            const int input = slice * sliceInputs + number * 8;
#pragma unroll
            for (int i = 0; i < leftPasses; i++) {
                const int row = firstRow + i * rowsPerPass;
                if (rows % rowsPerPass != 0 && row >= rows) break;
                const bfloat *from = input < inputs ? left.at(leftStarts[i], input) : nullptr;
                copyAsync(piece(to, row, number), from ? (const void *)from : anywhere, from != nullptr);
            }
#pragma unroll
            for (int i = 0; i < rightPasses; i++) {
                const int row = firstRow + i * rowsPerPass;
                if (columns % rowsPerPass != 0 && row >= columns) break;
                const bfloat *from = input < inputs ? right.at(rightStarts[i], input) : nullptr;
                copyAsync(
                    piece(to + rows * sliceInputs * 2, row, number), from ? (const void *)from : anywhere,
                    from != nullptr);
            }
        };

        const int slices = (inputs + sliceInputs - 1) / sliceInputs;
        for (int slice = 0; slice < stages - 1; slice++) {
            if (slice < slices) fetch(slice);
            copyCommit();
        }
        for (int slice = 0; slice < slices; slice++) {
            copyWait<stages - 2>();
            // Also says that all have done with the stage that is fetched into next.
            __syncthreads();
            if (slice + stages - 1 < slices) fetch(slice + stages - 1);
            copyCommit();
            unsigned char *a = shared + slice % stages * stageBytes, *b = a + rows * sliceInputs * 2;
#pragma unroll
            for (int step = 0; step < sliceInputs / 16; step++) {
                uint32_t leftParts[tilesDown][4], rightParts[tilesAcross / 2][4];
#pragma unroll
                for (int i = 0; i < tilesDown; i++)
                    loadMatrices<false>(
                        leftParts[i], piece(a, down + i * 16 + lane % 16, step * 2 + lane / 16));
#pragma unroll
                for (int j = 0; j < tilesAcross / 2; j++)
                    loadMatrices<false>(
                        rightParts[j],
                        piece(b, across + j * 16 + lane % 8 + lane / 16 * 8, step * 2 + lane / 8 % 2));
#pragma unroll
                for (int i = 0; i < tilesDown; i++)
#pragma unroll
                    for (int j = 0; j < tilesAcross; j++)
                        multiplyMatrices(sums[i][j], leftParts[i], rightParts[j / 2] + j % 2 * 2);
            }
        }
        copyWait<0>();
    }

    // Calls `body(i, half, row)` for each row of the tile that this thread has sums of: those in
    // `sums[i][j][2 * half]` and the next, at columns `column(j)` and the next.
    template <class Body> __device__ __forceinline__ void eachRow(const Body &body) const {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
        for (int i = 0; i < tilesDown; i++)
#pragma unroll
            for (int half = 0; half < 2; half++)
                body(i, half, warp / warpsAcross * warpRows + i * 16 + half * 8 + lane / 4);
    }

    static __device__ __forceinline__ int column(int j) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
        return warp % warpsAcross * warpColumns + j * 8 + lane % 4 * 2;
    }
};

// Rows of a matrix, from `first` on; zeros beyond `count`.
struct MatrixRows {
    typedef const bfloat *Start;
    const bfloat *matrix;
    size_t stride;
    int first, count;

    __device__ __forceinline__ Start start(int row) const {
        return first + row < count ? matrix + (size_t)(first + row) * stride : nullptr;
    }
    __device__ __forceinline__ const bfloat *at(Start start, int input) const {
        return start ? start + input : nullptr;
    }
};

// The tiles that kernels are made for: few rows, as in decoding, up to many.
typedef Tile<16, 128, 16, 32> Tile16;
typedef Tile<32, 128, 32, 32> Tile32;
typedef Tile<64, 128, 32, 64> Tile64;
typedef Tile<128, 128, 32, 64> Tile128;
