#pragma once

#include <stddef.h>
#include <stdint.h>

// libjpeg behind functions that return: its errors jump within this target only, never across Swift frames.

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quire_jpeg quire_jpeg;

enum quire_jpeg_problem {
    QUIRE_JPEG_NONE,
    QUIRE_JPEG_DAMAGED,
    /// Whole, but of a process that libjpeg does not decode.
    QUIRE_JPEG_UNSUPPORTED,
    QUIRE_JPEG_MEMORY,
};

/// What is known of the picture; filled by each function below.
typedef struct {
    /// Of the file, pixels.
    uint32_t width, height;
    int32_t components;
    /// Of the rows that are read: smaller where the scale is.
    uint32_t output_width, output_height;
    /// Why the last call failed; nothing but quire_jpeg_close may follow.
    enum quire_jpeg_problem problem;
    /// Where in the file libjpeg was when it failed, bytes.
    size_t problem_offset;
    /// The error, or else the first warning; empty where there is neither.
    char message[256];
    /// Warnings of all kinds but one: that the file lacks its end.
    int64_t warnings;
    /// The file ends before its end marker.
    int32_t ends_early;
    int32_t has_several_scans;
    /// Of several scans, one with detail or colour is missing or was cut off: the picture is coarser than it was.
    int32_t is_coarse;
    /// 1: dots an inch; 2: dots a centimetre; 0: only their ratio. -1 where the file has no JFIF head.
    int32_t density_unit;
    uint32_t x_density, y_density;
} quire_jpeg_facts;

/// Never NULL but where memory is short. The bytes must outlive the decoder.
quire_jpeg *_Nullable quire_jpeg_open(const uint8_t *_Nonnull bytes, size_t count);
void quire_jpeg_close(quire_jpeg *_Nonnull jpeg);
const quire_jpeg_facts *_Nonnull quire_jpeg_look(const quire_jpeg *_Nonnull jpeg);
/// Reads all before the pixels. 1, or 0 with a problem.
int quire_jpeg_read_head(quire_jpeg *_Nonnull jpeg);
/// The block of the APP1 marker that begins with "Exif\0\0"; NULL where there is none. Lives as long as the decoder.
const uint8_t *_Nullable quire_jpeg_exif(const quire_jpeg *_Nonnull jpeg, size_t *_Nonnull count);
/// Begins to decode at 1/scale (1, 2, 4, 8) of the size: to RGB, or where `as_inks` to four inks. Of a picture of
/// several scans all are read here.
int quire_jpeg_start(quire_jpeg *_Nonnull jpeg, int scale, int as_inks);
/// Reads the next row of output_width x 3 (or 4) bytes.
int quire_jpeg_read_row(quire_jpeg *_Nonnull jpeg, uint8_t *_Nonnull row);
/// Whether the bytes of a row that was read are made up. Final once all rows are read.
int quire_jpeg_row_is_lost(const quire_jpeg *_Nonnull jpeg, uint32_t row);
/// Reads on to the end of the file after the last row.
int quire_jpeg_finish(quire_jpeg *_Nonnull jpeg);

#ifdef __cplusplus
}
#endif
