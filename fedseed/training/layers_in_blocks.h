/* A layer's attention and its feed-forward network in fp32, in blocks of rows that stay in a core's
   cache: the kernels of kernels_by_type.h with the products of products.h between them. */

/* Rows at once; for attention at least a text. */
enum { ROWS = 128 };

static size texts_at_once(size width) { return ROWS / width > 0 ? ROWS / width : 1; }

KERNEL int add_bias_f32(float* restrict inputs, const float* restrict bias, size rows,
                        size features) {
    for (size row = 0; row < rows; row++)
        for (size i = 0; i < features; i++) inputs[row * features + i] += bias[i];
    return 0;
}

KERNEL int sum_rows_f32(const float* restrict inputs, float* restrict total, size rows,
                        size features) {
    float* sums = calloc((size_t)features, sizeof *sums);
    if (sums == NULL) return 1;
    for (size row = 0; row < rows; row++) {
        for (size i = 0; i < features; i++) sums[i] += inputs[row * features + i];
        if (row % BLOCK == BLOCK - 1 || row == rows - 1) flush_f32(sums, total, features);
    }
    free(sums);
    return 0;
}

/* Attention of all queries (Vaswani et al. 2017).

   Kept for the way back: projected, the queries, keys and values of each row side by side; weights,
   (text, head, width, width). */
int attention_f32(const float* states, const parameters* projections, const int64_t* lengths,
                  float* projected, float* weights, float* mixed, size texts, size width,
                  size heads, size features) {
    size hidden = heads * features, all = 3 * hidden, square = width * width;
    size step = texts_at_once(width);
    float *copy, scale = scale_of(features);
    int failed = 0;
    operand project = forward_factor(projections, all, hidden, texts > step, &copy);
    for (size from = 0; from < texts && !failed; from += step) {
        size rows = least(step, texts - from) * width, row = from * width;
        product(projected + row * all, all, plain(states + row * hidden, hidden), project, rows,
                all, hidden);
        add_bias_f32(projected + row * all, projections->bias, rows, all);
        for (size text = from; text < least(from + step, texts); text++) {
            float* own = weights + text * heads * square;
            const float* queries = projected + text * width * all;
            for (size head = 0; head < heads; head++)
                multiply(own + head * square, width, plain(queries + head * features, all),
                         transposed(queries + hidden + head * features, all), width, width,
                         features, scale, 0.0f);
            failed |= softmax_f32(own, lengths + text, 1, heads * width, width);
            for (size head = 0; head < heads; head++)
                product(mixed + text * width * hidden + head * features, hidden,
                        plain(own + head * square, width),
                        plain(queries + 2 * hidden + head * features, all), width, features,
                        width);
        }
    }
    free(copy);
    return failed;
}

/* One text's gradients of queries, keys and values; buffer is for (width, width). */
static void attention_of_text_backward(const float* gradient, const float* queries,
                                       const float* weights, float* back, float* buffer, size width,
                                       size heads, size features) {
    size hidden = heads * features, all = 3 * hidden, square = width * width;
    float scale = scale_of(features);
    for (size head = 0; head < heads; head++) {
        size at = head * features;
        operand own = plain(gradient + at, hidden);
        product(buffer, width, own, transposed(queries + 2 * hidden + at, all), width, width,
                features);
        softmax_backward_f32(buffer, weights + head * square, width, width);
        multiply(back + at, all, plain(buffer, width), plain(queries + hidden + at, all), width,
                 features, width, scale, 0.0f);
        multiply(back + hidden + at, all, transposed(buffer, width), plain(queries + at, all),
                 width, features, width, scale, 0.0f);
        product(back + 2 * hidden + at, all, transposed(weights + head * square, width), own, width,
                features, width);
    }
}

/* The way back: adds the gradient of the states to outputs. */
int attention_backward_f32(const float* gradient, const float* states,
                           const parameters* projections, const float* projected,
                           const float* weights, float* outputs, size texts, size width, size heads,
                           size features) {
    size hidden = heads * features, all = 3 * hidden, square = width * width;
    size step = texts_at_once(width);
    float *back = floats(step * width * all), *buffer = floats(square);
    int failed = back == NULL || buffer == NULL;
    for (size from = 0; from < texts && !failed; from += step) {
        size some = least(step, texts - from), rows = some * width, row = from * width;
        for (size text = 0; text < some; text++)
            attention_of_text_backward(gradient + (row + text * width) * hidden,
                                       projected + (row + text * width) * all,
                                       weights + (from + text) * heads * square,
                                       back + text * width * all, buffer, width, heads, features);
        failed |= sum_rows_f32(back, projections->bias_gradient, rows, all);
        add_product(projections->weight_gradient, hidden, transposed(back, all),
                    plain(states + row * hidden, hidden), all, hidden, rows);
        add_product(outputs + row * hidden, hidden, plain(back, all),
                    plain(projections->weight, hidden), rows, hidden, all);
    }
    free(back);
    free(buffer);
    return failed;
}

/* Parameters of what follows the attention, in the order of the work. */
typedef struct {
    parameters project, norm, widen, narrow, last_norm;
} feed_forward_parameters;

/* What follows the attention: its projection, and the feed-forward network.

   Kept for the way back: what the two norms have normalised (first, second) and by which scales, the
   outputs of the first (middle), and the GELU's slopes and values (active). */
int feed_forward_f32(const float* mixed, const float* residual, const feed_forward_parameters* own,
                     float* first, float* first_scales, float* middle, float* slopes, float* active,
                     float* second, float* second_scales, float* outputs, size all_rows,
                     size hidden, size wide, float eps) {
    float* copies[3];
    int failed = 0, many = all_rows > ROWS;
    operand project = forward_factor(&own->project, hidden, hidden, many, copies),
            widen = forward_factor(&own->widen, wide, hidden, many, copies + 1),
            narrow = forward_factor(&own->narrow, hidden, wide, many, copies + 2);
    for (size row = 0; row < all_rows && !failed; row += ROWS) {
        size rows = least(ROWS, all_rows - row), at = row * hidden, wide_at = row * wide;
        product(first + at, hidden, plain(mixed + at, hidden), project, rows, hidden, hidden);
        failed |= add_norm_f32(first + at, own->project.bias, residual + at, own->norm.weight,
                               own->norm.bias, middle + at, first_scales + row, rows, hidden, eps);
        product(slopes + wide_at, wide, plain(middle + at, hidden), widen, rows, wide, hidden);
        gelu_f32(slopes + wide_at, own->widen.bias, active + wide_at, rows, wide);
        product(second + at, hidden, plain(active + wide_at, wide), narrow, rows, hidden, wide);
        failed |= add_norm_f32(second + at, own->narrow.bias, middle + at, own->last_norm.weight,
                               own->last_norm.bias, outputs + at, second_scales + row, rows, hidden,
                               eps);
    }
    for (int number = 0; number < 3; number++) free(copies[number]);
    return failed;
}

/* The way back: the gradients of mixed and of residual. */
int feed_forward_backward_f32(const float* gradient, const float* mixed,
                              const feed_forward_parameters* own, const float* first,
                              const float* first_scales, const float* middle, const float* slopes,
                              const float* active, const float* second, const float* second_scales,
                              float* of_mixed, float* of_residual, size all_rows, size hidden,
                              size wide) {
    float *outer = floats(ROWS * hidden), *of_middle = floats(ROWS * hidden),
          *inner = floats(ROWS * wide);
    int failed = outer == NULL || of_middle == NULL || inner == NULL;
    for (size row = 0; row < all_rows && !failed; row += ROWS) {
        size rows = least(ROWS, all_rows - row), at = row * hidden, wide_at = row * wide;
        failed |= norm_backward_f32(gradient + at, NULL, second + at, second_scales + row,
                                    own->last_norm.weight, outer, own->last_norm.weight_gradient,
                                    own->last_norm.bias_gradient, own->narrow.bias_gradient, rows,
                                    hidden);
        add_product(own->narrow.weight_gradient, wide, transposed(outer, hidden),
                    plain(active + wide_at, wide), hidden, wide, rows);
        product(inner, wide, plain(outer, hidden), plain(own->narrow.weight, wide), rows, wide,
                hidden);
        failed |= gelu_backward_f32(inner, slopes + wide_at, own->widen.bias_gradient, rows, wide);
        add_product(own->widen.weight_gradient, hidden, transposed(inner, wide),
                    plain(middle + at, hidden), wide, hidden, rows);
        product(of_middle, hidden, plain(inner, wide), plain(own->widen.weight, hidden), rows,
                hidden, wide);
        failed |= norm_backward_f32(of_middle, outer, first + at, first_scales + row,
                                    own->norm.weight, of_residual + at, own->norm.weight_gradient,
                                    own->norm.bias_gradient, own->project.bias_gradient, rows,
                                    hidden);
        add_product(own->project.weight_gradient, hidden, transposed(of_residual + at, hidden),
                    plain(mixed + at, hidden), hidden, hidden, rows);
        product(of_mixed + at, hidden, plain(of_residual + at, hidden),
                plain(own->project.weight, hidden), rows, hidden, hidden);
    }
    free(outer);
    free(of_middle);
    free(inner);
    return failed;
}
