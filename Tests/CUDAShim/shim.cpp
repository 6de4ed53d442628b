#include "shim.hpp"

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace shim {

thread_local Block *running = nullptr;

namespace {

constexpr size_t stackBytes = 96 << 10;

#if defined(__x86_64__)
// Saves what a function must keep, changes stacks and goes on there: some nanoseconds, where swapcontext asks the
// kernel twice.
extern "C" void quire_shim_switch(void **from, void *to);
asm(R"(
.text
.globl quire_shim_switch
.type quire_shim_switch, @function
quire_shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size quire_shim_switch, .-quire_shim_switch
)");

void change(void **from, void *to) { quire_shim_switch(from, to); }

void prepare(Fiber &fiber, void (*entry)()) {
    auto top = ((uintptr_t)fiber.memory.get() + stackBytes) & ~(uintptr_t)15;
    auto words = (uint64_t *)(top - 64);
    memset(words, 0, 64);
    words[6] = (uint64_t)(uintptr_t)entry;
    fiber.stack = words;
}
#else
void change(void **from, void *to) {
    ucontext_t here;
    *from = &here;
    swapcontext(&here, (ucontext_t *)to);
}

void prepare(Fiber &fiber, void (*entry)()) {
    auto context = (ucontext_t *)fiber.memory.get();
    const size_t head = (sizeof(ucontext_t) + 63) & ~(size_t)63;
    getcontext(context);
    context->uc_stack.ss_sp = fiber.memory.get() + head;
    context->uc_stack.ss_size = stackBytes - head;
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
    fiber.stack = context;
}
#endif

// The next of `count` threads from `first` on that has not ended, in the block's order; -1 where there is none.
int following(const Block &block, int from, int first, int count) {
    for (int i = 1; i <= count; i++) {
        const int step = block.isReversed ? count - i : i;
        const int next = first + (from - first + step) % count;
        if (!block.fibers[next].isDone) return next;
    }
    return -1;
}

void goOn(int next) {
    Block &block = *running;
    const int from = block.current;
    // Nobody has come further in a hundred rounds: some wait for threads that never arrive.
    if (++block.idle > 100L * block.count) {
        if (block.failure.empty()) block.failure = "not all threads reach a barrier";
        change(&block.fibers[from].stack, block.mainStack);
    }
    if (next == from) return;
    block.current = next;
    change(&block.fibers[from].stack, block.fibers[next].stack);
}

void run() {
    running->body();
    leave();
}

}  // namespace

Warp &warp() { return running->warps[running->current / warpSize]; }

void yieldInWarp() {
    const int from = running->current, first = from / warpSize * warpSize;
    goOn(following(*running, from, first, std::min(warpSize, running->count - first)));
}

void syncBlock() {
    Block &block = *running;
    const long generation = block.generation;
    if (++block.arrived == block.alive) {
        block.arrived = 0;
        block.generation++;
        block.idle = 0;
        return;
    }
    while (block.generation == generation) goOn(following(block, block.current, 0, block.count));
}

void leave() {
    Block &block = *running;
    const int from = block.current;
    Fiber &fiber = block.fibers[from];
    if (!fiber.groups.empty() || !fiber.open.empty()) {
        for (const auto &group : fiber.groups)
            if (!group.empty() && block.failure.empty()) block.failure = "a thread ended with copies not waited for";
    }
    fiber.isDone = true;
    block.idle = 0;
    Warp &own = warp();
    if (--own.alive > 0 && own.arrived == own.alive && block.failure.empty())
        block.failure = "a thread ended while its warp waited for it";
    if (--block.alive > 0 && block.arrived == block.alive) {
        block.arrived = 0;
        block.generation++;
    }
    const int next = following(block, from, 0, block.count);
    if (next < 0) {
        change(&fiber.stack, block.mainStack);
    } else {
        block.current = next;
        change(&fiber.stack, block.fibers[next].stack);
    }
}

namespace {
thread_local std::string lastFailure;
}

const char *failure() { return lastFailure.empty() ? nullptr : lastFailure.c_str(); }

void launch(dim3 grid, dim3 block, size_t sharedBytes, bool isReversed, const std::function<void()> &body) {
    // Kept from launch to launch: stacks are large.
    thread_local Block state;
    running = &state;
    lastFailure.clear();
    state.failure.clear();
    state.grid = grid;
    state.block = block;
    state.body = body;
    state.isReversed = isReversed;
    state.count = (int)(block.x * block.y * block.z);
    if (state.fibers.size() < (size_t)state.count) state.fibers.resize(state.count);
    for (auto &fiber : state.fibers)
        if (!fiber.memory) fiber.memory.reset(new unsigned char[stackBytes]);
    state.warps.resize((state.count + warpSize - 1) / warpSize);
    for (unsigned z = 0; z < grid.z; z++) {
        for (unsigned y = 0; y < grid.y; y++) {
            for (unsigned x = 0; x < grid.x; x++) {
                state.index = {x, y, z};
                state.shared.assign(sharedBytes + 128, 0xff);
                state.alive = state.count;
                state.arrived = 0;
                state.idle = 0;
                for (auto &warp : state.warps) warp.alive = warp.arrived = 0;
                for (int i = 0; i < state.count; i++) {
                    Fiber &fiber = state.fibers[i];
                    fiber.isDone = false;
                    fiber.thread = {i % block.x, i / block.x % block.y, i / (block.x * block.y)};
                    fiber.open.clear();
                    fiber.groups.clear();
                    prepare(fiber, run);
                    state.warps[i / warpSize].alive++;
                }
                state.current = isReversed ? state.count - 1 : 0;
                change(&state.mainStack, state.fibers[state.current].stack);
                if (!state.failure.empty()) {
                    lastFailure = state.failure;
                    running = nullptr;
                    return;
                }
            }
        }
    }
    running = nullptr;
}

}  // namespace shim
