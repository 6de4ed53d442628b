// What is asked of a device: memory, work on its streams, events and graphs.
#include "driver.h"

#include <string.h>

#define JUDGE(call) quire_cuda_judge(&device->driver, device->driver.call, NULL)

// The device's context becomes the thread's: any thread may call.
static quire_cuda_status enter(quire_cuda *device) { return JUDGE(SetCurrent(device->own)); }

// MARK: Memory

quire_cuda_status quire_cuda_memory(quire_cuda *device, size_t *free_bytes, size_t *total_bytes) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(MemGetInfo(free_bytes, total_bytes));
}

quire_cuda_status quire_cuda_allocate(quire_cuda *device, size_t bytes, uint64_t *address) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(MemAlloc(address, bytes ? bytes : 1));
}

quire_cuda_status quire_cuda_free(quire_cuda *device, uint64_t address) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(MemFree(address));
}

quire_cuda_status quire_cuda_allocate_host(quire_cuda *device, size_t bytes, void **memory) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(MemHostAlloc(memory, bytes ? bytes : 1, 0));
}

quire_cuda_status quire_cuda_free_host(quire_cuda *device, void *memory) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(MemFreeHost(memory));
}

// MARK: Streams

quire_cuda_status quire_cuda_copy_in(quire_cuda *device, int stream, uint64_t to, const void *from, size_t bytes) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(CopyIn(to, from, bytes, device->queues[stream]));
}

quire_cuda_status quire_cuda_copy_out(quire_cuda *device, int stream, void *to, uint64_t from, size_t bytes) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(CopyOut(to, from, bytes, device->queues[stream]));
}

quire_cuda_status quire_cuda_copy_within(quire_cuda *device, int stream, uint64_t to, uint64_t from, size_t bytes) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(CopyWithin(to, from, bytes, device->queues[stream]));
}

quire_cuda_status quire_cuda_fill(quire_cuda *device, int stream, uint64_t address, uint8_t value, size_t bytes) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(Fill(address, value, bytes, device->queues[stream]));
}

quire_cuda_status quire_cuda_wait(quire_cuda *device, int stream) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(StreamSynchronize(device->queues[stream]));
}

// The kernel's place in the device's table, or -1.
static int find(quire_cuda *device, const char *name, quire_cuda_status *status) {
    for (int i = 0; i < device->count; i++)
        if (!strcmp(device->kernels[i].name, name)) return i;
    if (device->count == mostKernels) {
        *status = quire_cuda_fail("too many kernels");
        return -1;
    }
    function kernel;
    *status = quire_cuda_judge(
        &device->driver, device->driver.ModuleGetFunction(&kernel, device->code, name), name);
    if (*status) return -1;
    device->kernels[device->count].name = strdup(name);
    device->kernels[device->count].kernel = kernel;
    device->kernels[device->count].shared = 0;
    return device->count++;
}

quire_cuda_status quire_cuda_launch(
    quire_cuda *device, int stream, const char *name, const uint32_t grid[3], const uint32_t block[3],
    size_t shared_bytes, void **arguments) {
    quire_cuda_status status = enter(device);
    if (status) return status;
    const int place = find(device, name, &status);
    if (place < 0) return status;
    const function kernel = device->kernels[place].kernel;
    // More than 48 KB have to be asked for.
    if (shared_bytes > (48 << 10) && shared_bytes > device->kernels[place].shared) {
        status = quire_cuda_judge(
            &device->driver, device->driver.FuncSetAttribute(kernel, dynamicSharedLimit, (int)shared_bytes), name);
        if (status) return status;
        device->kernels[place].shared = shared_bytes;
    }
    return quire_cuda_judge(
        &device->driver,
        device->driver.LaunchKernel(
            kernel, grid[0], grid[1], grid[2], block[0], block[1], block[2], (unsigned)shared_bytes,
            device->queues[stream], arguments, NULL),
        name);
}

// MARK: Events

quire_cuda_status quire_cuda_event_make(quire_cuda *device, int is_timed, quire_cuda_event **made) {
    *made = NULL;
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(EventCreate((event *)made, is_timed ? timedEvent : untimedEvent));
}

void quire_cuda_event_destroy(quire_cuda *device, quire_cuda_event *old) {
    if (!enter(device)) device->driver.EventDestroy((event)old);
}

quire_cuda_status quire_cuda_event_record(quire_cuda *device, quire_cuda_event *mark, int stream) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(EventRecord((event)mark, device->queues[stream]));
}

quire_cuda_status quire_cuda_event_await(quire_cuda *device, quire_cuda_event *mark, int stream) {
    const quire_cuda_status status = enter(device);
    // 0: CU_EVENT_WAIT_DEFAULT.
    return status ? status : JUDGE(StreamWaitEvent(device->queues[stream], (event)mark, 0));
}

quire_cuda_status quire_cuda_event_passed(quire_cuda *device, quire_cuda_event *mark, int *passed) {
    *passed = 0;
    const quire_cuda_status status = enter(device);
    if (status) return status;
    const result answer = device->driver.EventQuery((event)mark);
    *passed = answer == success;
    return answer == notReady ? QUIRE_CUDA_READY : quire_cuda_judge(&device->driver, answer, NULL);
}

quire_cuda_status quire_cuda_event_elapsed(
    quire_cuda *device, quire_cuda_event *from, quire_cuda_event *to, float *milliseconds) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(EventElapsedTime(milliseconds, (event)from, (event)to));
}

// MARK: Graphs

quire_cuda_status quire_cuda_capture_begin(quire_cuda *device, int stream) {
    const quire_cuda_status status = enter(device);
    // Relaxed: allocations for other uses of the GPU, by any thread, are not refused meanwhile.
    return status ? status : JUDGE(BeginCapture(device->queues[stream], relaxedCapture));
}

quire_cuda_status quire_cuda_capture_end(quire_cuda *device, int stream, quire_cuda_graph **made) {
    graph captured = NULL;
    *made = NULL;
    quire_cuda_status status = enter(device);
    if (!status) status = JUDGE(EndCapture(device->queues[stream], &captured));
    if (!status) status = JUDGE(GraphInstantiate((graphExec *)made, captured, 0));
    if (captured) device->driver.GraphDestroy(captured);
    return status;
}

void quire_cuda_capture_abandon(quire_cuda *device, int stream) {
    graph captured = NULL;
    if (enter(device)) return;
    // The answer is of no use: a capture that failed ends with an error.
    device->driver.EndCapture(device->queues[stream], &captured);
    if (captured) device->driver.GraphDestroy(captured);
}

quire_cuda_status quire_cuda_graph_launch(quire_cuda *device, quire_cuda_graph *made, int stream) {
    const quire_cuda_status status = enter(device);
    return status ? status : JUDGE(GraphLaunch((graphExec)made, device->queues[stream]));
}

void quire_cuda_graph_destroy(quire_cuda *device, quire_cuda_graph *old) {
    if (!enter(device)) device->driver.GraphExecDestroy((graphExec)old);
}
