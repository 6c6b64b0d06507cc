/* Rows of words of one size, for planes.h: included once for each WORD. */

#define W(name) JOIN(name, WORD_BITS)

/* The bits of eight values, or of the last few, from `size` bytes and to them. */
INLINE void W(squeeze)(const WORD *words, int64_t columns, int shift, int size, uint8_t *out)
{
    const WORD mask = (WORD)(((uint64_t)1 << size) - 1);
    int64_t first = 0;
    for (; first + 8 <= columns; first += 8, out += size) {
        uint64_t joined = 0;
        for (int k = 0; k < 8; k++)
            joined |= (uint64_t)((words[first + k] >> shift) & mask) << (size * k);
        for (int k = 0; k < size; k++)
            out[k] = (uint8_t)(joined >> (8 * k));
    }
    if (first < columns) {
        uint64_t joined = 0;
        for (int64_t k = first; k < columns; k++)
            joined |= (uint64_t)((words[k] >> shift) & mask) << (size * (k - first));
        for (int64_t k = 0; k < ((columns - first) * size + 7) / 8; k++)
            out[k] = (uint8_t)(joined >> (8 * k));
    }
}

INLINE void W(spread)(const uint8_t *in, int64_t columns, int shift, int size, WORD *words)
{
    const WORD mask = (WORD)(((uint64_t)1 << size) - 1);
    int64_t first = 0;
    for (; first + 8 <= columns; first += 8, in += size) {
        uint64_t joined = 0;
        for (int k = 0; k < size; k++)
            joined |= (uint64_t)in[k] << (8 * k);
        for (int k = 0; k < 8; k++)
            words[first + k] |= ((WORD)(joined >> (size * k)) & mask) << shift;
    }
    if (first < columns) {
        uint64_t joined = 0;
        for (int64_t k = 0; k < ((columns - first) * size + 7) / 8; k++)
            joined |= (uint64_t)in[k] << (8 * k);
        for (int64_t k = first; k < columns; k++)
            words[k] |= ((WORD)(joined >> (size * (k - first))) & mask) << shift;
    }
}

/* With the size as a constant, so that compilers unroll what depends on it. */
#define EACH_SIZE(call)              \
    switch (planes[p].size) {        \
    case 1: call(1); break;          \
    case 2: call(2); break;          \
    case 3: call(3); break;          \
    case 4: call(4); break;          \
    case 5: call(5); break;          \
    case 6: call(6); break;          \
    default: call(7); break;         \
    }

WIDEST static void W(pack_row)(const WORD *words, int64_t columns, const plane *planes, int count, uint8_t *out)
{
    for (int p = 0; p < count; p++) {
        uint8_t *to = out + planes[p].at;
        const int shift = planes[p].shift;
        if (planes[p].size == 32)
            for (int64_t k = 0; k < columns; k++) {
                const uint32_t part = (uint32_t)(words[k] >> shift);
                memcpy(to + 4 * k, &part, 4);
            }
        else if (planes[p].size == 16)
            for (int64_t k = 0; k < columns; k++) {
                const uint16_t part = (uint16_t)(words[k] >> shift);
                memcpy(to + 2 * k, &part, 2);
            }
        else if (planes[p].size == 8)
            for (int64_t k = 0; k < columns; k++)
                to[k] = (uint8_t)(words[k] >> shift);
        else
#define SQUEEZE(size) W(squeeze)(words, columns, shift, size, to)
            EACH_SIZE(SQUEEZE)
#undef SQUEEZE
    }
}

WIDEST static void W(unpack_row)(const uint8_t *in, int64_t columns, const plane *planes, int count, WORD *words)
{
    memset(words, 0, sizeof(WORD) * (size_t)columns);
    for (int p = 0; p < count; p++) {
        const uint8_t *from = in + planes[p].at;
        const int shift = planes[p].shift;
        if (planes[p].size == 32)
            for (int64_t k = 0; k < columns; k++) {
                uint32_t part;
                memcpy(&part, from + 4 * k, 4);
                words[k] |= (WORD)part << shift;
            }
        else if (planes[p].size == 16)
            for (int64_t k = 0; k < columns; k++) {
                uint16_t part;
                memcpy(&part, from + 2 * k, 2);
                words[k] |= (WORD)part << shift;
            }
        else if (planes[p].size == 8)
            for (int64_t k = 0; k < columns; k++)
                words[k] |= (WORD)from[k] << shift;
        else
#define SPREAD(size) W(spread)(from, columns, shift, size, words)
            EACH_SIZE(SPREAD)
#undef SPREAD
    }
}

/* Words, and integers if there are any, into packed rows. */
static void W(pack_rows)(const uint8_t *words, int64_t stride, const uint8_t *plain, int64_t plain_stride, int64_t rows,
                         int64_t columns, const plane *planes, int count, uint8_t *out, int64_t out_stride)
{
    WORD row[MOST_COLUMNS];
    for (int64_t at = 0; at < rows; at++) {
        memcpy(row, words + at * stride, sizeof(WORD) * (size_t)columns);
        if (plain != NULL) {
            const int64_t *more = (const int64_t *)(plain + at * plain_stride);
            for (int64_t k = 0; k < columns; k++)
                row[k] += (WORD)more[k];
        }
        W(pack_row)(row, columns, planes, count, out + at * out_stride);
    }
}

/* Packed rows into words, or added to the rows that `to` says. */
static void W(unpack_rows)(const uint8_t *packed, int64_t stride, int64_t rows, int64_t columns, const plane *planes,
                           int count, uint8_t *out, int64_t out_stride, const int64_t *to)
{
    WORD row[MOST_COLUMNS];
    for (int64_t at = 0; at < rows; at++) {
        if (to == NULL) {
            W(unpack_row)(packed + at * stride, columns, planes, count, (WORD *)(out + at * out_stride));
            continue;
        }
        WORD *sum = (WORD *)(out + to[at] * out_stride);
        if (at + AHEAD < rows)
            fetch(out + to[at + AHEAD] * out_stride, columns * (int64_t)sizeof(WORD));
        W(unpack_row)(packed + at * stride, columns, planes, count, row);
        for (int64_t k = 0; k < columns; k++)
            sum[k] += row[k];
    }
}

/* Packed rows without their masks, as integers of so many bits. */
static void W(open_rows)(const uint8_t *packed, int64_t stride, const uint8_t *masks, int64_t mask_stride, int64_t rows,
                         int64_t columns, const plane *planes, int count, int bits, uint8_t *out, int64_t out_stride)
{
    WORD row[MOST_COLUMNS];
    const int spare = 64 - bits;
    for (int64_t at = 0; at < rows; at++) {
        const WORD *mask = (const WORD *)(masks + at * mask_stride);
        int64_t *opened = (int64_t *)(out + at * out_stride);
        W(unpack_row)(packed + at * stride, columns, planes, count, row);
        for (int64_t k = 0; k < columns; k++)
            opened[k] = (int64_t)((uint64_t)(WORD)(row[k] - mask[k]) << spare) >> spare;
    }
}

/* Rows of masks taken off the rows that `from` says. */
WIDEST static void W(subtract_rows)(uint8_t *words, int64_t stride, const uint8_t *masks, int64_t mask_stride,
                                    int64_t rows, int64_t columns, const int64_t *from)
{
    for (int64_t at = 0; at < rows; at++) {
        WORD *sum = (WORD *)(words + from[at] * stride);
        const WORD *mask = (const WORD *)(masks + at * mask_stride);
        for (int64_t k = 0; k < columns; k++)
            sum[k] -= mask[k];
    }
}

/* Rows of numbers added to the rows that `to` says, one after the other. */
WIDEST static void W(add_rows)(uint8_t *words, int64_t stride, const uint8_t *numbers, int64_t number_stride,
                               int64_t rows, int64_t columns, const int64_t *to)
{
    for (int64_t at = 0; at < rows; at++) {
        WORD *sum = (WORD *)(words + to[at] * stride);
        if (at + AHEAD < rows)
            fetch(words + to[at + AHEAD] * stride, columns * (int64_t)sizeof(WORD));
        const WORD *number = (const WORD *)(numbers + at * number_stride);
        for (int64_t k = 0; k < columns; k++)
            sum[k] += number[k];
    }
}

#undef EACH_SIZE
#undef W
