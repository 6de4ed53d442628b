#include "driver.h"
#include "code.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A copy: a driver's words may be gone with its next call.
static _Thread_local char message[512];

size_t quire_cuda_code_bytes(void) { return quire_cuda_code_size; }

const char *quire_cuda_message(void) { return message; }

quire_cuda_status quire_cuda_fail(const char *sentence) {
    snprintf(message, sizeof message, "%s", sentence);
    return QUIRE_CUDA_FAILED;
}

quire_cuda_status quire_cuda_judge(const quire_cuda_driver *driver, result code, const char *subject) {
    if (code == success) return QUIRE_CUDA_READY;
    const char *text = NULL;
    if (driver->GetErrorString(code, &text) != success || !text) text = "unknown error";
    snprintf(message, sizeof message, "%s%s%s", subject ? subject : "", subject ? ": " : "", text);
    switch (code) {
    case outOfMemory: return QUIRE_CUDA_OUT_OF_MEMORY;
    case noDevice: return QUIRE_CUDA_NO_DEVICE;
    case noBinary: return QUIRE_CUDA_OLD_DEVICE;
    case unsupportedCode: return QUIRE_CUDA_OLD_DRIVER;
    default: return QUIRE_CUDA_FAILED;
    }
}

// MARK: Drivers

void *quire_cuda_in_library(void *library, const char *symbol) { return dlsym(library, symbol); }

void *quire_cuda_by_lookup(void *lookup, const char *symbol) { return (*(quire_cuda_lookup *)lookup)(symbol); }

// Whether all functions were found.
static int fill(quire_cuda_driver *driver, quire_cuda_finder find, void *source) {
    int missing = 0;
#define FIND(name, symbol, parameters)                     \
    *(void **)&driver->name = find(source, symbol);        \
    missing += driver->name == NULL;
    CALLS(FIND)
#undef FIND
    return missing == 0;
}

static quire_cuda_status start(const quire_cuda_driver *driver) {
    const quire_cuda_status status = quire_cuda_judge(driver, driver->Init(0), NULL);
    if (status) return status;
    if (quire_cuda_driver_version(driver) < QUIRE_CUDA_NEEDED_DRIVER) return QUIRE_CUDA_OLD_DRIVER;
    return quire_cuda_device_count(driver) > 0 ? QUIRE_CUDA_READY : QUIRE_CUDA_NO_DEVICE;
}

static quire_cuda_status hand(const quire_cuda_driver *found, quire_cuda_driver **driver) {
    *driver = malloc(sizeof **driver);
    if (!*driver) return QUIRE_CUDA_OUT_OF_MEMORY;
    **driver = *found;
    return start(found);
}

quire_cuda_status quire_cuda_load(const char *library, quire_cuda_driver **driver) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char *loaded;
    static quire_cuda_driver kept;
    quire_cuda_driver found = {.needsCode = 1};
    quire_cuda_status status = QUIRE_CUDA_READY;
    *driver = NULL;
    pthread_mutex_lock(&lock);
    if (loaded && !strcmp(loaded, library)) {
        found = kept;
    } else {
        void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        if (!handle) {
            status = QUIRE_CUDA_NO_DRIVER;
        } else if (!fill(&found, quire_cuda_in_library, handle)) {
            status = QUIRE_CUDA_OLD_DRIVER;
            dlclose(handle);
        } else if (!loaded) {
            kept = found;
            loaded = strdup(library);
        }
    }
    pthread_mutex_unlock(&lock);
    return status ? status : hand(&found, driver);
}

quire_cuda_status quire_cuda_use(quire_cuda_lookup lookup, quire_cuda_driver **driver) {
    quire_cuda_driver found = {.needsCode = 0};
    *driver = NULL;
    return fill(&found, quire_cuda_by_lookup, &lookup) ? hand(&found, driver) : QUIRE_CUDA_OLD_DRIVER;
}

void quire_cuda_drop(quire_cuda_driver *driver) { free(driver); }

int quire_cuda_driver_version(const quire_cuda_driver *driver) {
    int version = 0;
    return driver->DriverGetVersion(&version) == success ? version : 0;
}

int quire_cuda_device_count(const quire_cuda_driver *driver) {
    int count = 0;
    return driver->DeviceGetCount(&count) == success ? count : 0;
}

static quire_cuda_status attribute(const quire_cuda_driver *driver, int device, int which, int *value) {
    return quire_cuda_judge(driver, driver->DeviceGetAttribute(value, which, device), NULL);
}

quire_cuda_status quire_cuda_describe(const quire_cuda_driver *driver, int ordinal, quire_cuda_info *info) {
    memset(info, 0, sizeof *info);
    if (ordinal < 0 || ordinal >= quire_cuda_device_count(driver)) return QUIRE_CUDA_NO_DEVICE;
    int device;
    context own;
    quire_cuda_status status = quire_cuda_judge(driver, driver->DeviceGet(&device, ordinal), NULL);
    if (!status)
        status = quire_cuda_judge(driver, driver->DeviceGetName(info->name, sizeof info->name, device), NULL);
    if (!status) status = attribute(driver, device, capabilityMajor, &info->major);
    if (!status) status = attribute(driver, device, capabilityMinor, &info->minor);
    if (!status) status = attribute(driver, device, multiprocessorCount, &info->multiprocessors);
    if (!status) status = quire_cuda_judge(driver, driver->PrimaryRetain(&own, device), NULL);
    if (status) return status;
    status = quire_cuda_judge(driver, driver->SetCurrent(own), NULL);
    if (!status) status = quire_cuda_judge(driver, driver->MemGetInfo(&info->free_bytes, &info->total_bytes), NULL);
    driver->PrimaryRelease(device);
    return status;
}

// MARK: Devices

quire_cuda_status quire_cuda_open(const quire_cuda_driver *driver, int ordinal, quire_cuda **device) {
    *device = NULL;
    if (driver->needsCode && !quire_cuda_code_size) return QUIRE_CUDA_NO_CODE;
    quire_cuda_info info;
    quire_cuda_status status = quire_cuda_describe(driver, ordinal, &info);
    if (status) return status;
    if (info.major < QUIRE_CUDA_NEEDED_MAJOR) return QUIRE_CUDA_OLD_DEVICE;
    quire_cuda *made = calloc(1, sizeof *made);
    if (!made) return QUIRE_CUDA_OUT_OF_MEMORY;
    made->driver = *driver;
    status = quire_cuda_judge(driver, driver->DeviceGet(&made->device, ordinal), NULL);
    if (!status) status = quire_cuda_judge(driver, driver->PrimaryRetain(&made->own, made->device), NULL);
    if (status) {
        free(made);
        return status;
    }
    status = quire_cuda_judge(driver, driver->SetCurrent(made->own), NULL);
    if (!status) status = quire_cuda_judge(driver, driver->ModuleLoadData(&made->code, quire_cuda_code), NULL);
    for (int i = 0; i < QUIRE_CUDA_STREAMS && !status; i++)
        status = quire_cuda_judge(driver, driver->StreamCreate(&made->queues[i], nonBlockingStream), NULL);
    if (status) {
        quire_cuda_close(made);
        return status;
    }
    *device = made;
    return QUIRE_CUDA_READY;
}

void quire_cuda_close(quire_cuda *device) {
    const quire_cuda_driver *driver = &device->driver;
    driver->SetCurrent(device->own);
    for (int i = 0; i < QUIRE_CUDA_STREAMS; i++)
        if (device->queues[i]) driver->StreamDestroy(device->queues[i]);
    if (device->code) driver->ModuleUnload(device->code);
    driver->PrimaryRelease(device->device);
    for (int i = 0; i < device->count; i++) free((void *)device->kernels[i].name);
    free(device);
}
