/* What the ridge rule and the errors of a run take most time for, with the bits of the NumPy path.
 *
 * Sums have NumPy's order: over the contiguous last axis that of np.add.reduce (`pairwise`), over the first axis
 * row by row. No product is fused with a sum (-ffp-contract=off), so that wider vectors change no bit.
 * module.c checks that arrays fit each other. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && defined(__linux__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

#define AHEAD 8 /* ratings whose items' rows are fetched while others are worked on: they lie anywhere in memory */

static inline void fetch(const double *row, Py_ssize_t numbers)
{
#ifdef __GNUC__
    for (Py_ssize_t at = 0; at < numbers; at += 8)
        __builtin_prefetch(row + at);
#else
    (void)row, (void)numbers;
#endif
}

#define CHUNK 128 /* as _CHUNK of ridge_steps.py: ratings whose products are summed before they join others */

static double pairwise(const double *a, Py_ssize_t n)
{
    if (n < 8) {
        double sum = -0.0;
        for (Py_ssize_t i = 0; i < n; i++)
            sum += a[i];
        return sum;
    }
    if (n <= 128) {
        double r[8];
        Py_ssize_t i;
        for (int k = 0; k < 8; k++)
            r[k] = a[k];
        for (i = 8; i < n - n % 8; i += 8)
            for (int k = 0; k < 8; k++)
                r[k] += a[i + k];
        double sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
        for (; i < n; i++)
            sum += a[i];
        return sum;
    }
    Py_ssize_t half = n / 2;
    half -= half % 8;
    return pairwise(a, half) + pairwise(a + half, n - half);
}

/* <a, b>; products: room for n numbers. */
static inline double inner(const double *a, const double *b, Py_ssize_t n, double *products)
{
    for (Py_ssize_t i = 0; i < n; i++)
        products[i] = a[i] * b[i];
    return 0.0 + pairwise(products, n);
}

/* The upper triangle of sum x x' and sum x y over some ratings, row by row. */
WIDE static void gather(const double *vectors, Py_ssize_t stride, const int64_t *items, const double *values,
                        Py_ssize_t count, Py_ssize_t m, int bias, double *gram, double *right)
{
    Py_ssize_t at = 0;
    memset(gram, 0, sizeof(double) * m * m);
    memset(right, 0, sizeof(double) * m);
    for (; at + 4 <= count; at += 4) {
        const double *x[4];
        double y[4];
        for (int k = 0; k < 4 && at + AHEAD + k < count; k++)
            fetch(vectors + items[at + AHEAD + k] * stride, stride);
        for (int k = 0; k < 4; k++) {
            x[k] = vectors + items[at + k] * stride;
            y[k] = bias ? values[at + k] - x[k][m] : values[at + k];
        }
        for (Py_ssize_t i = 0; i < m; i++) {
            double *row = gram + i * m, a = x[0][i], b = x[1][i], c = x[2][i], d = x[3][i];
            for (Py_ssize_t j = i & ~(Py_ssize_t)7; j < m; j++)
                row[j] = (((row[j] + a * x[0][j]) + b * x[1][j]) + c * x[2][j]) + d * x[3][j];
            right[i] = (((right[i] + a * y[0]) + b * y[1]) + c * y[2]) + d * y[3];
        }
    }
    for (; at < count; at++) {
        const double *x = vectors + items[at] * stride, y = bias ? values[at] - x[m] : values[at];
        for (Py_ssize_t i = 0; i < m; i++) {
            double *row = gram + i * m, a = x[i];
            for (Py_ssize_t j = i & ~(Py_ssize_t)7; j < m; j++)
                row[j] += a * x[j];
            right[i] += a * y;
        }
    }
}

/* Elimination, and what is known put in from the last row on: solve() of ridge_steps.py for one matrix. */
WIDE static void eliminate(double *restrict matrix, double *restrict right, Py_ssize_t m)
{
    for (Py_ssize_t k = 0; k < m; k++) {
        const double *pivot = matrix + k * m;
        for (Py_ssize_t i = k + 1; i < m; i++) {
            double *restrict row = matrix + i * m, factor = row[k] / pivot[k];
            for (Py_ssize_t j = k + 1; j < m; j++)
                row[j] -= factor * pivot[j];
            right[i] -= factor * right[k];
        }
    }
}

static int outside(const int64_t *starts, Py_ssize_t users, const int64_t *items, Py_ssize_t ratings,
                   Py_ssize_t rows)
{
    if (users < 0 || starts[0] != 0 || starts[users] != ratings)
        return 1;
    for (Py_ssize_t u = 0; u < users; u++)
        if (starts[u + 1] < starts[u])
            return 1;
    for (Py_ssize_t k = 0; k < ratings; k++)
        if (items[k] < 0 || items[k] >= rows)
            return 1;
    return 0;
}

static void refit_all(const double *vectors, Py_ssize_t stride, const int64_t *starts, Py_ssize_t users,
                      const int64_t *items, const double *values, Py_ssize_t m, int bias, const double *penalty,
                      double *out, double *work)
{
    double *gram = work, *part = gram + m * m, *right = part + m * m, *sums = right + m, *products = sums + m;
    for (Py_ssize_t u = 0; u < users; u++) {
        memset(gram, 0, sizeof(double) * m * m);
        memset(right, 0, sizeof(double) * m);
        for (int64_t first = starts[u]; first < starts[u + 1]; first += CHUNK) {
            int64_t count = starts[u + 1] - first < CHUNK ? starts[u + 1] - first : CHUNK;
            gather(vectors, stride, items + first, values + first, count, m, bias, part, sums);
            for (Py_ssize_t i = 0; i < m; i++) {
                for (Py_ssize_t j = i; j < m; j++)
                    gram[i * m + j] += part[i * m + j];
                right[i] += sums[i];
            }
        }
        for (Py_ssize_t i = 0; i < m; i++) {
            gram[i * m + i] += penalty[i];
            for (Py_ssize_t j = 0; j < i; j++)
                gram[i * m + j] = gram[j * m + i];
        }
        eliminate(gram, right, m);
        double *x = out + u * m;
        for (Py_ssize_t k = m - 1; k >= 0; k--) {
            double known = inner(gram + k * m + k + 1, x + k + 1, m - k - 1, products);
            x[k] = (right[k] - known) / gram[k * m + k];
        }
    }
}

static double larger(double a, double b)
{
    return a > b || a != a ? a : b;
}

/* In order: factors, bias, first round; then numbers, as `compiled.item_steps` packs them. */
typedef struct {
    double reg_item, reg_bias, along, relaxation, prior, floor, largest, bias_scale;
} Constants;

WIDE static void steps_all(const double *u_all, const double *vectors, Py_ssize_t stride, const int64_t *starts,
                           Py_ssize_t users, const int64_t *items, const double *values, Py_ssize_t f, int bias,
                           const double *raters, const double *known_all, const double *parts,
                           const double *counted, const double *now_all, const double *scales,
                           const double *shares, const Constants *c, double *out, double *products)
{
    Py_ssize_t width = f + bias, ratings = starts[users];
    for (Py_ssize_t at = 0; at < users; at++) {
        const double *u = u_all + at * width;
        double missing = 1.0 - counted[at], now = now_all[at], exact = inner(u, u, f, products);
        double shorter = exact > 0 && c->largest / exact < 1.0 ? c->largest / exact : 1.0;
        for (int64_t k = starts[at]; k < starts[at + 1]; k++) {
            const double *row = vectors + items[k] * stride;
            if (k + AHEAD < ratings)
                fetch(vectors + items[k + AHEAD] * stride, stride);
            double *restrict result = out + k * width;
            double error = values[k] - inner(u, row, f, products), scale = scales[at], pull = 0.0;
            if (bias)
                error -= u[f] + row[f + 1];
            if (raters) {
                double count = raters[items[k]] + missing, known = known_all[items[k]], like = count * now;
                double growth = larger(now - parts[k], 0.0);
                double current = known > 0 ? larger(known + growth, c->floor * like) : like;
                scale = c->relaxation * (count + c->prior) / ((1.0 + c->prior) * (c->along * current + c->reg_item));
                pull = (1.0 - missing) / count;
            }
            double push = error * shorter, back = c->reg_item * pull;
            for (Py_ssize_t j = 0; j < f; j++)
                result[j] = (push * u[j] - back * row[j]) * scale;
            if (bias)
                result[f] = (error - c->reg_bias * pull * row[f + 1]) * c->bias_scale;
            if (missing != 0.0) {
                for (Py_ssize_t j = 0; j < f; j++)
                    result[j] += missing * row[j] * shares[j];
                if (bias)
                    result[f] += missing * row[f + 1] * shares[f];
            }
        }
    }
}

WIDE static void errors_all(const double *u_all, const double *vectors, Py_ssize_t width, const int64_t *starts,
                            Py_ssize_t users, const int64_t *items, const double *values, double low, double high,
                            double *squared, double *absolute, double *work)
{
    double *products = work, *squares = work + width;
    for (Py_ssize_t at = 0; at < users; at++) {
        const double *u = u_all + at * width;
        int64_t first = starts[at], count = starts[at + 1] - first;
        double *sizes = squares + count;
        for (int64_t k = 0; k < count; k++) {
            if (first + k + AHEAD < starts[users])
                fetch(vectors + items[first + k + AHEAD] * width, width);
            double expected = inner(u, vectors + items[first + k] * width, width, products);
            if (expected < low)
                expected = low;
            if (expected > high)
                expected = high;
            double error = values[first + k] - expected;
            squares[k] = error * error;
            sizes[k] = fabs(error);
        }
        squared[at] = 0.0 + pairwise(squares, count);
        absolute[at] = 0.0 + pairwise(sizes, count);
    }
}

/* Both gradients of the rule `batch` from the old vectors: Batch.step of rules/gradient.py. sides: rates of users and
 * of items, then their pulls, `width` numbers each. */
WIDE static void batch_all(const double *u_all, const double *vectors, Py_ssize_t width, const int64_t *starts,
                           Py_ssize_t users, const int64_t *items, const double *values, const double *sides,
                           double *moved, double *out, double *work)
{
    const double *rates = sides, *pulls = sides + 2 * width;
    double *products = work, *gradient = work + width;
    for (Py_ssize_t at = 0; at < users; at++) {
        const double *u = u_all + at * width;
        memset(gradient, 0, sizeof(double) * width);
        for (int64_t k = starts[at]; k < starts[at + 1]; k++) {
            const double *v = vectors + items[k] * width;
            if (k + AHEAD < starts[users])
                fetch(vectors + items[k + AHEAD] * width, width);
            double *restrict step = out + k * width;
            double error = -2.0 * (values[k] - inner(u, v, width, products));
            for (Py_ssize_t j = 0; j < width; j++) {
                gradient[j] += error * v[j];
                step[j] = (error * u[j] + v[j] * pulls[width + j]) * -rates[width + j];
            }
        }
        for (Py_ssize_t j = 0; j < width; j++)
            moved[at * width + j] = u[j] - rates[j] * (gradient[j] + pulls[j] * u[j]);
    }
}

/* Whether all are within -bound and bound, and none is NaN. */
WIDE static int all_within(const double *values, Py_ssize_t count, double bound)
{
    int64_t beyond = 0;
    for (Py_ssize_t k = 0; k < count; k++)
        beyond |= !(fabs(values[k]) <= bound);
    return !beyond;
}

/* Rounded to the grid: out[at[k]] = rint(steps[k] * scale), for rows of the same width. */
WIDE static void round_rows(const double *steps, const int64_t *at, Py_ssize_t count, Py_ssize_t width,
                            const double *scale, int64_t *out)
{
    for (Py_ssize_t k = 0; k < count; k++) {
        const double *step = steps + k * width;
        int64_t *row = out + at[k] * width;
        for (Py_ssize_t j = 0; j < width; j++)
            row[j] = (int64_t)nearbyint(step[j] * scale[j]);
    }
}
