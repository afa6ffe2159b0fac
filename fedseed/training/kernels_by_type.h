/* Kernels for one type of activations; see kernels.c, which defines ACTIVATION, FROM and TO.

   Rows lie end to end. Sums over rows are added to what is there. */

/* One row of sums into the total, and zero again. */
INLINE void NAMED(flush)(float* restrict sums, float* restrict total, size features) {
    for (size i = 0; i < features; i++) {
        total[i] += sums[i];
        sums[i] = 0.0f;
    }
}

/* gradients *= slopes, and the sum of the rows. */
KERNEL int NAMED(gelu_backward)(ACTIVATION* restrict gradients, const ACTIVATION* restrict slopes,
                                float* restrict bias_gradient, size rows, size features) {
    float* sums = calloc((size_t)features, sizeof *sums);
    if (sums == NULL) return 1;
    for (size row = 0; row < rows; row++) {
        ACTIVATION* gradient = gradients + row * features;
        const ACTIVATION* slope = slopes + row * features;
        for (size i = 0; i < features; i++) {
            float value = FROM(gradient[i]) * FROM(slope[i]);
            gradient[i] = TO(value);
            sums[i] += value;
        }
        if (row % BLOCK == BLOCK - 1) NAMED(flush)(sums, bias_gradient, features);
    }
    NAMED(flush)(sums, bias_gradient, features);
    free(sums);
    return 0;
}

/* Normalise one row; returns what it was multiplied with. */
INLINE float NAMED(norm_row)(const float* restrict sum, const float* restrict weight,
                             const float* restrict shift, ACTIVATION* restrict normalised,
                             ACTIVATION* restrict outputs, size features, float eps) {
    float mean = 0.0f, variance = 0.0f;
    for (size i = 0; i < features; i++) mean += sum[i];
    mean /= (float)features;
    for (size i = 0; i < features; i++) variance += (sum[i] - mean) * (sum[i] - mean);
    float scale = 1.0f / sqrtf(variance / (float)features + eps);
    for (size i = 0; i < features; i++) {
        float plain = (sum[i] - mean) * scale;
        normalised[i] = TO(plain);
        outputs[i] = TO(plain * weight[i] + shift[i]);
    }
    return scale;
}

/* The way back for one row: its gradient, and its part of the sums for weight and shift. */
INLINE void NAMED(norm_row_backward)(const ACTIVATION* restrict gradient,
                                     const ACTIVATION* restrict more,
                                     const ACTIVATION* restrict normalised, float scale,
                                     const float* restrict weight, float* restrict outputs,
                                     float* restrict of_weight, float* restrict of_shift,
                                     size features) {
    float mean = 0.0f, slope = 0.0f;
    for (size i = 0; i < features; i++) outputs[i] = FROM(gradient[i]);
    if (more != NULL)
        for (size i = 0; i < features; i++) outputs[i] += FROM(more[i]);
    for (size i = 0; i < features; i++) {
        float own = outputs[i], at = FROM(normalised[i]), weighted = own * weight[i];
        of_weight[i] += own * at;
        of_shift[i] += own;
        outputs[i] = weighted;
        mean += weighted;
        slope += weighted * at;
    }
    mean /= (float)features;
    slope /= (float)features;
    for (size i = 0; i < features; i++)
        outputs[i] = scale * (outputs[i] - mean - FROM(normalised[i]) * slope);
}

/* Layer norm of inputs + bias + residual; the inputs become what is normalised, before weight and
   shift. */
INLINE int NAMED(add_norm_of)(ACTIVATION* restrict inputs, const float* restrict bias,
                              const ACTIVATION* restrict residual, const float* restrict weight,
                              const float* restrict shift, ACTIVATION* restrict outputs,
                              float* restrict scales, size rows, size features, float eps) {
    float* sum = malloc((size_t)features * sizeof *sum);
    if (sum == NULL) return 1;
    for (size row = 0; row < rows; row++) {
        ACTIVATION* in = inputs + row * features;
        const ACTIVATION* other = residual + row * features;
        for (size i = 0; i < features; i++) sum[i] = FROM(in[i]) + FROM(other[i]);
        if (bias != NULL)
            for (size i = 0; i < features; i++) sum[i] += bias[i];
        scales[row] =
            NAMED(norm_row)(sum, weight, shift, in, outputs + row * features, features, eps);
    }
    free(sum);
    return 0;
}

KERNEL int NAMED(add_norm)(ACTIVATION* restrict inputs, const float* restrict bias,
                           const ACTIVATION* restrict residual, const float* restrict weight,
                           const float* restrict shift, ACTIVATION* restrict outputs,
                           float* restrict scales, size rows, size features, float eps) {
    if (features == COMMON)
        return NAMED(add_norm_of)(inputs, bias, residual, weight, shift, outputs, scales, rows,
                                  COMMON, eps);
    return NAMED(add_norm_of)(inputs, bias, residual, weight, shift, outputs, scales, rows,
                              features, eps);
}

/* The gradient of what was normalised, and the sums for weight, shift and the inputs' bias. The
   outputs' gradients are the sum of one or two arrays. */
INLINE int NAMED(norm_backward_of)(const ACTIVATION* restrict gradients,
                                   const ACTIVATION* restrict residual,
                                   const ACTIVATION* restrict normalised,
                                   const float* restrict scales, const float* restrict weight,
                                   ACTIVATION* restrict outputs, float* restrict weight_gradient,
                                   float* restrict shift_gradient, float* restrict bias_gradient,
                                   size rows, size features) {
    float* sums = calloc((size_t)features * 4, sizeof *sums);
    if (sums == NULL) return 1;
    float *of_weight = sums, *of_shift = sums + features, *of_bias = sums + 2 * features;
    float* back = sums + 3 * features;
    for (size row = 0; row < rows; row++) {
        ACTIVATION* out = outputs + row * features;
        NAMED(norm_row_backward)(
            gradients + row * features, residual == NULL ? NULL : residual + row * features,
            normalised + row * features, scales[row], weight, back, of_weight, of_shift, features);
        for (size i = 0; i < features; i++) {
            out[i] = TO(back[i]);
            of_bias[i] += back[i];
        }
        if (row % BLOCK == BLOCK - 1 || row == rows - 1) {
            NAMED(flush)(of_weight, weight_gradient, features);
            NAMED(flush)(of_shift, shift_gradient, features);
            NAMED(flush)(of_bias, bias_gradient, features);
        }
    }
    free(sums);
    return 0;
}

KERNEL int NAMED(norm_backward)(const ACTIVATION* restrict gradients,
                                const ACTIVATION* restrict residual,
                                const ACTIVATION* restrict normalised, const float* restrict scales,
                                const float* restrict weight, ACTIVATION* restrict outputs,
                                float* restrict weight_gradient, float* restrict shift_gradient,
                                float* restrict bias_gradient, size rows, size features) {
    if (features == COMMON)
        return NAMED(norm_backward_of)(gradients, residual, normalised, scales, weight, outputs,
                                       weight_gradient, shift_gradient, bias_gradient, rows,
                                       COMMON);
    return NAMED(norm_backward_of)(gradients, residual, normalised, scales, weight, outputs,
                                   weight_gradient, shift_gradient, bias_gradient, rows, features);
}

/* Layer norm of each token's word, position and the first segment. */
INLINE int NAMED(embed_of)(ACTIVATION* restrict outputs, ACTIVATION* restrict normalised,
                           float* restrict scales, const float* restrict words,
                           const int64_t* restrict places, const float* restrict positions,
                           const float* restrict segment, const float* restrict weight,
                           const float* restrict shift, size texts, size width, size features,
                           float eps) {
    float* sum = malloc((size_t)features * sizeof *sum);
    if (sum == NULL) return 1;
    for (size row = 0; row < texts * width; row++) {
        const float* word = words + places[row] * features;
        const float* position = positions + row % width * features;
        for (size i = 0; i < features; i++) sum[i] = word[i] + (position[i] + segment[i]);
        scales[row] = NAMED(norm_row)(sum, weight, shift, normalised + row * features,
                                      outputs + row * features, features, eps);
    }
    free(sum);
    return 0;
}

KERNEL int NAMED(embed)(ACTIVATION* restrict outputs, ACTIVATION* restrict normalised,
                        float* restrict scales, const float* restrict words,
                        const int64_t* restrict places, const float* restrict positions,
                        const float* restrict segment, const float* restrict weight,
                        const float* restrict shift, size texts, size width, size features,
                        float eps) {
    if (features == COMMON)
        return NAMED(embed_of)(outputs, normalised, scales, words, places, positions, segment,
                               weight, shift, texts, width, COMMON, eps);
    return NAMED(embed_of)(outputs, normalised, scales, words, places, positions, segment, weight,
                           shift, texts, width, features, eps);
}

/* The sums for weight, shift, words and positions. */
INLINE int NAMED(embed_backward_of)(const ACTIVATION* restrict gradients,
                                    const ACTIVATION* restrict normalised,
                                    const float* restrict scales, const int64_t* restrict places,
                                    const float* restrict weight, float* restrict weight_gradient,
                                    float* restrict shift_gradient, float* restrict word_gradients,
                                    float* restrict position_gradients, size texts, size width,
                                    size features) {
    float* sums = calloc((size_t)features * 3, sizeof *sums);
    if (sums == NULL) return 1;
    float *of_weight = sums, *of_shift = sums + features, *back = sums + 2 * features;
    for (size row = 0; row < texts * width; row++) {
        float* word = word_gradients + places[row] * features;
        float* position = position_gradients + row % width * features;
        NAMED(norm_row_backward)(gradients + row * features, NULL, normalised + row * features,
                                 scales[row], weight, back, of_weight, of_shift, features);
        for (size i = 0; i < features; i++) {
            word[i] += back[i];
            position[i] += back[i];
        }
        if (row % BLOCK == BLOCK - 1 || row == texts * width - 1) {
            NAMED(flush)(of_weight, weight_gradient, features);
            NAMED(flush)(of_shift, shift_gradient, features);
        }
    }
    free(sums);
    return 0;
}

KERNEL int NAMED(embed_backward)(const ACTIVATION* restrict gradients,
                                 const ACTIVATION* restrict normalised,
                                 const float* restrict scales, const int64_t* restrict places,
                                 const float* restrict weight, float* restrict weight_gradient,
                                 float* restrict shift_gradient, float* restrict word_gradients,
                                 float* restrict position_gradients, size texts, size width,
                                 size features) {
    if (features == COMMON)
        return NAMED(embed_backward_of)(gradients, normalised, scales, places, weight,
                                        weight_gradient, shift_gradient, word_gradients,
                                        position_gradients, texts, width, COMMON);
    return NAMED(embed_backward_of)(gradients, normalised, scales, places, weight, weight_gradient,
                                    shift_gradient, word_gradients, position_gradients, texts,
                                    width, features);
}

/* Softmax in place of each text's rows over its own tokens; 0 for padding. */
KERNEL int NAMED(softmax)(ACTIVATION* restrict scores, const int64_t* restrict lengths, size texts,
                          size rows, size width) {
    float* buffer = malloc((size_t)width * sizeof *buffer);
    if (buffer == NULL) return 1;
    for (size text = 0; text < texts; text++) {
        size length = (size)lengths[text];
        for (size row = 0; row < rows; row++) {
            ACTIVATION* own = scores + (text * rows + row) * width;
            float largest = -INFINITY, total = 0.0f;
            for (size i = 0; i < length; i++) buffer[i] = FROM(own[i]);
#pragma omp simd reduction(max : largest)
            for (size i = 0; i < length; i++) largest = buffer[i] > largest ? buffer[i] : largest;
            for (size i = 0; i < length; i++) buffer[i] = exponential(buffer[i] - largest);
            for (size i = 0; i < length; i++) total += buffer[i];
            float share = 1.0f / total;
            for (size i = 0; i < length; i++) own[i] = TO(buffer[i] * share);
            for (size i = length; i < width; i++) own[i] = TO(0.0f);
        }
    }
    free(buffer);
    return 0;
}

/* The gradient of the scores in place of that of the weights. */
KERNEL int NAMED(softmax_backward)(ACTIVATION* restrict gradients,
                                   const ACTIVATION* restrict weights, size rows, size width) {
    for (size row = 0; row < rows; row++) {
        ACTIVATION* gradient = gradients + row * width;
        const ACTIVATION* weight = weights + row * width;
        float mean = 0.0f;
        for (size i = 0; i < width; i++) mean += FROM(gradient[i]) * FROM(weight[i]);
        for (size i = 0; i < width; i++)
            gradient[i] = TO(FROM(weight[i]) * (FROM(gradient[i]) - mean));
    }
    return 0;
}
