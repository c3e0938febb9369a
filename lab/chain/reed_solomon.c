/* Reed-Solomon on top of ISA-L's field arithmetic. ISA-L's own matrices are not Agave's, so the
 * matrix is built here; everything else is its table-driven multiplication. */
#include "lab/chain/reed_solomon.h"

#include <isa-l/erasure_code.h>

#define SHARDS_MAX 256

struct reed_solomon {
    size_t n, m;
    uint8_t *rows;   /* (n + m) x n: the encoding matrix, its top the unit matrix */
    uint8_t *tables; /* 32 n m bytes: ISA-L's multiplication tables of the lower m rows */
};

static uint8_t power(uint8_t base, size_t exponent)
{
    uint8_t v = 1;

    for (size_t i = 0; i < exponent; i++)
        v = gf_mul(v, base);
    return v;
}

/* rows x n Vandermonde: element (r, c) is r^c. */
static uint8_t *vandermonde(size_t rows, size_t n)
{
    uint8_t *v = xmalloc(rows * n);

    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++)
            v[r * n + c] = power((uint8_t)r, c);
    return v;
}

static void multiply(const uint8_t *a, const uint8_t *b, size_t rows, size_t n, uint8_t *ret)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < n; c++) {
            uint8_t sum = 0;

            for (size_t k = 0; k < n; k++)
                sum ^= gf_mul(a[r * n + k], b[k * n + c]);
            ret[r * n + c] = sum;
        }
    }
}

struct err *reed_solomon_new(size_t n, size_t m, struct reed_solomon **ret)
{
    AUTO(reed_solomon_freep) struct reed_solomon *rs = xcalloc(1, sizeof(*rs));

    if (n == 0 || m == 0 || n > SHARDS_MAX || m > SHARDS_MAX || n + m > SHARDS_MAX)
        return err_new(ERR_BADINPUT, "no Reed-Solomon code has %zu data and %zu code shards", n, m);
    AUTO(freep) uint8_t *v = vandermonde(n + m, n);
    AUTO(freep) uint8_t *top = xmemdup(v, n * n); /* gf_invert_matrix destroys its input */
    AUTO(freep) uint8_t *inverse = xmalloc(n * n);
    if (gf_invert_matrix(top, inverse, (int)n) != 0)
        return err_new(ERR_BUG, "the Vandermonde matrix of %zu rows has no inverse", n);
    rs->n = n;
    rs->m = m;
    rs->rows = xmalloc((n + m) * n);
    rs->tables = xmalloc(32 * n * m);
    multiply(v, inverse, n + m, n, rs->rows);
    ec_init_tables((int)n, (int)m, rs->rows + n * n, rs->tables);
    *ret = TAKE(rs);
    return NULL;
}

struct reed_solomon *reed_solomon_free(struct reed_solomon *rs)
{
    if (rs) {
        free(rs->rows);
        free(rs->tables);
        free(rs);
    }
    return NULL;
}

void reed_solomon_freep(struct reed_solomon **rs)
{
    *rs = reed_solomon_free(*rs);
}

/* ISA-L writes only to the code pointers, but takes both without const. */
static void encode(size_t size_b, size_t n, size_t m, const uint8_t *tables, uint8_t *const *from,
                   uint8_t *const *to)
{
    uint8_t *in[SHARDS_MAX], *out[SHARDS_MAX];
    uint8_t *own_tables;

    memcpy(in, from, n * sizeof(*in));
    memcpy(out, to, m * sizeof(*out));
    memcpy(&own_tables, &tables, sizeof(own_tables));
    ec_encode_data((int)size_b, (int)n, (int)m, own_tables, in, out);
}

void reed_solomon_encode(const struct reed_solomon *rs, size_t size_b, const uint8_t *const *data,
                         uint8_t *const *code)
{
    uint8_t *from[SHARDS_MAX];

    memcpy(from, data, rs->n * sizeof(*from));
    encode(size_b, rs->n, rs->m, rs->tables, from, code);
}

/* Computes the missing data shards: inverts the rows of n shards that are there; row i of the
 * inverse gives data shard i. */
static struct err *recover_data(const struct reed_solomon *rs, size_t size_b,
                                uint8_t *const *shards, const bool *present)
{
    size_t n = rs->n, used = 0, missing = 0;
    uint8_t *from[SHARDS_MAX], *to[SHARDS_MAX];
    AUTO(freep) uint8_t *matrix = xmalloc(n * n), *inverse = xmalloc(n * n);
    AUTO(freep) uint8_t *need = xmalloc(n * n);
    AUTO(freep) uint8_t *tables = xmalloc(32 * n * n);

    for (size_t i = 0; i < n + rs->m && used < n; i++) {
        if (present[i]) {
            memcpy(matrix + used * n, rs->rows + i * n, n);
            from[used++] = shards[i];
        }
    }
    if (used < n)
        return err_new(ERR_CORRUPT, "only %zu of the %zu shards that recovery needs are there",
                       used, n);
    if (gf_invert_matrix(matrix, inverse, (int)n) != 0)
        return err_new(ERR_BUG, "rows of the encoding matrix are dependent");
    for (size_t i = 0; i < n; i++) {
        if (!present[i]) {
            memcpy(need + missing * n, inverse + i * n, n);
            to[missing++] = shards[i];
        }
    }
    if (missing) {
        ec_init_tables((int)n, (int)missing, need, tables);
        encode(size_b, n, missing, tables, from, to);
    }
    return NULL;
}

struct err *reed_solomon_recover(const struct reed_solomon *rs, size_t size_b,
                                 uint8_t *const *shards, const bool *present)
{
    size_t missing = 0;
    uint8_t *to[SHARDS_MAX];
    AUTO(freep) uint8_t *need = xmalloc(rs->m * rs->n);
    AUTO(freep) uint8_t *tables = xmalloc(32 * rs->n * rs->m);

    TRY(recover_data(rs, size_b, shards, present));
    for (size_t i = rs->n; i < rs->n + rs->m; i++) {
        if (!present[i]) {
            memcpy(need + missing * rs->n, rs->rows + i * rs->n, rs->n);
            to[missing++] = shards[i];
        }
    }
    if (missing) {
        ec_init_tables((int)rs->n, (int)missing, need, tables);
        encode(size_b, rs->n, missing, tables, shards, to);
    }
    return NULL;
}
