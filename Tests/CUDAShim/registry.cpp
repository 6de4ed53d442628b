// The kernels compiled as C++, found by name.
#include "shim.hpp"

#include <string_view>
#include <unordered_map>
#include <utility>

#include "../../Sources/CUDAKernels/kernels/kernels.cu"
#include "cuda_shim.h"

namespace {

typedef void (*Runner)(const void *const *arguments);

template <auto kernel> struct Call;
template <class... Arguments, void (*kernel)(Arguments...)> struct Call<kernel> {
    template <size_t... i> static void apply(const void *const *arguments, std::index_sequence<i...>) {
        kernel(*static_cast<const Arguments *>(arguments[i])...);
    }
    static void run(const void *const *arguments) {
        apply(arguments, std::make_index_sequence<sizeof...(Arguments)>());
    }
};

#define ENTRY(name) {#name, Call<name>::run}
#define ENTRIES(name) ENTRY(name##_16), ENTRY(name##_32), ENTRY(name##_64), ENTRY(name##_128)
#define WIDTHS(name) ENTRY(name##_16), ENTRY(name##_64), ENTRY(name##_128)

const std::unordered_map<std::string_view, Runner> &kernels() {
    static const std::unordered_map<std::string_view, Runner> all = {
        ENTRY(rms_norm_f32), ENTRY(rms_norm_bf16), ENTRY(layer_norm_f32), ENTRY(layer_norm_bf16),
        ENTRY(layer_norm_wide), ENTRY(gelu), ENTRY(quick_gelu), ENTRY(silu_multiply), ENTRY(add_f32), ENTRY(widen),
        ENTRY(narrow), ENTRY(rope_write), ENTRY(route_rows), ENTRY(sort_by_expert), ENTRY(gather_experts),
        ENTRY(ban_ngrams), ENTRY(choose_best), ENTRY(convolve_32), ENTRY(convolve_128), ENTRY(cut_patches),
        ENTRY(gather_rows), ENTRY(embed_tokens), ENTRY(join_columns), ENTRIES(product), ENTRIES(experts_up),
        ENTRIES(experts_down), ENTRIES(choose), WIDTHS(decode_attention), WIDTHS(attend_block), WIDTHS(attend_grid),
        WIDTHS(attend_prompt),
    };
    return all;
}

}  // namespace

const char *quire_shim_launch(
    const char *name, const uint32_t grid[3], const uint32_t block[3], size_t shared_bytes,
    const void *const *arguments, int is_reversed) {
    const auto found = kernels().find(name);
    if (found == kernels().end()) return "there is no kernel of this name";
    const Runner run = found->second;
    shim::launch(
        {grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared_bytes, is_reversed != 0,
        [=] { run(arguments); });
    return shim::failure();
}
