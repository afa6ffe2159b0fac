/* The last layer's attention, for each text's first token; see LastLayer: with few queries, these are
   projected instead of keys and values. The states have a type of their own, all else is fp32. */

KERNEL int NAMED(to_floats)(const ACTIVATION* restrict inputs, float* restrict outputs, size count) {
    for (size i = 0; i < count; i++) outputs[i] = FROM(inputs[i]);
    return 0;
}

KERNEL int NAMED(from_floats)(const float* restrict inputs, ACTIVATION* restrict outputs, size count) {
    for (size i = 0; i < count; i++) outputs[i] = TO(inputs[i]);
    return 0;
}

/* outputs += inputs */
KERNEL int NAMED(add_row)(const float* restrict inputs, ACTIVATION* restrict outputs, size count) {
    for (size i = 0; i < count; i++) outputs[i] = TO(FROM(outputs[i]) + inputs[i]);
    return 0;
}

/* Rows as fp32: themselves, or a copy in the buffer. */
static const float* NAMED(as_floats)(const ACTIVATION* rows, float* buffer, size count) {
    if (sizeof(ACTIVATION) == sizeof(float)) return (const float*)(const void*)rows;
    NAMED(to_floats)(rows, buffer, count);
    return buffer;
}

/* Kept for the way back: first, the first tokens' states; queries; asking, the queries in terms of
   the states, (text, head, hidden), like mixed; weights, (text, head, width). */
int NAMED(last_attention)(const ACTIVATION* states, const parameters* query, const parameters* key,
                          const parameters* value, const int64_t* lengths, float* first,
                          float* queries, float* asking, float* weights, float* mixed,
                          float* values, size texts, size width, size heads, size features) {
    size hidden = heads * features, all = heads * hidden;
    float *buffer = floats(width * hidden), scale = scale_of(features);
    int failed = buffer == NULL;
    if (failed) return failed;
    for (size text = 0; text < texts; text++)
        NAMED(to_floats)(states + text * width * hidden, first + text * hidden, hidden);
    product(queries, hidden, plain(first, hidden), transposed(query->weight, hidden), texts, hidden,
            hidden);
    add_bias_f32(queries, query->bias, texts, hidden);
    for (size head = 0; head < heads; head++)
        product(asking + head * hidden, all, plain(queries + head * features, hidden),
                plain(key->weight + head * features * hidden, hidden), texts, hidden, features);
    for (size text = 0; text < texts; text++) {
        const float* own =
            NAMED(as_floats)(states + text * width * hidden, buffer, width * hidden);
        float* shares = weights + text * heads * width;
        multiply(shares, width, plain(asking + text * all, hidden), transposed(own, hidden), heads,
                 width, hidden, scale, 0.0f);
        failed |= softmax_f32(shares, lengths + text, 1, heads, width);
        product(mixed + text * all, hidden, plain(shares, width), plain(own, hidden), heads, hidden,
                width);
    }
    for (size head = 0; head < heads; head++)
        product(values + head * features, hidden, plain(mixed + head * hidden, all),
                transposed(value->weight + head * features * hidden, hidden), texts, features,
                hidden);
    add_bias_f32(values, value->bias, texts, hidden);
    free(buffer);
    return failed;
}

/* One text's part of the way back: the gradients of its states and, in asked, of its row of asking;
   the buffers are for the text's rows and for its scores. */
static void NAMED(last_attention_of_text_backward)(const ACTIVATION* states, const float* asking,
                                                   const float* weights, const float* inner,
                                                   float* asked, ACTIVATION* outputs, float* buffer,
                                                   float* scores, size width, size heads,
                                                   size features) {
    size hidden = heads * features;
    float scale = scale_of(features);
    const float* own = NAMED(as_floats)(states, buffer, width * hidden);
    product(scores, width, plain(inner, hidden), transposed(own, hidden), heads, width, hidden);
    softmax_backward_f32(scores, weights, heads, width);
    multiply(asked, hidden, plain(scores, width), plain(own, hidden), heads, hidden, width, scale,
             0.0f);
    float* target = sizeof(ACTIVATION) == sizeof(float) ? (float*)(void*)outputs : buffer;
    product(target, hidden, transposed(weights, width), plain(inner, hidden), width, hidden, heads);
    multiply(target, hidden, transposed(scores, width), plain(asking, hidden), width, hidden, heads,
             scale, 1.0f);
    if (target == buffer) NAMED(from_floats)(buffer, outputs, width * hidden);
}

/* The way back: the gradient of the states. That of the first tokens, which the residual connection
   has begun, is completed in place. The key's bias moves all scores of a query alike: its gradient is
   zero. */
int NAMED(last_attention_backward)(const ACTIVATION* states, const float* gradient,
                                   const parameters* query, const parameters* key,
                                   const parameters* value, const float* first,
                                   const float* queries, const float* asking, const float* weights,
                                   const float* mixed, float* of_first, ACTIVATION* outputs,
                                   size texts, size width, size heads, size features) {
    size hidden = heads * features, all = heads * hidden;
    float *buffer = floats(width * hidden), *scores = floats(heads * width),
          *inner = floats(texts * all), *asked = floats(texts * all),
          *of_queries = floats(texts * hidden);
    int failed = !buffer || !scores || !inner || !asked || !of_queries;
    for (size head = 0; head < heads && !failed; head++) {
        size at = head * features * hidden;
        operand own = plain(gradient + head * features, hidden);
        add_product(value->weight_gradient + at, hidden,
                    transposed(gradient + head * features, hidden),
                    plain(mixed + head * hidden, all), features, hidden, texts);
        product(inner + head * hidden, all, own, plain(value->weight + at, hidden), texts, hidden,
                features);
    }
    for (size text = 0; text < texts && !failed; text++)
        NAMED(last_attention_of_text_backward)(
            states + text * width * hidden, asking + text * all, weights + text * heads * width,
            inner + text * all, asked + text * all, outputs + text * width * hidden, buffer, scores,
            width, heads, features);
    for (size head = 0; head < heads && !failed; head++) {
        size at = head * features * hidden;
        operand own = plain(asked + head * hidden, all);
        add_product(key->weight_gradient + at, hidden,
                    transposed(queries + head * features, hidden), own, features, hidden, texts);
        product(of_queries + head * features, hidden, own, transposed(key->weight + at, hidden),
                texts, features, hidden);
    }
    if (!failed) {
        failed |= sum_rows_f32(gradient, value->bias_gradient, texts, hidden);
        failed |= sum_rows_f32(of_queries, query->bias_gradient, texts, hidden);
        add_product(query->weight_gradient, hidden, transposed(of_queries, hidden),
                    plain(first, hidden), hidden, hidden, texts);
        add_product(of_first, hidden, plain(of_queries, hidden), plain(query->weight, hidden),
                    texts, hidden, hidden);
        for (size text = 0; text < texts; text++)
            NAMED(add_row)(of_first + text * hidden, outputs + text * width * hidden, hidden);
    }
    float* buffers[] = {buffer, scores, inner, asked, of_queries};
    for (int number = 0; number < 5; number++) free(buffers[number]);
    return failed;
}
