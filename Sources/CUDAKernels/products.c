// Dense products by cuBLASLt, where a machine has it. Types, numbers and functions are those of cublasLt.h of CUDA 13,
// which are the same in CUDA 12.
#include "driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct handle *handle;          // cublasLtHandle_t
typedef struct operation *operation;    // cublasLtMatmulDesc_t
typedef struct layout *layout;          // cublasLtMatrixLayout_t
typedef struct preference *preference;  // cublasLtMatmulPreference_t

typedef struct algorithm {  // cublasLtMatmulAlgo_t
    uint64_t data[8];
} algorithm;

typedef struct proposal {  // cublasLtMatmulHeuristicResult_t
    algorithm algorithm;
    size_t workspaceBytes;
    int state;
    float waves;
    int reserved[4];
} proposal;

enum {
    allocationFailed = 3,     // CUBLAS_STATUS_ALLOC_FAILED
    notSupported = 15,        // CUBLAS_STATUS_NOT_SUPPORTED
    float32 = 0,              // CUDA_R_32F
    bfloat16 = 14,            // CUDA_R_16BF
    computeFloat32 = 68,      // CUBLAS_COMPUTE_32F
    transposed = 1,           // CUBLAS_OP_T
    operationTransposeA = 3,  // CUBLASLT_MATMUL_DESC_TRANSA
    operationEpilogue = 7,    // CUBLASLT_MATMUL_DESC_EPILOGUE
    operationBias = 8,        // CUBLASLT_MATMUL_DESC_BIAS_POINTER
    layoutColumns = 3,        // CUBLASLT_MATRIX_LAYOUT_COLS
    mostWorkspace = 1,        // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES
    reductionSchemes = 3,     // CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK
    addBias = 4,              // CUBLASLT_EPILOGUE_BIAS
};

#define CALLS_OF_PRODUCTS(X)                                                                                       \
    X(Create, "cublasLtCreate", (handle *))                                                                        \
    X(Destroy, "cublasLtDestroy", (handle))                                                                        \
    X(OperationCreate, "cublasLtMatmulDescCreate", (operation *, int, int))                                        \
    X(OperationDestroy, "cublasLtMatmulDescDestroy", (operation))                                                  \
    X(OperationSet, "cublasLtMatmulDescSetAttribute", (operation, int, const void *, size_t))                      \
    X(LayoutCreate, "cublasLtMatrixLayoutCreate", (layout *, int, uint64_t, uint64_t, int64_t))                    \
    X(LayoutDestroy, "cublasLtMatrixLayoutDestroy", (layout))                                                      \
    X(LayoutSet, "cublasLtMatrixLayoutSetAttribute", (layout, int, const void *, size_t))                          \
    X(PreferenceCreate, "cublasLtMatmulPreferenceCreate", (preference *))                                          \
    X(PreferenceDestroy, "cublasLtMatmulPreferenceDestroy", (preference))                                          \
    X(PreferenceSet, "cublasLtMatmulPreferenceSetAttribute", (preference, int, const void *, size_t))              \
    X(Propose, "cublasLtMatmulAlgoGetHeuristic",                                                                   \
      (handle, operation, layout, layout, layout, layout, preference, int, proposal *, int *))                     \
    X(Multiply, "cublasLtMatmul",                                                                                  \
      (handle, operation, const void *, const void *, layout, const void *, layout, const void *, const void *,    \
       layout, void *, layout, const algorithm *, void *, size_t, stream))

struct quire_cuda_products {
#define DECLARE(name, symbol, parameters) int(*name) parameters;
    CALLS_OF_PRODUCTS(DECLARE)
#undef DECLARE
    quire_cuda *device;
    handle own;
    size_t version;
};

// The library's matrices are column-major: the product is y^T = w x^T there, of w and x as they lie.
struct quire_cuda_product {
    quire_cuda_products *products;
    operation operation;
    layout w, x, y;
    algorithm algorithm;
    int isAdded, hasBias;
};

// As the library words it would need one more function, which older ones lack.
static quire_cuda_status judge(int status) {
    if (!status) return QUIRE_CUDA_READY;
    if (status == allocationFailed) {
        quire_cuda_fail("cuBLASLt: out of memory");
        return QUIRE_CUDA_OUT_OF_MEMORY;
    }
    char sentence[64];
    snprintf(sentence, sizeof sentence, "cuBLASLt: status %d", status);
    return quire_cuda_fail(sentence);
}

static quire_cuda_status enter(const quire_cuda_products *products) {
    const quire_cuda_driver *driver = &products->device->driver;
    return quire_cuda_judge(driver, driver->SetCurrent(products->device->own), NULL);
}

// MARK: The library

static quire_cuda_status open(quire_cuda *device, quire_cuda_finder find, void *source, quire_cuda_products **made) {
    quire_cuda_products found = {.device = device};
    int missing = 0;
#define FIND(name, symbol, parameters)             \
    *(void **)&found.name = find(source, symbol);  \
    missing += found.name == NULL;
    CALLS_OF_PRODUCTS(FIND)
#undef FIND
    size_t (*version)(void);
    *(void **)&version = find(source, "cublasLtGetVersion");
    if (missing || !version) return quire_cuda_fail("cuBLASLt lacks a function");
    found.version = version();
    quire_cuda_status status = enter(&found);
    if (!status) status = judge(found.Create(&found.own));
    if (status) return status;
    *made = malloc(sizeof **made);
    if (!*made) {
        found.Destroy(found.own);
        return QUIRE_CUDA_OUT_OF_MEMORY;
    }
    **made = found;
    return QUIRE_CUDA_READY;
}

quire_cuda_status quire_cuda_products_load(quire_cuda *device, const char *library, quire_cuda_products **made) {
    *made = NULL;
    // Not closed again: it keeps state of the GPU's context that it would have to be asked to give back.
    void *opened = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    return opened ? open(device, quire_cuda_in_library, opened, made) : quire_cuda_fail("there is no cuBLASLt");
}

quire_cuda_status quire_cuda_products_use(quire_cuda *device, quire_cuda_lookup lookup, quire_cuda_products **made) {
    *made = NULL;
    return open(device, quire_cuda_by_lookup, &lookup, made);
}

void quire_cuda_products_close(quire_cuda_products *products) {
    if (!enter(products)) products->Destroy(products->own);
    free(products);
}

size_t quire_cuda_products_version(const quire_cuda_products *products) { return products->version; }

// MARK: Products

static int set(const quire_cuda_product *product, int attribute, const void *value, size_t bytes) {
    return product->products->OperationSet(product->operation, attribute, value, bytes);
}

// Asks for a way that sums over the inputs in one order, whatever the number of rows: results are not to depend on
// what is computed together.
static int propose(quire_cuda_product *product, uint64_t bias, size_t workspaceBytes) {
    const quire_cuda_products *products = product->products;
    preference wishes = NULL;
    proposal best = {0};
    int count = 0;
    const uint32_t schemes = 0;  // CUBLASLT_REDUCTION_SCHEME_NONE
    int status = products->PreferenceCreate(&wishes);
    if (!status) status = products->PreferenceSet(wishes, mostWorkspace, &workspaceBytes, sizeof workspaceBytes);
    if (!status) status = products->PreferenceSet(wishes, reductionSchemes, &schemes, sizeof schemes);
    // It is asked with a pointer, for its alignment.
    if (!status && product->hasBias) status = set(product, operationBias, &bias, sizeof bias);
    if (!status)
        status = products->Propose(
            products->own, product->operation, product->w, product->x, product->y, product->y, wishes, 1, &best,
            &count);
    if (wishes) products->PreferenceDestroy(wishes);
    if (!status && (count < 1 || best.state)) status = notSupported;
    product->algorithm = best.algorithm;
    return status;
}

quire_cuda_status quire_cuda_product_plan(
    quire_cuda_products *products, quire_cuda_product_shape shape, uint64_t workspace, size_t workspace_bytes,
    quire_cuda_product **made) {
    *made = NULL;
    quire_cuda_status entered = enter(products);
    if (entered) return entered;
    quire_cuda_product *product = calloc(1, sizeof *product);
    if (!product) return QUIRE_CUDA_OUT_OF_MEMORY;
    product->products = products;
    product->isAdded = shape.is_added;
    product->hasBias = shape.has_bias;
    const int32_t transpose = transposed;
    const uint32_t epilogue = addBias;
    int status = products->OperationCreate(&product->operation, computeFloat32, float32);
    if (!status) status = set(product, operationTransposeA, &transpose, sizeof transpose);
    if (!status && shape.has_bias) status = set(product, operationEpilogue, &epilogue, sizeof epilogue);
    if (!status)
        status = products->LayoutCreate(&product->w, bfloat16, shape.inputs, shape.outputs, (int64_t)shape.inputs);
    if (!status)
        status = products->LayoutCreate(&product->x, bfloat16, shape.inputs, shape.rows, (int64_t)shape.inputs);
    if (!status)
        status = products->LayoutCreate(
            &product->y, shape.is_added ? float32 : bfloat16, shape.outputs, shape.rows, (int64_t)shape.outputs);
    if (!status) status = propose(product, workspace, workspace_bytes);
    if (status) {
        quire_cuda_product_drop(product);
        return judge(status);
    }
    *made = product;
    return QUIRE_CUDA_READY;
}

void quire_cuda_product_drop(quire_cuda_product *product) {
    const quire_cuda_products *products = product->products;
    if (product->operation) products->OperationDestroy(product->operation);
    if (product->w) products->LayoutDestroy(product->w);
    if (product->x) products->LayoutDestroy(product->x);
    if (product->y) products->LayoutDestroy(product->y);
    free(product);
}

quire_cuda_status quire_cuda_product_queue(
    quire_cuda_product *product, int stream, uint64_t rows, uint64_t x, uint64_t w, uint64_t bias, uint64_t y,
    uint64_t workspace, size_t workspace_bytes) {
    const quire_cuda_products *products = product->products;
    const quire_cuda_status entered = enter(products);
    if (entered) return entered;
    const float one = 1, others = product->isAdded ? 1 : 0;
    int status = products->LayoutSet(product->x, layoutColumns, &rows, sizeof rows);
    if (!status) status = products->LayoutSet(product->y, layoutColumns, &rows, sizeof rows);
    if (!status && product->hasBias) status = set(product, operationBias, &bias, sizeof bias);
    if (!status)
        status = products->Multiply(
            products->own, product->operation, &one, (const void *)w, product->w, (const void *)x, product->x, &others,
            (const void *)y, product->y, (void *)y, product->y, &product->algorithm, (void *)workspace,
            workspace_bytes, products->device->queues[stream]);
    return judge(status);
}
