/* Matrix products through the BLAS that torch is linked with. Rows lie end to end; a stride is what
   lies between the starts of two rows in memory. */

/* BLAS' sgemm. Sizes are passed as 64 bits, of which a BLAS with 32 reads the lower half. */
typedef void (*sgemm)(const char*, const char*, const int64_t*, const int64_t*, const int64_t*,
                      const float*, const float*, const int64_t*, const float*, const int64_t*,
                      const float*, float*, const int64_t*);

static sgemm multiply_columns;
static int64_t counted;

void use_sgemm(void* function) { multiply_columns = (sgemm)function; }

/* Floating-point operations of the products so far. */
int64_t operations(void) { return counted; }

/* One of the two factors of a product. */
typedef struct {
    const float* values;
    size stride;
    char transposed;
} operand;

static operand plain(const float* values, size stride) {
    return (operand){values, stride, 'N'};
}

static operand transposed(const float* values, size stride) {
    return (operand){values, stride, 'T'};
}

/* out = scale * left . right + keep * out. BLAS has columns end to end: for it all is transposed,
   and the factors change places. */
static void multiply(float* out, size stride, operand left, operand right, size rows, size columns,
                     size inner, float scale, float keep) {
    int64_t m = columns, n = rows, k = inner, a = right.stride, b = left.stride, c = stride;
    multiply_columns(&right.transposed, &left.transposed, &m, &n, &k, &scale, right.values, &a,
                     left.values, &b, &keep, out, &c);
    counted += 2 * m * n * k;
}

/* out = left . right */
static void product(float* out, size stride, operand left, operand right, size rows, size columns,
                    size inner) {
    multiply(out, stride, left, right, rows, columns, inner, 1.0f, 0.0f);
}

/* total += left . right */
static void add_product(float* total, size stride, operand left, operand right, size rows,
                        size columns, size inner) {
    multiply(total, stride, left, right, rows, columns, inner, 1.0f, 1.0f);
}

/* Memory for numbers, to be freed; NULL without any. The results of a BLAS may depend on where a
   matrix starts: always at the same place within a line of the cache. */
static float* floats(size count) {
    return aligned_alloc(64, ((size_t)count * sizeof(float) + 63) / 64 * 64);
}

static size least(size one, size other) { return one < other ? one : other; }

/* What attention's scores are multiplied with (Vaswani et al. 2017). */
static float scale_of(size features) { return 1.0f / sqrtf((float)features); }

/* Parameters of a linear layer or a layer norm. Gradients are added to. Weights have one row for each
   output, as torch's. */
typedef struct {
    float *weight, *bias, *weight_gradient, *bias_gradient;
} parameters;

KERNEL int transpose_f32(const float* restrict inputs, float* restrict outputs, size rows,
                         size columns) {
    enum { SIDE = 16 }; /* numbers in a line of the cache */
    for (size row = 0; row < rows; row += SIDE)
        for (size column = 0; column < columns; column++)
            for (size i = row; i < least(row + SIDE, rows); i++)
                outputs[column * rows + i] = inputs[i * columns + column];
    return 0;
}

/* A layer's weight, shape (outputs, inputs), as the right factor of its forward product. For many
   rows it is turned over first, into memory to be freed: as it is a product takes a sixth longer. */
static operand forward_factor(const parameters* linear, size outputs, size inputs, int many,
                              float** copy) {
    *copy = many ? floats(outputs * inputs) : NULL;
    if (*copy == NULL) return transposed(linear->weight, inputs);
    transpose_f32(linear->weight, *copy, outputs, inputs);
    return plain(*copy, outputs);
}
