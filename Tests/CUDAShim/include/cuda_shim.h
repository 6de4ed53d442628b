// A CUDA driver for tests, whose GPU is the processor.
#ifndef QUIRE_CUDA_SHIM_H
#define QUIRE_CUDA_SHIM_H

#include <stddef.h>
#include <stdint.h>

#pragma clang assume_nonnull begin

#ifdef __cplusplus
extern "C" {
#endif

// The driver's functions by the names that libcuda.so.1 exports. Each use of a device gets one of its own, whose memory
// is the processor's.
//
// Work is done as late as a GPU may do it: when the host waits for it. Forwards, a wait does only what it has to;
// backwards, other streams come first as far as events let them, and blocks and their threads take turns from the last
// to the first.
void *_Nullable quire_shim_forwards(const char *symbol);
void *_Nullable quire_shim_backwards(const char *symbol);

// The functions of cuBLASLt that Quire uses, for products on such devices.
void *_Nullable quire_shim_products(const char *symbol);

// What a device has done, valid while the device is open.
typedef struct quire_shim_device quire_shim_device;

// The device that the calling thread used last, or null.
quire_shim_device *_Nullable quire_shim_current(void);

// Sets how much memory the device has; what is taken already counts.
void quire_shim_limit(quire_shim_device *device, size_t bytes);

// Bytes that are taken.
size_t quire_shim_taken(quire_shim_device *device);

// The name of the kernel with this number and how often it ran on the device; null behind the last one.
const char *_Nullable quire_shim_kernel(quire_shim_device *device, size_t number, size_t *launches);

// How often the host waited for the device.
size_t quire_shim_waits(quire_shim_device *device);

// How many products the library made.
size_t quire_shim_product_count(quire_shim_device *device);

// How many graphs were launched.
size_t quire_shim_graphs(quire_shim_device *device);

// Says who hears of what no call reports: writes outside of an allocation, and to memory that was given back.
void quire_shim_report(void (*listener)(const char *sentence));

#ifdef __cplusplus
}
#endif

#pragma clang assume_nonnull end

#endif
