// 3 x 3 convolutions with a padding of 1, channels last: a product whose rows are gathered while they are copied.
//
// Grid: (tiles of 128 outputs, tiles of positions). Channels are a multiple of 8.
#pragma once
#include "gemm.cuh"

// The nine neighbours of output positions: input (dy * 3 + dx) * channels + c.
struct Neighbours {
    struct Start {
        // The batch's first element; null beyond the last position.
        const bfloat *image;
        int y, x;
    };
    const bfloat *images;
    int side, target, stride, channels, first, count;

    __device__ __forceinline__ Start start(int row) const {
        const int position = first + row, batch = position / (target * target);
        if (position >= count) return Start{nullptr, 0, 0};
        return Start{
            images + (size_t)batch * side * side * channels, position / target % target * stride - 1,
            position % target * stride - 1};
    }
    __device__ __forceinline__ const bfloat *at(Start start, int input) const {
        const int tap = input / channels, y = start.y + tap / 3, x = start.x + tap % 3;
        if (!start.image || y < 0 || y >= side || x < 0 || x >= side) return nullptr;
        return start.image + (size_t)(y * side + x) * channels + input % channels;
    }
};

template <class T>
__device__ __forceinline__ void convolve(
    const bfloat *x, const bfloat *w, bfloat *y, int batches, int side, int stride, int channels, int outputs,
    unsigned char *shared) {
    const int target = (side - 1) / stride + 1, count = batches * target * target;
    const int left = blockIdx.x * T::width, top = blockIdx.y * T::height, inputs = 9 * channels;
    T tile;
    tile.multiply(
        Neighbours{x, side, target, stride, channels, top, count}, MatrixRows{w, (size_t)inputs, left, outputs},
        inputs, shared, w);
    storeTile(tile, y, outputs, top, count, left, outputs, nullptr, storeNarrow);
}

// x [batches * side * side, channels], w [outputs, 3, 3, channels], y [batches * s * s, outputs] with
// s = (side - 1) / stride + 1.
#define CONVOLUTION(name, T)                                                                                         \
    KERNEL(T::threads)                                                                                               \
    name(const bfloat *x, const bfloat *w, bfloat *y, int batches, int side, int stride, int channels, int outputs) { \
        DYNAMIC_SHARED(memory);                                                                                      \
        convolve<T>(x, w, y, batches, side, stride, channels, outputs, memory);                                      \
    }
CONVOLUTION(convolve_32, Tile32)
CONVOLUTION(convolve_128, Tile128)
#undef CONVOLUTION
