#ifndef QUIRE_RESAMPLE_H
#define QUIRE_RESAMPLE_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

// Both passes of a resize of RGB bytes in 22-bit fixed point (MODEL.md section 3). A result is
// clamp((2^21 + sum_t taps[t] * in[t]) >> 22, 0, 255); taps sum to about 2^22, so 32 bits hold every partial sum.

/// One row, along the row. `in` holds RGB triples; result x uses `count[x]` of them from `first[x]` on, with the weights at
/// `taps + x * stride`. `out` takes `width` triples and must not overlap `in`.
void quire_resample_row(
    const uint8_t *in, uint8_t *out, ptrdiff_t width, const int32_t *first, const int32_t *count, const int32_t *taps,
    ptrdiff_t stride);

/// One row, across rows. `rows` is a ring of `capacity` rows of `row_bytes` bytes: row r of the image lies at
/// `rows + (r % capacity) * row_bytes`. The result uses `count` rows from `first` on; `out` takes `row_bytes` bytes.
void quire_resample_column(
    const uint8_t *rows, ptrdiff_t capacity, ptrdiff_t row_bytes, ptrdiff_t first, const int32_t *taps, ptrdiff_t count,
    uint8_t *out);

#pragma clang assume_nonnull end

#endif
