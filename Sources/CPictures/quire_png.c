#include "quire_png.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

struct quire_png {
    png_structp state;
    png_infop info;
    jmp_buf jump;
    quire_png_facts facts;
    const uint8_t *bytes;
    size_t count, offset;
};

static void fail(png_structp state, png_const_charp message) {
    quire_png *png = png_get_error_ptr(state);
    snprintf(png->facts.message, sizeof png->facts.message, "%s", message);
    png->facts.problem = strstr(message, "memory") || strstr(message, "Memory") || strstr(message, "malloc")
        ? QUIRE_PNG_MEMORY : QUIRE_PNG_DAMAGED;
    longjmp(png->jump, 1);
}

// What libpng warns of is metadata, which does not show, but for the check sum at the end of the pixels.
static void warn(png_structp state, png_const_charp message) {
    quire_png *png = png_get_error_ptr(state);
    if (strncmp(message, "IDAT", 4) != 0 || strstr(message, "Too much") || strstr(message, "Extra")) return;
    png->facts.is_doubtful = 1;
    snprintf(png->facts.message, sizeof png->facts.message, "%s", message);
}

static void copy(png_structp state, png_bytep target, size_t count) {
    quire_png *png = png_get_io_ptr(state);
    if (count > png->count - png->offset) png_error(state, "the file ends too early");
    memcpy(target, png->bytes + png->offset, count);
    png->offset += count;
}

static int is_cut_off(const uint8_t *bytes, size_t count) {
    size_t start = count > 64 ? count - 64 : 0;
    for (size_t at = start; at + 4 <= count; at++) {
        if (memcmp(bytes + at, "IEND", 4) == 0) return 0;
    }
    return 1;
}

quire_png *quire_png_open(const uint8_t *bytes, size_t count) {
    quire_png *png = calloc(1, sizeof *png);
    if (!png) return NULL;
    png->bytes = bytes;
    png->count = count;
    if (setjmp(png->jump)) return png;
    png->state = png_create_read_struct(PNG_LIBPNG_VER_STRING, png, fail, warn);
    if (png->state) png->info = png_create_info_struct(png->state);
    if (!png->info) {
        png->facts.problem = QUIRE_PNG_MEMORY;
        return png;
    }
    png_set_read_fn(png->state, png, copy);
    // Of a file that is cut off every byte that is there counts; otherwise libpng wants 8 KiB at a time.
    if (is_cut_off(bytes, count)) png_set_compression_buffer_size(png->state, 1);
    png_set_user_limits(png->state, 0x7FFFFFFF, 0x7FFFFFFF);
    return png;
}

void quire_png_close(quire_png *png) {
    if (png->state) png_destroy_read_struct(&png->state, &png->info, NULL);
    free(png);
}

const quire_png_facts *quire_png_look(const quire_png *png) { return &png->facts; }

int quire_png_read_head(quire_png *png) {
    if (png->facts.problem) return 0;
    if (setjmp(png->jump)) return 0;
    png_structp state = png->state;
    quire_png_facts *facts = &png->facts;
    png_read_info(state, png->info);
    facts->width = png_get_image_width(state, png->info);
    facts->height = png_get_image_height(state, png->info);
    facts->is_interlaced = png_get_interlace_type(state, png->info) != PNG_INTERLACE_NONE;
    png_uint_32 x = 0, y = 0;
    int unit = 0;
    if (png_get_pHYs(state, png->info, &x, &y, &unit) && unit == PNG_RESOLUTION_METER) {
        facts->x_density = x;
        facts->y_density = y;
    }
    png_set_expand(state);
    png_set_swap(state);
    // All of an interlaced picture is in memory at once.
    if (!facts->is_interlaced) png_set_gray_to_rgb(state);
    facts->passes = png_set_interlace_handling(state);
    png_read_update_info(state, png->info);
    facts->channels = png_get_channels(state, png->info);
    facts->sample_bytes = png_get_bit_depth(state, png->info) / 8;
    facts->row_bytes = png_get_rowbytes(state, png->info);
    return 1;
}

const uint8_t *quire_png_exif(const quire_png *png, size_t *count) {
    png_uint_32 length = 0;
    png_bytep start = NULL;
    if (!png_get_eXIf_1(png->state, png->info, &length, &start)) return NULL;
    *count = length;
    return start;
}

int quire_png_read_row(quire_png *png, uint8_t *row) {
    if (png->facts.problem) return 0;
    if (setjmp(png->jump)) return 0;
    if (png->facts.is_interlaced) png_read_row(png->state, NULL, row);
    else png_read_row(png->state, row, NULL);
    return 1;
}

int quire_png_finish(quire_png *png) {
    if (png->facts.problem) return 0;
    if (setjmp(png->jump)) return 0;
    png_read_end(png->state, png->info);
    return 1;
}
