#include "quire_jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

struct quire_jpeg {
    struct jpeg_decompress_struct state;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
    quire_jpeg_facts facts;
    size_t count;
    // A byte for each row of MCUs: whether its data are missing.
    uint8_t *lost;
    uint32_t lost_count;
    // While a segment is without data: the row of MCUs up to which that is marked.
    int is_losing;
    uint32_t marked;
};

static quire_jpeg *of(j_common_ptr state) { return state->client_data; }

static enum quire_jpeg_problem problem(const struct jpeg_error_mgr *errors) {
    switch (errors->msg_code) {
    case JERR_OUT_OF_MEMORY:
    case JERR_NO_BACKING_STORE:
        return QUIRE_JPEG_MEMORY;
    case JERR_SOF_UNSUPPORTED:
    case JERR_ARITH_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
        return QUIRE_JPEG_UNSUPPORTED;
    case JERR_BAD_PRECISION:
        // 12 bits a sample, and lossless files of 2 to 16.
        return errors->msg_parm.i[0] > 1 && errors->msg_parm.i[0] <= 16 ? QUIRE_JPEG_UNSUPPORTED : QUIRE_JPEG_DAMAGED;
    case JERR_UNKNOWN_MARKER:
        // SOF55: JPEG-LS.
        return errors->msg_parm.i[0] == 0xF7 ? QUIRE_JPEG_UNSUPPORTED : QUIRE_JPEG_DAMAGED;
    default:
        return QUIRE_JPEG_DAMAGED;
    }
}

static void fail(j_common_ptr state) {
    quire_jpeg *jpeg = of(state);
    char text[JMSG_LENGTH_MAX];
    state->err->format_message(state, text);
    snprintf(jpeg->facts.message, sizeof jpeg->facts.message, "%s", text);
    jpeg->facts.problem = problem(state->err);
    if (jpeg->state.src) jpeg->facts.problem_offset = jpeg->count - jpeg->state.src->bytes_in_buffer;
    longjmp(jpeg->jump, 1);
}

static void mark(quire_jpeg *jpeg, uint32_t from, uint32_t to) {
    for (uint32_t row = from; row < to && row < jpeg->lost_count; row++) jpeg->lost[row] = 1;
}

// A segment has no more data, and libjpeg goes on with zeros.
static void segment_ends(quire_jpeg *jpeg) {
    struct jpeg_decompress_struct *state = &jpeg->state;
    uint32_t row = state->input_iMCU_row;
    if (!jpeg->facts.has_several_scans) {
        mark(jpeg, row, row + 1);
        jpeg->is_losing = 1;
        jpeg->marked = row + 1;
        return;
    }
    // Only the first pass over the first component (brightness) decides whether there is a picture at all.
    int has_first = 0;
    for (int i = 0; i < state->comps_in_scan; i++) has_first |= state->cur_comp_info[i]->component_index == 0;
    if (!has_first || state->Ss != 0 || state->Ah != 0) {
        jpeg->facts.is_coarse = 1;
        return;
    }
    int restarts = state->unread_marker >= 0xD0 && state->unread_marker <= 0xD7;
    mark(jpeg, row, restarts ? row + 1 : jpeg->lost_count);
}

static void warn(j_common_ptr state, int level) {
    if (level >= 0) return;
    quire_jpeg *jpeg = of(state);
    int code = state->err->msg_code;
    // Where all rows have come nothing that shows is missing with the end marker, which many programs never wrote;
    // where they have not, the segment ends too early and says so by a warning of its own.
    if (code == JWRN_JPEG_EOF) {
        jpeg->facts.ends_early = 1;
        return;
    }
    if (jpeg->facts.warnings++ == 0) {
        char text[JMSG_LENGTH_MAX];
        state->err->format_message(state, text);
        snprintf(jpeg->facts.message, sizeof jpeg->facts.message, "%s", text);
    }
    if (code == JWRN_HIT_MARKER && jpeg->lost) segment_ends(jpeg);
}

static void say_nothing(j_common_ptr state) { (void)state; }

quire_jpeg *quire_jpeg_open(const uint8_t *bytes, size_t count) {
    quire_jpeg *jpeg = calloc(1, sizeof *jpeg);
    if (!jpeg) return NULL;
    jpeg->count = count;
    jpeg->facts.density_unit = -1;
    jpeg->state.err = jpeg_std_error(&jpeg->errors);
    jpeg->errors.error_exit = fail;
    jpeg->errors.emit_message = warn;
    jpeg->errors.output_message = say_nothing;
    jpeg->state.client_data = jpeg;
    if (setjmp(jpeg->jump)) return jpeg;
    jpeg_create_decompress(&jpeg->state);
    // Keeps the client's pointer and the error manager, as libjpeg promises.
    jpeg_mem_src(&jpeg->state, bytes, count);
    jpeg_save_markers(&jpeg->state, JPEG_APP0 + 1, 0xFFFF);
    return jpeg;
}

void quire_jpeg_close(quire_jpeg *jpeg) {
    jpeg_destroy_decompress(&jpeg->state);
    free(jpeg->lost);
    free(jpeg);
}

const quire_jpeg_facts *quire_jpeg_look(const quire_jpeg *jpeg) { return &jpeg->facts; }

int quire_jpeg_read_head(quire_jpeg *jpeg) {
    if (jpeg->facts.problem) return 0;
    if (setjmp(jpeg->jump)) return 0;
    jpeg_read_header(&jpeg->state, TRUE);
    quire_jpeg_facts *facts = &jpeg->facts;
    facts->width = jpeg->state.image_width;
    facts->height = jpeg->state.image_height;
    facts->components = jpeg->state.num_components;
    facts->has_several_scans = jpeg_has_multiple_scans(&jpeg->state);
    if (jpeg->state.saw_JFIF_marker) facts->density_unit = jpeg->state.density_unit;
    facts->x_density = jpeg->state.X_density;
    facts->y_density = jpeg->state.Y_density;
    return 1;
}

const uint8_t *quire_jpeg_exif(const quire_jpeg *jpeg, size_t *count) {
    for (jpeg_saved_marker_ptr marker = jpeg->state.marker_list; marker; marker = marker->next) {
        if (marker->data_length < 6 || memcmp(marker->data, "Exif\0\0", 6) != 0) continue;
        *count = marker->data_length;
        return marker->data;
    }
    return NULL;
}

// Of several scans, whether some never came: asked for only where the file has no end.
static int lacks_scans(const struct jpeg_decompress_struct *state) {
    for (int i = 0; i < state->num_components; i++) {
        if (!state->comp_info[i].quant_table) return 1;
        if (!state->progressive_mode || !state->coef_bits) continue;
        // The bits of each coefficient that are still missing; -1 where it never came.
        for (int k = 0; k < DCTSIZE2; k++)
            if (state->coef_bits[i][k] != 0) return 1;
    }
    return 0;
}

int quire_jpeg_start(quire_jpeg *jpeg, int scale, int as_inks) {
    if (jpeg->facts.problem) return 0;
    struct jpeg_decompress_struct *state = &jpeg->state;
    uint32_t rows = (uint32_t)(state->max_v_samp_factor > 0 ? state->max_v_samp_factor : 1) * DCTSIZE;
    jpeg->lost_count = (state->image_height + rows - 1) / rows;
    jpeg->lost = calloc(jpeg->lost_count ? jpeg->lost_count : 1, 1);
    if (!jpeg->lost) {
        jpeg->facts.problem = QUIRE_JPEG_MEMORY;
        return 0;
    }
    if (setjmp(jpeg->jump)) return 0;
    state->scale_num = 1;
    state->scale_denom = (unsigned)scale;
    state->out_color_space = as_inks ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(state);
    jpeg->facts.output_width = state->output_width;
    jpeg->facts.output_height = state->output_height;
    if (jpeg->facts.has_several_scans && jpeg->facts.ends_early && lacks_scans(state)) jpeg->facts.is_coarse = 1;
    return 1;
}

int quire_jpeg_read_row(quire_jpeg *jpeg, uint8_t *row) {
    if (jpeg->facts.problem) return 0;
    if (setjmp(jpeg->jump)) return 0;
    JSAMPROW rows[1] = {row};
    if (jpeg_read_scanlines(&jpeg->state, rows, 1) != 1) {
        jpeg->facts.problem = QUIRE_JPEG_DAMAGED;
        return 0;
    }
    if (jpeg->is_losing) {
        uint32_t reached = jpeg->state.input_iMCU_row;
        // A restart marker was found: data go on within the row of MCUs that is read now.
        if (jpeg->state.unread_marker == 0) jpeg->is_losing = 0;
        if (reached > jpeg->marked || jpeg->is_losing) mark(jpeg, jpeg->marked, reached);
        if (reached > jpeg->marked) jpeg->marked = reached;
    }
    return 1;
}

int quire_jpeg_row_is_lost(const quire_jpeg *jpeg, uint32_t row) {
    if (!jpeg->lost) return 1;
    uint64_t scaled = (uint64_t)row * jpeg->state.scale_denom;
    uint64_t at = scaled / ((uint64_t)jpeg->state.max_v_samp_factor * DCTSIZE);
    return at < jpeg->lost_count && jpeg->lost[at];
}

int quire_jpeg_finish(quire_jpeg *jpeg) {
    if (jpeg->facts.problem) return 0;
    if (setjmp(jpeg->jump)) return 0;
    jpeg_finish_decompress(&jpeg->state);
    return 1;
}
