#include "code.h"
#include "cuda_kernels.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// The driver's types and numbers that are used here, by its documentation: handles are pointers, results are ints.
typedef int result;
typedef struct context *context;
typedef struct module *module;
typedef struct function *function;
typedef struct stream *stream;

enum {
    success = 0,
    outOfMemory = 2,
    noBinary = 209,
    unsupportedCode = 222,
    noDevice = 100,
    multiprocessorCount = 16,
    capabilityMajor = 75,
    capabilityMinor = 76,
    dynamicSharedLimit = 8,
};

#define CALLS(X)                                                                                                  \
    X(Init, "cuInit", (unsigned))                                                                                 \
    X(DriverGetVersion, "cuDriverGetVersion", (int *))                                                            \
    X(GetErrorString, "cuGetErrorString", (result, const char **))                                                \
    X(DeviceGetCount, "cuDeviceGetCount", (int *))                                                                \
    X(DeviceGet, "cuDeviceGet", (int *, int))                                                                     \
    X(DeviceGetName, "cuDeviceGetName", (char *, int, int))                                                       \
    X(DeviceGetAttribute, "cuDeviceGetAttribute", (int *, int, int))                                              \
    X(PrimaryRetain, "cuDevicePrimaryCtxRetain", (context *, int))                                                \
    X(PrimaryRelease, "cuDevicePrimaryCtxRelease_v2", (int))                                                      \
    X(SetCurrent, "cuCtxSetCurrent", (context))                                                                   \
    X(ModuleLoadData, "cuModuleLoadData", (module *, const void *))                                               \
    X(ModuleUnload, "cuModuleUnload", (module))                                                                   \
    X(ModuleGetFunction, "cuModuleGetFunction", (function *, module, const char *))                               \
    X(FuncSetAttribute, "cuFuncSetAttribute", (function, int, int))                                               \
    X(MemGetInfo, "cuMemGetInfo_v2", (size_t *, size_t *))                                                        \
    X(MemAlloc, "cuMemAlloc_v2", (uint64_t *, size_t))                                                            \
    X(MemFree, "cuMemFree_v2", (uint64_t))                                                                        \
    X(CopyIn, "cuMemcpyHtoDAsync_v2", (uint64_t, const void *, size_t, stream))                                   \
    X(CopyOut, "cuMemcpyDtoHAsync_v2", (void *, uint64_t, size_t, stream))                                        \
    X(Fill, "cuMemsetD8Async", (uint64_t, unsigned char, size_t, stream))                                         \
    X(StreamCreate, "cuStreamCreate", (stream *, unsigned))                                                       \
    X(StreamDestroy, "cuStreamDestroy_v2", (stream))                                                              \
    X(StreamSynchronize, "cuStreamSynchronize", (stream))                                                         \
    X(LaunchKernel, "cuLaunchKernel",                                                                             \
      (function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, stream, void **, void **))

static struct {
#define DECLARE(name, symbol, parameters) result(*name) parameters;
    CALLS(DECLARE)
#undef DECLARE
} driver;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int isLoaded;
static _Thread_local const char *message = "";

// More kernels than there are; a name is looked up in the module once.
enum { mostKernels = 128 };

struct quire_cuda {
    int device;
    context own;
    module code;
    stream queue;
    int count;
    struct {
        const char *name;
        function kernel;
        size_t shared;
    } kernels[mostKernels];
};

size_t quire_cuda_code_bytes(void) { return quire_cuda_code_size; }

const char *quire_cuda_message(void) { return message; }

static quire_cuda_status judge(result code) {
    if (code == success) return QUIRE_CUDA_READY;
    const char *text = NULL;
    if (!driver.GetErrorString || driver.GetErrorString(code, &text) != success || !text) text = "unknown error";
    message = text;
    switch (code) {
    case outOfMemory: return QUIRE_CUDA_OUT_OF_MEMORY;
    case noDevice: return QUIRE_CUDA_NO_DEVICE;
    case noBinary: return QUIRE_CUDA_OLD_DEVICE;
    case unsupportedCode: return QUIRE_CUDA_OLD_DRIVER;
    default: return QUIRE_CUDA_FAILED;
    }
}

static quire_cuda_status load(const char *library) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return QUIRE_CUDA_NO_DRIVER;
    int missing = 0;
#define FIND(name, symbol, parameters)                   \
    *(void **)&driver.name = dlsym(handle, symbol);      \
    missing += driver.name == NULL;
    CALLS(FIND)
#undef FIND
    if (missing) {
        memset(&driver, 0, sizeof driver);
        dlclose(handle);
        return QUIRE_CUDA_OLD_DRIVER;
    }
    isLoaded = 1;
    return QUIRE_CUDA_READY;
}

quire_cuda_status quire_cuda_load(const char *library) {
    pthread_mutex_lock(&lock);
    quire_cuda_status status = isLoaded ? QUIRE_CUDA_READY : load(library);
    pthread_mutex_unlock(&lock);
    if (status != QUIRE_CUDA_READY) return status;
    status = judge(driver.Init(0));
    if (status != QUIRE_CUDA_READY) return status;
    if (quire_cuda_driver_version() < QUIRE_CUDA_NEEDED_DRIVER) return QUIRE_CUDA_OLD_DRIVER;
    return quire_cuda_device_count() > 0 ? QUIRE_CUDA_READY : QUIRE_CUDA_NO_DEVICE;
}

int quire_cuda_driver_version(void) {
    int version = 0;
    return isLoaded && driver.DriverGetVersion(&version) == success ? version : 0;
}

int quire_cuda_device_count(void) {
    int count = 0;
    return isLoaded && driver.DeviceGetCount(&count) == success ? count : 0;
}

static quire_cuda_status attribute(int device, int which, int *value) {
    return judge(driver.DeviceGetAttribute(value, which, device));
}

quire_cuda_status quire_cuda_describe(int ordinal, quire_cuda_info *info) {
    memset(info, 0, sizeof *info);
    if (!isLoaded || ordinal < 0 || ordinal >= quire_cuda_device_count()) return QUIRE_CUDA_NO_DEVICE;
    int device;
    context own;
    quire_cuda_status status = judge(driver.DeviceGet(&device, ordinal));
    if (!status) status = judge(driver.DeviceGetName(info->name, sizeof info->name, device));
    if (!status) status = attribute(device, capabilityMajor, &info->major);
    if (!status) status = attribute(device, capabilityMinor, &info->minor);
    if (!status) status = attribute(device, multiprocessorCount, &info->multiprocessors);
    if (!status) status = judge(driver.PrimaryRetain(&own, device));
    if (status) return status;
    status = judge(driver.SetCurrent(own));
    if (!status) status = judge(driver.MemGetInfo(&info->free_bytes, &info->total_bytes));
    driver.PrimaryRelease(device);
    return status;
}

quire_cuda_status quire_cuda_open(int ordinal, quire_cuda **device) {
    *device = NULL;
    if (!quire_cuda_code_size) return QUIRE_CUDA_NO_CODE;
    quire_cuda_info info;
    quire_cuda_status status = quire_cuda_describe(ordinal, &info);
    if (status) return status;
    if (info.major < QUIRE_CUDA_NEEDED_MAJOR) return QUIRE_CUDA_OLD_DEVICE;
    quire_cuda *made = calloc(1, sizeof *made);
    if (!made) return QUIRE_CUDA_OUT_OF_MEMORY;
    status = judge(driver.DeviceGet(&made->device, ordinal));
    if (!status) status = judge(driver.PrimaryRetain(&made->own, made->device));
    if (status) {
        free(made);
        return status;
    }
    status = judge(driver.SetCurrent(made->own));
    if (!status) status = judge(driver.ModuleLoadData(&made->code, quire_cuda_code));
    // 1: does not wait for the default stream.
    if (!status) status = judge(driver.StreamCreate(&made->queue, 1));
    if (status) {
        quire_cuda_close(made);
        return status;
    }
    *device = made;
    return QUIRE_CUDA_READY;
}

void quire_cuda_close(quire_cuda *device) {
    driver.SetCurrent(device->own);
    if (device->queue) driver.StreamDestroy(device->queue);
    if (device->code) driver.ModuleUnload(device->code);
    driver.PrimaryRelease(device->device);
    for (int i = 0; i < device->count; i++) free((void *)device->kernels[i].name);
    free(device);
}

static quire_cuda_status enter(quire_cuda *device) { return judge(driver.SetCurrent(device->own)); }

quire_cuda_status quire_cuda_allocate(quire_cuda *device, size_t bytes, uint64_t *address) {
    const quire_cuda_status status = enter(device);
    return status ? status : judge(driver.MemAlloc(address, bytes ? bytes : 1));
}

quire_cuda_status quire_cuda_free(quire_cuda *device, uint64_t address) {
    const quire_cuda_status status = enter(device);
    return status ? status : judge(driver.MemFree(address));
}

quire_cuda_status quire_cuda_copy_in(quire_cuda *device, uint64_t to, const void *from, size_t bytes) {
    const quire_cuda_status status = enter(device);
    return status ? status : judge(driver.CopyIn(to, from, bytes, device->queue));
}

quire_cuda_status quire_cuda_copy_out(quire_cuda *device, void *to, uint64_t from, size_t bytes) {
    quire_cuda_status status = enter(device);
    if (!status) status = judge(driver.CopyOut(to, from, bytes, device->queue));
    return status ? status : judge(driver.StreamSynchronize(device->queue));
}

quire_cuda_status quire_cuda_fill(quire_cuda *device, uint64_t address, uint8_t value, size_t bytes) {
    const quire_cuda_status status = enter(device);
    return status ? status : judge(driver.Fill(address, value, bytes, device->queue));
}

quire_cuda_status quire_cuda_wait(quire_cuda *device) {
    const quire_cuda_status status = enter(device);
    return status ? status : judge(driver.StreamSynchronize(device->queue));
}

// The kernel's place in the device's table, or -1.
static int find(quire_cuda *device, const char *name, quire_cuda_status *status) {
    for (int i = 0; i < device->count; i++)
        if (!strcmp(device->kernels[i].name, name)) return i;
    *status = QUIRE_CUDA_FAILED;
    message = "too many kernels";
    if (device->count == mostKernels) return -1;
    function kernel;
    *status = judge(driver.ModuleGetFunction(&kernel, device->code, name));
    if (*status) return -1;
    device->kernels[device->count].name = strdup(name);
    device->kernels[device->count].kernel = kernel;
    device->kernels[device->count].shared = 0;
    return device->count++;
}

quire_cuda_status quire_cuda_launch(
    quire_cuda *device, const char *name, const uint32_t grid[3], const uint32_t block[3], size_t shared_bytes,
    void **arguments) {
    quire_cuda_status status = enter(device);
    if (status) return status;
    const int place = find(device, name, &status);
    if (place < 0) return status;
    // More than 48 KB have to be asked for.
    if (shared_bytes > (48 << 10) && shared_bytes > device->kernels[place].shared) {
        status = judge(
            driver.FuncSetAttribute(device->kernels[place].kernel, dynamicSharedLimit, (int)shared_bytes));
        if (status) return status;
        device->kernels[place].shared = shared_bytes;
    }
    return judge(driver.LaunchKernel(
        device->kernels[place].kernel, grid[0], grid[1], grid[2], block[0], block[1], block[2],
        (unsigned)shared_bytes, device->queue, arguments, NULL));
}
