/* Passes over activations that torch makes in several, each as one (see operations.py), and layers
   as a whole (see layers_in_blocks.py); docs/decisions/fused-kernels.md says why.

   Plain C without torch's or Python's headers, loaded through ctypes. Everything is computed in
   single precision. The fragments (.inc) are parts of this file and compiled with it alone:

   signatures.inc            what each function that Python calls is given
   products.inc              matrix products through BLAS
   by_type.inc               layer norm, GELU, softmax, embeddings: once in fp32, once in bf16
   layers_in_blocks.inc      a layer's attention and feed-forward network, in fp32
   last_layer_by_type.inc    the last layer's attention: once after states in fp32, once in bf16
   tiles.inc                 products in bf16 on matrix tiles, where a processor has them
   attention_in_tiles.inc    a layer's attention made of these */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The loader takes the widest of these that the processor has. Without this, code for any x86-64
   would be slower than torch's operators; kernels.py leaves older processors to these. */
#if !defined(__x86_64__)
#define KERNEL
#elif defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12 && defined(__GLIBC__)
#define KERNEL __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#error "gcc 12 or newer and glibc are needed; without these kernels fedseed uses torch's operators"
#endif

/* A function that was not inlined would stay at the narrowest. */
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

typedef uint16_t bf16;
typedef ptrdiff_t size;

/* What a function returns; calls.py turns the others into exceptions. */
enum { DONE, NO_MEMORY, NO_SUCH_ROW, NO_TILES };

/* Rows whose sums are kept apart before they join the total: of thousands of rows one by one,
   single precision would lose the last digits. */
enum { BLOCK = 64 };

/* Features of BERT-tiny's rows: known when compiled, a row takes a third less time. */
enum { COMMON = 128 };

INLINE float from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

INLINE uint32_t to_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

INLINE float from_bf16(bf16 value) { return from_bits((uint32_t)value << 16); }

/* To the nearest, ties to even; NaN stays NaN. */
INLINE bf16 to_bf16(float value) {
    uint32_t bits = to_bits(value);
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    return (bf16)(value == value ? rounded : 0x7fc0u);
}

/* e to the x for x <= 0, to 2 units in the last place (coefficients of Cephes' expf). The logarithm
   of 2 comes in two parts, which without fmaf the compiler may add up. */
INLINE float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    float whole = rintf(x * 1.44269504f);
    float rest = fmaf(whole, 2.12194440e-4f, fmaf(whole, -0.693359375f, x));
    float series = 1.9875691500e-4f;
    series = series * rest + 1.3981999507e-3f;
    series = series * rest + 8.3334519073e-3f;
    series = series * rest + 4.1665795894e-2f;
    series = series * rest + 1.6666665459e-1f;
    series = series * rest + 5.0000001201e-1f;
    series = series * rest * rest + rest + 1.0f;
    return series * from_bits((uint32_t)((int32_t)whole + 127) << 23);
}

/* x * Phi(x) and its slope; Phi to 1e-7 (Abramowitz and Stegun 1964, 7.1.26). */
INLINE float gelu(float x, float* slope) {
    float density = exponential(-0.5f * x * x);
    float t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * fabsf(x));
    float tail = 1.061405429f;
    tail = tail * t - 1.453152027f;
    tail = tail * t + 1.421413741f;
    tail = tail * t - 0.284496736f;
    tail = tail * t + 0.254829592f;
    tail *= 0.5f * t * density;
    float below = x > 0.0f ? 1.0f - tail : tail;
    *slope = below + x * density * 0.39894228f;
    return x * below;
}

/* GELU of every number in bf16: the value in the lower half, the slope in the upper. */
static uint32_t gelu_of[1 << 16];

/* Of the sources, from the command line of the compiler. */
const char* digest(void) { return KERNELS_DIGEST; }

#include "signatures.inc"

/* The table as text, a function a line: the names of its parameters are not yet macros here. */
#define TEXT(...) #__VA_ARGS__
#define EXPANDED(...) TEXT(__VA_ARGS__)
#define ONCE(name) "ONCE " #name ": " EXPANDED(name##_SIGNATURE) "\n"
#define TWICE(name) "TWICE " #name ": " EXPANDED(name##_SIGNATURE) "\n"
const char* signatures(void) { return FUNCTIONS; }

/* The table as parameters of C. No two arrays of a call overlap. */
#define READ(type, name, ...) const type* restrict name
#define CHANGED(type, name, ...) type* restrict name
#define OPTIONAL_READ(type, name, ...) const type* restrict name
#define OPTIONAL_CHANGED(type, name, ...) type* restrict name
#define LINEAR(name, ...) const parameters* restrict name
#define NORM(name, ...) const parameters* restrict name
#define SIZE(name) size name
#define NUMBER(name) float name
#define PARAMETERS(name) name##_SIGNATURE

void prepare(void) {
    for (uint32_t bits = 0; bits < 1u << 16; bits++) {
        double x = from_bf16((bf16)bits);
        double below = 0.5 * erfc(-x * sqrt(0.5));
        double density = exp(-0.5 * x * x) * 0.3989422804014327;
        /* x times the density would be infinity times zero. */
        double slope = isinf(x) ? below : below + x * density;
        double value = x == -INFINITY ? 0.0 : x * below;
        gelu_of[bits] = (uint32_t)to_bf16((float)slope) << 16 | to_bf16((float)value);
    }
}

/* The inputs become the slopes. */
KERNEL int gelu_f32(PARAMETERS(gelu_f32)) {
    for (size row = 0; row < rows; row++) {
        float *in = inputs + row * features, *out = outputs + row * features;
        for (size i = 0; i < features; i++) {
            float slope;
            out[i] = gelu(in[i] + bias[i], &slope);
            in[i] = slope;
        }
    }
    return DONE;
}

KERNEL int gelu_bf16(PARAMETERS(gelu_bf16)) {
    for (size i = 0; i < count; i++) {
        uint32_t both = gelu_of[inputs[i]];
        outputs[i] = (bf16)both;
        inputs[i] = (bf16)(both >> 16);
    }
    return DONE;
}

KERNEL int add_bf16(PARAMETERS(add_bf16)) {
    for (size i = 0; i < count; i++) total[i] += from_bf16(part[i]);
    return DONE;
}

/* Adam's step (Kingma and Ba 2015, algorithm 1): the new weight, and the moments in place. What
   is new in these comes as a number of its own: 1 - 0.999 in single precision is off by 1.3e-5. */
INLINE float adam(float weight, float slope, float* first, float* second, float rate, float root,
                  float beta1, float new1, float beta2, float new2, float eps) {
    *first = beta1 * *first + new1 * slope;
    *second = beta2 * *second + new2 * slope * slope;
    return weight - rate * *first / (sqrtf(*second) * root + eps);
}

/* A step of Adam; the gradients become zero for the next one. */
KERNEL int adam_f32(PARAMETERS(adam_f32)) {
    for (size i = 0; i < count; i++) {
        weights[i] = adam(weights[i], gradients[i], first + i, second + i, rate, root, beta1, new1,
                          beta2, new2, eps);
        gradients[i] = 0.0f;
    }
    return DONE;
}

/* The same, and a copy of the weights in bf16. */
KERNEL int adam_bf16(PARAMETERS(adam_bf16)) {
    for (size i = 0; i < count; i++) {
        weights[i] = adam(weights[i], gradients[i], first + i, second + i, rate, root, beta1, new1,
                          beta2, new2, eps);
        copy[i] = to_bf16(weights[i]);
        gradients[i] = 0.0f;
    }
    return DONE;
}

/* Whether all rows are among so many words. */
static int are_within(const int64_t* rows, size count, size words) {
    int within = 1;
    for (size i = 0; i < count; i++) within &= rows[i] >= 0 && rows[i] < words;
    return within;
}

/* Rows of a table as they are after the last step of Adam; see RowAdam for the columns, of which
   each row takes the entry of the step that touched it last. */
KERNEL int rows_caught_up_f32(PARAMETERS(rows_caught_up_f32)) {
    if (!are_within(rows, count, words)) return NO_SUCH_ROW;
    for (size number = 0; number < count; number++) {
        size row = rows[number], at = row * features;
        const float* column = columns + touched[row];
        float left = column[0], moved = column[steps], below = column[2 * steps];
        float* out = weights + number * features;
        for (size i = 0; i < features; i++)
            out[i] = left * table[at + i] - moved * first[at + i] / (sqrtf(second[at + i]) + below);
    }
    return DONE;
}

/* A step of Adam on these rows. */
KERNEL int rows_step_f32(PARAMETERS(rows_step_f32)) {
    if (!are_within(rows, count, words)) return NO_SUCH_ROW;
    for (size number = 0; number < count; number++) {
        size row = rows[number], at = row * features;
        const float* column = columns + touched[row];
        float decay1 = column[3 * steps], decay2 = column[4 * steps];
        const float *weight = weights + number * features,
                    *gradient = gradients + number * features;
        for (size i = 0; i < features; i++) {
            first[at + i] *= decay1;
            second[at + i] *= decay2;
            table[at + i] = adam(left * weight[i], gradient[i], first + at + i, second + at + i,
                                 rate, root, beta1, new1, beta2, new2, eps);
        }
        touched[row] = step;
    }
    return DONE;
}

#include "products.inc"

#define ACTIVATION float
#define FROM(value) (value)
#define TO(value) (value)
#define NAMED(name) name##_f32
#include "by_type.inc"

#include "layers_in_blocks.inc"
#include "last_layer_by_type.inc"

#undef ACTIVATION
#undef FROM
#undef TO
#undef NAMED
#define ACTIVATION bf16
#define FROM from_bf16
#define TO to_bf16
#define NAMED(name) name##_bf16
#include "by_type.inc"
#include "last_layer_by_type.inc"

/* Rows of parts * heads * features as (part, text, head, token, feature). */
KERNEL int split_bf16(PARAMETERS(split_bf16)) {
    size all = parts * heads * features;
    for (size text = 0; text < texts; text++)
        for (size part = 0; part < parts; part++)
            for (size head = 0; head < heads; head++)
                for (size token = 0; token < width; token++) {
                    size column = (part * heads + head) * features;
                    size place = (((part * texts + text) * heads + head) * width + token);
                    memcpy(outputs + place * features, rows + (text * width + token) * all + column,
                           (size_t)features * sizeof *rows);
                }
    return DONE;
}

/* The inverse, and the sum of the rows if it is asked for. */
KERNEL int merge_bf16(PARAMETERS(merge_bf16)) {
    size all = parts * heads * features;
    float* sums = calloc((size_t)features, sizeof *sums);
    if (sums == NULL) return NO_MEMORY;
    for (size text = 0; text < texts; text++)
        for (size part = 0; part < parts; part++)
            for (size head = 0; head < heads; head++) {
                size column = (part * heads + head) * features;
                for (size token = 0; token < width; token++) {
                    size place = (((part * texts + text) * heads + head) * width + token);
                    const bf16* in = inputs + place * features;
                    memcpy(rows + (text * width + token) * all + column, in,
                           (size_t)features * sizeof *in);
                    if (bias_gradient != NULL)
                        for (size i = 0; i < features; i++) sums[i] += from_bf16(in[i]);
                }
                if (bias_gradient != NULL) flush_bf16(sums, bias_gradient + column, features);
            }
    free(sums);
    return DONE;
}

#if defined(__x86_64__)
#include "tiles.inc"
#include "attention_in_tiles.inc"
#else
int has_tiles(void) { return 0; }
int attention_in_tiles(PARAMETERS(attention_in_tiles)) { return NO_TILES; }
int attention_in_tiles_backward(PARAMETERS(attention_in_tiles_backward)) { return NO_TILES; }
#endif
