// Products with packed weights, over vectors of WIDTH floats (see vector.h for how this text is used).
//
// A panel holds 16 outputs side by side: panel[k][16], so that a kernel reads one sequential stream whatever the number of
// rows. Each result is one chain of fused multiply-adds in the order of k: it does not depend on how many rows or threads
// there are. int8 panels hold pairs of inputs, panel[k / 2][16][2], for the pairwise multiply-add; its sums are exact.

#define VECTORS (QUIRE_PANEL / WIDTH)
#define UNROLL _Pragma("clang loop unroll(full)")

typedef int16_t vh16 __attribute__((vector_size(4 * WIDTH)));
typedef int8_t vb16 __attribute__((vector_size(2 * WIDTH)));

// Rows that a kernel keeps sums of in registers.
#if WIDTH == 8
#define ROWS 6
#else
#define ROWS 12
#endif

/// What becomes of a tile's sums: y = bias + sum or y += sum, for the columns that exist.
INLINE void finish(vf sum, float *y, const float *bias, int add, size_t columns) {
    if (columns >= WIDTH) {
        if (add) sum += load(y);
        if (bias) sum += load(bias);
        store(y, sum);
        return;
    }
    if (columns == 0) return;
    if (add) sum += load_part(y, columns, 0);
    if (bias) sum += load_part(bias, columns, 0);
    store_part(y, sum, columns);
}

#define PRODUCT(suffix, type)                                                                                        \
    INLINE void tile_##suffix(const int rows, const type *w, size_t depth, const float *x, size_t row_step,          \
                              size_t depth_step, float *y, size_t ldy, const float *bias, int add, size_t columns) { \
        vf sum[ROWS][VECTORS];                                                                                       \
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < VECTORS; v++) sum[r][v] = splat(0);         \
        for (size_t k = 0; k < depth; k++) {                                                                         \
            vf b[VECTORS];                                                                                           \
            UNROLL for (int v = 0; v < VECTORS; v++) b[v] = load_##suffix(w + k * QUIRE_PANEL + v * WIDTH);          \
            if (rows <= 4) __builtin_prefetch(w + k * QUIRE_PANEL + PREFETCH / sizeof(type));                        \
            UNROLL for (int r = 0; r < rows; r++) {                                                                  \
                vf a = splat(x[r * row_step + k * depth_step]);                                                      \
                UNROLL for (int v = 0; v < VECTORS; v++) sum[r][v] = fma_(a, b[v], sum[r][v]);                       \
            }                                                                                                        \
        }                                                                                                            \
        UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < VECTORS; v++) finish(                       \
            sum[r][v], y + r * ldy + v * WIDTH, bias ? bias + v * WIDTH : NULL, add,                                 \
            v * WIDTH < (int)columns ? columns - v * WIDTH : 0);                                                          \
    }                                                                                                                \
    static void rows_##suffix(size_t rows, const type *w, size_t depth, const float *x, size_t row_step,             \
                              size_t depth_step, float *y, size_t ldy, const float *bias, int add, size_t columns) { \
        switch (rows) { TILES(TILE_CASE, suffix) }                                                                              \
    }

#define TILE_CASE(suffix, count)                                                                                     \
    case count: tile_##suffix(count, w, depth, x, row_step, depth_step, y, ldy, bias, add, columns); break;
#if WIDTH == 8
#define TILES(CASE, suffix)                                                                                          \
    CASE(suffix, 1) CASE(suffix, 2) CASE(suffix, 3) CASE(suffix, 4) CASE(suffix, 5) CASE(suffix, 6)
#else
#define TILES(CASE, suffix)                                                                                          \
    CASE(suffix, 1) CASE(suffix, 2) CASE(suffix, 3) CASE(suffix, 4) CASE(suffix, 5) CASE(suffix, 6)                  \
    CASE(suffix, 7) CASE(suffix, 8) CASE(suffix, 9) CASE(suffix, 10) CASE(suffix, 11) CASE(suffix, 12)
#endif
// Bytes of quantised rows that stay in a core's second cache while panels pass through it.
#define CACHED_ROWS (320u << 10)
// How far ahead, in bytes, a kernel that waits for memory asks for weights.
#define PREFETCH 1024
PRODUCT(f32, float)
PRODUCT(bf16, uint16_t)
PRODUCT(f16, uint16_t)

// Up to so many rows are read where they stand; more are packed first, and the weights widened once for all of them.
#ifndef DIRECT_ROWS
#define DIRECT_ROWS (8 * ROWS)
#endif

/// How many rows a tile takes of those that are left: as equal parts as can be, since a tile of few rows waits longer for
/// its weights.
INLINE size_t tile_rows(size_t left) {
    size_t tiles = (left + ROWS - 1) / ROWS;
    return (left + tiles - 1) / tiles;
}

/// Packs rows of x as [rows / ROWS][depth][ROWS], so that a tile reads them in one stream.
static void pack_rows(const float *x, size_t ldx, size_t rows, size_t depth, float *to) {
    for (size_t first = 0; first < rows; first += ROWS) {
        size_t count = rows - first < ROWS ? rows - first : ROWS;
        const float *from = x + first * ldx;
        for (size_t k = 0; k < depth; k++, to += ROWS)
            for (size_t r = 0; r < count; r++) to[r] = from[r * ldx + k];
    }
}

// Few rows go straight through the panels, each of which is read once. Many rows go in blocks: a block's rows are packed a
// slice of the depth at a time, and a slice of a panel is widened once for all rows of the block.
#define PRODUCT_BLOCKED(suffix, type, is_wide)                                                                       \
    static void product_##suffix(const quire_product *job, float *scratch) {                                         \
        const type *w = job->w;                                                                                      \
        size_t depth = job->depth;                                                                                   \
        size_t slices = (depth + QUIRE_SLICE - 1) / QUIRE_SLICE, slice = (depth + slices - 1) / slices;              \
        if (job->rows <= DIRECT_ROWS) {                                                                              \
            for (size_t p = 0; p < job->panels; p++)                                                                 \
                for (size_t first = 0; first < depth; first += slice)                                                \
                    for (size_t r = 0, n; r < job->rows; r += n)                                                     \
                        rows_##suffix(n = tile_rows(job->rows - r), w + p * job->panel_step + first * QUIRE_PANEL,   \
                                      depth - first < slice ? depth - first : slice, job->x + r * job->ldx + first,  \
                                      job->ldx, 1, job->y + r * job->ldy + p * QUIRE_PANEL, job->ldy,                \
                                      job->bias && first == 0 ? job->bias + p * QUIRE_PANEL : NULL,                  \
                                      job->add || first > 0, job->columns - p * QUIRE_PANEL);                        \
            return;                                                                                                  \
        }                                                                                                            \
        float *wide = scratch + QUIRE_BLOCK * QUIRE_SLICE;                                                           \
        for (size_t top = 0; top < job->rows; top += QUIRE_BLOCK) {                                                  \
            size_t rows = job->rows - top < QUIRE_BLOCK ? job->rows - top : QUIRE_BLOCK;                             \
            for (size_t first = 0; first < depth; first += slice) {                                                  \
                size_t count = depth - first < slice ? depth - first : slice;                                        \
                pack_rows(job->x + top * job->ldx + first, job->ldx, rows, count, scratch);                          \
                for (size_t p = 0; p < job->panels; p++) {                                                           \
                    const type *panel = w + p * job->panel_step + first * QUIRE_PANEL;                               \
                    const float *floats = (const float *)panel;                                                      \
                    if (!is_wide) {                                                                                  \
                        for (size_t i = 0; i < count * QUIRE_PANEL; i += WIDTH)                                      \
                            store(wide + i, load_##suffix(panel + i));                                               \
                        floats = wide;                                                                               \
                    }                                                                                                \
                    float *y = job->y + top * job->ldy + p * QUIRE_PANEL;                                            \
                    const float *bias = job->bias && first == 0 ? job->bias + p * QUIRE_PANEL : NULL;                \
                    for (size_t r = 0; r < rows; r += ROWS)                                                          \
                        rows_f32(rows - r < ROWS ? rows - r : ROWS, floats, count, scratch + r * count, 1, ROWS,     \
                                 y + r * job->ldy, job->ldy, bias, job->add || first > 0,                            \
                                 job->columns - p * QUIRE_PANEL);                                                    \
                }                                                                                                    \
            }                                                                                                        \
        }                                                                                                            \
    }
PRODUCT_BLOCKED(f32, float, 1)
PRODUCT_BLOCKED(bf16, uint16_t, 0)
PRODUCT_BLOCKED(f16, uint16_t, 0)

#if WIDTH == 8
#define MULTIPLY_PAIRS(sum, a, b) ((sum) + (vi)__builtin_ia32_pmaddwd256((short __attribute__((vector_size(32))))(a), \
                                                                         (short __attribute__((vector_size(32))))(b)))
#elif defined(VNNI)
#define MULTIPLY_PAIRS(sum, a, b) ((vi)__builtin_ia32_vpdpwssd512((sum), (vi)(a), (vi)(b)))
#else
#define MULTIPLY_PAIRS(sum, a, b) ((sum) + (vi)__builtin_ia32_pmaddwd512((short __attribute__((vector_size(64))))(a), \
                                                                         (short __attribute__((vector_size(64))))(b)))
#endif

INLINE vh16 load_int8(const int8_t *from) {
    vb16 bytes;
    memcpy(&bytes, from, sizeof bytes);
    return __builtin_convertvector(bytes, vh16);
}

INLINE void tile_int8(const int rows, const int8_t *w, size_t pairs, const int16_t *x, size_t ldx, const float *x_scales,
                      const float *w_scales, float *y, size_t ldy, const float *bias, int add, size_t columns) {
    vi sum[ROWS][VECTORS];
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < VECTORS; v++) sum[r][v] = (vi){0};
    for (size_t k = 0; k < pairs; k++) {
        vh16 b[VECTORS];
        UNROLL for (int v = 0; v < VECTORS; v++) b[v] = load_int8(w + (k * QUIRE_PANEL + v * WIDTH) * 2);
        if (rows <= 4) __builtin_prefetch(w + k * QUIRE_PANEL * 2 + PREFETCH);
        UNROLL for (int r = 0; r < rows; r++) {
            int32_t pair;
            memcpy(&pair, x + r * ldx + 2 * k, sizeof pair);
            vi a = pair - (vi){0};
            UNROLL for (int v = 0; v < VECTORS; v++) sum[r][v] = MULTIPLY_PAIRS(sum[r][v], a, b[v]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int v = 0; v < VECTORS; v++) finish(
        __builtin_convertvector(sum[r][v], vf) * (load(w_scales + v * WIDTH) * splat(x_scales[r])),
        y + r * ldy + v * WIDTH, bias ? bias + v * WIDTH : NULL, add, v * WIDTH < (int)columns ? columns - v * WIDTH : 0);
}

static void rows_int8(size_t rows, const int8_t *w, size_t pairs, const int16_t *x, size_t ldx, const float *x_scales,
                      const float *w_scales, float *y, size_t ldy, const float *bias, int add, size_t columns) {
#define INT8_CASE(suffix, count)                                                                                     \
    case count: tile_int8(count, w, pairs, x, ldx, x_scales, w_scales, y, ldy, bias, add, columns); break;
    switch (rows) { TILES(INT8_CASE, int8) }
}

static void product_int8(const quire_product *job, float *unused) {
    (void)unused;
    const int8_t *w = job->w;
    size_t pairs = (job->depth + 1) / 2, ldx = 2 * pairs;
    // Equal blocks of rows that stay in a core's cache beside a panel.
    size_t blocks = (job->rows * ldx * sizeof(int16_t) + CACHED_ROWS - 1) / CACHED_ROWS;
    size_t block = (job->rows + blocks * ROWS - 1) / (blocks * ROWS) * ROWS;
    for (size_t top = 0; top < job->rows; top += block) {
        size_t rows = job->rows - top < block ? job->rows - top : block;
        for (size_t p = 0; p < job->panels; p++) {
            float *y = job->y + top * job->ldy + p * QUIRE_PANEL;
            const float *bias = job->bias ? job->bias + p * QUIRE_PANEL : NULL;
            for (size_t r = 0, n; r < rows; r += n)
                rows_int8(n = tile_rows(rows - r), w + p * job->panel_step, pairs,
                          job->quantised + (top + r) * ldx, ldx, job->row_scales + top + r,
                          job->column_scales + p * QUIRE_PANEL, y + r * job->ldy, job->ldy, bias, job->add,
                          job->columns - p * QUIRE_PANEL);
        }
    }
}

static float quantise(const float *x, size_t count, int16_t *to, float limit) {
    vf most = splat(0);
    float best = 0;
    size_t i = 0;
    for (; i + WIDTH <= count; i += WIDTH) most = max_(most, (vf)((vi)load(x + i) & 0x7FFFFFFF));
    for (; i < count; i++) best = fabsf(x[i]) > best ? fabsf(x[i]) : best;
    float widest = max_of(most);
    if (widest > best) best = widest;
    float inverse = best > 0 ? limit / best : 0;
    for (i = 0; i + WIDTH <= count; i += WIDTH) {
        vs shorts = __builtin_convertvector(
            __builtin_convertvector(__builtin_elementwise_roundeven(load(x + i) * splat(inverse)), vi), vs);
        memcpy(to + i, &shorts, sizeof shorts);
    }
    for (; i < count; i++) to[i] = (int16_t)rintf(x[i] * inverse);
    if (count & 1) to[count] = 0;
    return best / limit;
}
