#pragma once

#include <stddef.h>
#include <stdint.h>

// libpng behind functions that return: its errors jump within this target only, never across Swift frames.

#ifdef __cplusplus
extern "C" {
#endif

typedef struct quire_png quire_png;

enum quire_png_problem {
    QUIRE_PNG_NONE,
    QUIRE_PNG_DAMAGED,
    QUIRE_PNG_MEMORY,
};

/// What is known of the picture; filled by each function below.
typedef struct {
    uint32_t width, height;
    int32_t is_interlaced;
    /// Of the rows that are read: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha.
    int32_t channels;
    /// Of a sample of the rows that are read: 1, or 2 of the machine's order.
    int32_t sample_bytes;
    size_t row_bytes;
    /// Passes over all rows: 1, or 7 where interlaced.
    int32_t passes;
    /// Dots a metre; 0 where unknown.
    uint32_t x_density, y_density;
    /// Why the last call failed; nothing but quire_png_close may follow.
    enum quire_png_problem problem;
    /// The pixels' check sum is wrong although all were decoded.
    int32_t is_doubtful;
    /// The error, or what is doubtful; empty where there is neither.
    char message[256];
} quire_png_facts;

/// NULL where memory is short. The bytes must outlive the decoder.
quire_png *_Nullable quire_png_open(const uint8_t *_Nonnull bytes, size_t count);
void quire_png_close(quire_png *_Nonnull png);
const quire_png_facts *_Nonnull quire_png_look(const quire_png *_Nonnull png);
/// Reads all before the pixels. 1, or 0 with a problem. Grey pictures that are not interlaced come as RGB.
int quire_png_read_head(quire_png *_Nonnull png);
/// The eXIf block, from the TIFF head on; NULL where there is none. Lives as long as the decoder.
const uint8_t *_Nullable quire_png_exif(const quire_png *_Nonnull png, size_t *_Nonnull count);
/// Reads the next row of row_bytes. Of an interlaced picture the row must hold what the earlier passes left there, and
/// is filled as well as is known so far.
int quire_png_read_row(quire_png *_Nonnull png, uint8_t *_Nonnull row);
/// Reads on to the end of the file after the last row.
int quire_png_finish(quire_png *_Nonnull png);

#ifdef __cplusplus
}
#endif
