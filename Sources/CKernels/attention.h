// Attention in blocks, over vectors of WIDTH floats (see vector.h): the scores of a block of keys never leave the cache.

/// row = exp(scale * row + biases - most'), most' being the larger of `most` and all of the row; returns the sum.
INLINE float exponentials(const quire_attention *job, size_t r, size_t seen, float *most) {
    float *row = job->scores + r * job->keys;
    vf times = splat(job->scale), highest = splat(-INFINITY);
    float best = *most;
    if (job->side) {
        const float *columns = job->column_bias + r * job->ld_column;
        for (size_t y = 0; y * job->side < seen; y++) {
            float *line = row + y * job->side;
            vf add = splat(job->line_bias[r * job->ld_line + y]);
            size_t x = 0;
            for (; x + WIDTH <= job->side; x += WIDTH) {
                vf value = fma_(load(line + x), times, load(columns + x) + add);
                store(line + x, value);
                highest = max_(highest, value);
            }
            for (; x < job->side; x++) {
                line[x] = line[x] * job->scale + (job->line_bias[r * job->ld_line + y] + columns[x]);
                best = line[x] > best ? line[x] : best;
            }
        }
    } else {
        size_t i = 0;
        for (; i + WIDTH <= seen; i += WIDTH) {
            vf value = load(row + i) * times;
            store(row + i, value);
            highest = max_(highest, value);
        }
        for (; i < seen; i++) {
            row[i] *= job->scale;
            best = row[i] > best ? row[i] : best;
        }
    }
    float widest = max_of(highest);
    if (widest > best) best = widest;
    *most = best;
    vf total = splat(0), least = splat(best);
    size_t i = 0;
    for (; i + WIDTH <= seen; i += WIDTH) {
        vf value = exp_(load(row + i) - least);
        store(row + i, value);
        total += value;
    }
    float sum = 0;
    if (i < seen) {
        vf value = exp_(load_part(row + i, seen - i, best) - least);
        store_part(row + i, value, seen - i);
        for (size_t j = i; j < seen; j++) sum += row[j];
    }
    return sum_of(total) + sum;
}

#define ATTEND(suffix, type)                                                                                         \
    static void attend_##suffix(const quire_attention *job) {                                                        \
        const type *k = job->k, *v = job->v;                                                                         \
        ptrdiff_t last = job->seen + (ptrdiff_t)(job->rows - 1) * job->seen_step;                                    \
        ptrdiff_t furthest = last > job->seen ? last : job->seen, keys = (ptrdiff_t)job->keys;                       \
        if (furthest <= 0) return;                                                                                   \
        size_t depth = (size_t)(furthest < keys ? furthest : keys);                                                  \
        for (size_t first = 0; first < depth; first += QUIRE_PANEL)                                                  \
            for (size_t r = 0; r < job->rows; r += ROWS)                                                             \
                rows_##suffix(job->rows - r < ROWS ? job->rows - r : ROWS, k + first * job->width, job->width,       \
                              job->q + r * job->ldq, job->ldq, 1, job->scores + r * job->keys + first, job->keys,    \
                              NULL, 0, QUIRE_PANEL);                                                                 \
        for (size_t r = 0; r < job->rows; r++) {                                                                     \
            ptrdiff_t limit = job->seen + (ptrdiff_t)r * job->seen_step;                                             \
            size_t seen = limit <= 0 ? 0 : limit < (ptrdiff_t)depth ? (size_t)limit : depth;                         \
            float *row = job->scores + r * job->keys, *out = job->out + r * job->ldo;                                \
            for (size_t i = seen; i < depth; i++) row[i] = 0;                                                        \
            if (seen == 0) continue;                                                                                 \
            float before = job->most[r];                                                                             \
            float sum = exponentials(job, r, seen, &job->most[r]);                                                   \
            if (job->most[r] > before) {                                                                             \
                vf factor = exp_(splat(before - job->most[r]));                                                      \
                job->sum[r] *= factor[0];                                                                            \
                for (size_t i = 0; i < job->width; i += QUIRE_PANEL)                                                 \
                    UNROLL for (int u = 0; u < VECTORS; u++)                                                         \
                        store(out + i + u * WIDTH, load(out + i + u * WIDTH) * factor);                              \
            }                                                                                                        \
            job->sum[r] += sum;                                                                                      \
        }                                                                                                            \
        for (size_t first = 0; first < job->width; first += QUIRE_PANEL)                                             \
            for (size_t r = 0; r < job->rows; r += ROWS)                                                             \
                rows_##suffix(job->rows - r < ROWS ? job->rows - r : ROWS, v + first / QUIRE_PANEL * job->v_step,    \
                              depth, job->scores + r * job->keys, job->keys, 1, job->out + r * job->ldo + first,     \
                              job->ldo, NULL, 1, QUIRE_PANEL);                                                       \
    }
ATTEND(f32, float)
ATTEND(bf16, uint16_t)
