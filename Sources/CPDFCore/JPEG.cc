#include "JPEG.h"

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>
#include <jerror.h>

namespace {

struct Report {
    jpeg_error_mgr manager;
    jmp_buf exit;
    bool isEarlyEnd;
    // The first warning, and the row at which it came.
    long long row;
    char text[JMSG_LENGTH_MAX];
};

long long rowsDone(j_common_ptr common) {
    auto *info = reinterpret_cast<j_decompress_ptr>(common);
    return common->is_decompressor ? static_cast<long long>(info->output_scanline) : 0;
}

void note(j_common_ptr common) {
    auto *report = reinterpret_cast<Report *>(common->err);
    if (report->row >= 0) return;
    report->row = rowsDone(common);
    common->err->format_message(common, report->text);
}

[[noreturn]] void fail(j_common_ptr common) {
    note(common);
    std::longjmp(reinterpret_cast<Report *>(common->err)->exit, 1);
}

void emit(j_common_ptr common, int level) {
    if (level >= 0) return;
    auto *report = reinterpret_cast<Report *>(common->err);
    // The end marker is often missing where nothing else is: what is missing of the picture is told otherwise.
    if (common->err->msg_code == JWRN_JPEG_EOF) {
        report->isEarlyEnd = true;
        return;
    }
    common->err->num_warnings++;
    note(common);
}

void silent(j_common_ptr) {}

// Of a progressive picture: whether the scans hold every coefficient to its last bit.
bool isComplete(const jpeg_decompress_struct &info) {
    if (!info.progressive_mode || !info.coef_bits) return true;
    for (int component = 0; component < info.num_components; component++) {
        for (int coefficient = 0; coefficient < DCTSIZE2; coefficient++) {
            if (info.coef_bits[component][coefficient] != 0) return false;
        }
    }
    return true;
}

}  // namespace

// No object with a destructor may live here: errors leave by longjmp.
static long long decode(const uint8_t *bytes, size_t count, long long height, Report &report, uint8_t *row) {
    jpeg_decompress_struct info;
    std::memset(&info, 0, sizeof info);
    info.err = jpeg_std_error(&report.manager);
    report.manager.error_exit = fail;
    report.manager.emit_message = emit;
    report.manager.output_message = silent;
    report.row = -1;
    if (setjmp(report.exit)) {
        jpeg_destroy_decompress(&info);
        return report.row < 0 ? 0 : report.row * 8;
    }
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, bytes, count);
    jpeg_read_header(&info, TRUE);
    // An eighth of the rows and columns: all is read, little is computed.
    info.scale_num = 1;
    info.scale_denom = 8;
    info.dct_method = JDCT_IFAST;
    info.do_fancy_upsampling = FALSE;
    info.do_block_smoothing = FALSE;
    info.out_color_space = info.jpeg_color_space;
    long long rows = info.image_height;
    jpeg_start_decompress(&info);
    if (static_cast<size_t>(info.output_width) * info.output_components > (1 << 20)) {
        jpeg_destroy_decompress(&info);
        return -1;
    }
    while (info.output_scanline < info.output_height) jpeg_read_scanlines(&info, &row, 1);
    if (report.row < 0 && report.isEarlyEnd && !isComplete(info)) {
        report.row = 0;
        std::strcpy(report.text, "the last scans of a progressive JPEG are missing");
    }
    if (report.row < 0 && rows * 50 < height * 49) {
        report.row = rows / 8;
        std::snprintf(report.text, sizeof report.text, "the JPEG has %lld of the %lld rows that are stated", rows, height);
    }
    jpeg_destroy_decompress(&info);
    return report.row < 0 ? -1 : report.row * 8;
}

long long rowsOfJPEG(const uint8_t *bytes, size_t count, long long height, std::string &message) {
    // As poppler does: what stands before the start marker is passed over.
    while (count >= 2 && !(bytes[0] == 0xFF && bytes[1] == 0xD8)) {
        const void *next = std::memchr(bytes + 1, 0xFF, count - 1);
        size_t skipped = next ? static_cast<const uint8_t *>(next) - bytes : count;
        bytes += skipped;
        count -= skipped;
    }
    if (count < 2) {
        message = "the JPEG has no start";
        return 0;
    }
    std::string row(1 << 20, 0);
    Report report = {};
    long long rows = decode(bytes, count, height, report, reinterpret_cast<uint8_t *>(row.data()));
    if (rows >= 0) message = report.text;
    return rows;
}
