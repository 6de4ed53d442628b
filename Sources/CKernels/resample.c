#include "resample.h"

// Integer work: every clone gives the same bytes.
#if defined(__x86_64__) && defined(__linux__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

enum { fraction_bits = 22, column_block = 64 };

static inline uint8_t rounded(int32_t sum) {
    int32_t value = sum >> fraction_bits;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

void quire_resample_row(
    const uint8_t *in, uint8_t *out, ptrdiff_t width, const int32_t *first, const int32_t *count, const int32_t *taps,
    ptrdiff_t stride) {
    for (ptrdiff_t x = 0; x < width; x++) {
        const uint8_t *pixel = in + 3 * (ptrdiff_t)first[x];
        const int32_t *tap = taps + x * stride;
        int32_t r = 1 << (fraction_bits - 1), g = r, b = r;
        for (int32_t t = 0; t < count[x]; t++, pixel += 3) {
            r += tap[t] * pixel[0];
            g += tap[t] * pixel[1];
            b += tap[t] * pixel[2];
        }
        out[3 * x] = rounded(r);
        out[3 * x + 1] = rounded(g);
        out[3 * x + 2] = rounded(b);
    }
}

CLONES void quire_resample_column(
    const uint8_t *rows, ptrdiff_t capacity, ptrdiff_t row_bytes, ptrdiff_t first, const int32_t *taps, ptrdiff_t count,
    uint8_t *out) {
    int32_t sums[column_block];
    for (ptrdiff_t start = 0; start < row_bytes; start += column_block) {
        ptrdiff_t n = row_bytes - start < column_block ? row_bytes - start : column_block;
        for (ptrdiff_t x = 0; x < n; x++) sums[x] = 1 << (fraction_bits - 1);
        for (ptrdiff_t t = 0; t < count; t++) {
            const uint8_t *row = rows + ((first + t) % capacity) * row_bytes + start;
            int32_t tap = taps[t];
            for (ptrdiff_t x = 0; x < n; x++) sums[x] += tap * row[x];
        }
        for (ptrdiff_t x = 0; x < n; x++) out[start + x] = rounded(sums[x]);
    }
}
