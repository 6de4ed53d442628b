// How weights, keys and values get into panels (kernels.h), and where random weights come from.
#ifndef QUIRE_PACKING_H
#define QUIRE_PACKING_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

/// The element types of a checkpoint and of panels.
typedef enum quire_type { QUIRE_F32 = 0, QUIRE_BF16 = 1, QUIRE_F16 = 2, QUIRE_INT8 = 3 } quire_type;

/// Packs up to 16 rows of a matrix, `from` being the first and `depth` elements from one to the next, into one panel
/// of type `to_type`; missing rows become zeros. f32 is rounded to bfloat16 to the nearest even; f16 is packed only as
/// f16, f32 or int8. For int8 each row is divided by its largest element / 127, which goes to `scales` (16 floats).
void quire_pack_panel(const void *from, quire_type from_type, size_t rows, size_t depth, void *to, quire_type to_type,
                      float *_Nullable scales);

/// Puts one key or value of `width` floats into place `slot` of panels for `capacity` keys (a multiple of 16):
/// keys as panel[width][16 keys], values as panel[capacity][16 of width], f32 or bfloat16.
void quire_put_key(const float *from, size_t width, void *panels, quire_type type, size_t slot);
void quire_put_value(const float *from, size_t width, void *panels, quire_type type, size_t capacity, size_t slot);

/// Fills with bfloat16 numbers spread evenly in [centre - width, centre + width), from a counter-based hash:
/// element i depends on seed and first + i only, so parts can be filled in any order.
void quire_fill_random_bf16(uint16_t *to, size_t count, uint64_t seed, uint64_t first, float centre, float width);

#pragma clang assume_nonnull end

#endif
