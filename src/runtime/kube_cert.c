/* The two dates of an X.509 certificate, for a message. Nothing is verified here: that is TLS's
 * work. DER is read as far as the validity and no further. */
#include "runtime/kube_cert.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/cleanup.h"

enum { DER_INTEGER = 0x02, DER_UTC_TIME = 0x17, DER_TIME = 0x18, DER_SEQUENCE = 0x30 };
#define DER_VERSION 0xa0

struct der {
    const unsigned char *at, *end;
};

/* Takes one element; false: it is not whole. */
static bool next(struct der *d, unsigned *ret_tag, struct der *ret)
{
    size_t n = 0, more;

    if (d->end - d->at < 2)
        return false;
    *ret_tag = *d->at++;
    more = *d->at++;
    if (more < 0x80) {
        n = more;
    } else {
        more &= 0x7f;
        if (more == 0 || more > 4 || (size_t)(d->end - d->at) < more)
            return false;
        while (more--)
            n = n << 8 | *d->at++;
    }
    if (n > (size_t)(d->end - d->at))
        return false;
    *ret = (struct der){d->at, d->at + n};
    d->at += n;
    return true;
}

static bool take(struct der *d, unsigned want, struct der *ret)
{
    unsigned tag;

    return next(d, &tag, ret) && tag == want;
}

static bool two(const unsigned char **p, int *ret)
{
    if ((*p)[0] < '0' || (*p)[0] > '9' || (*p)[1] < '0' || (*p)[1] > '9')
        return false;
    *ret = ((*p)[0] - '0') * 10 + ((*p)[1] - '0');
    *p += 2;
    return true;
}

/* "YYMMDDHHMMSSZ", "YYYYMMDDHHMMSSZ": the only forms that RFC 5280 allows. */
static bool take_time(struct der *d, int64_t *ret)
{
    struct tm tm = {0};
    struct der text;
    unsigned tag;
    int century = 0,
        *parts[] = {&tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec};

    if (!next(d, &tag, &text) || (tag != DER_UTC_TIME && tag != DER_TIME) ||
        text.end - text.at != (tag == DER_TIME ? 15 : 13) || text.end[-1] != 'Z')
        return false;
    if (tag == DER_TIME && !two(&text.at, &century))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!two(&text.at, parts[i]))
            return false;
    if (tag == DER_TIME)
        tm.tm_year += century * 100 - 1900;
    else if (tm.tm_year < 50)
        tm.tm_year += 100;
    tm.tm_mon--;
    *ret = (int64_t)timegm(&tm);
    return true;
}

static bool read_validity(struct der d, int64_t *ret_from, int64_t *ret_until)
{
    struct der certificate, body, skipped, validity;
    unsigned tag;

    if (!take(&d, DER_SEQUENCE, &certificate) || !take(&certificate, DER_SEQUENCE, &body) ||
        !next(&body, &tag, &skipped))
        return false;
    if (tag == DER_VERSION && !next(&body, &tag, &skipped))
        return false;
    return tag == DER_INTEGER && take(&body, DER_SEQUENCE, &skipped) /* how it is signed */ &&
           take(&body, DER_SEQUENCE, &skipped) /* by whom */ &&
           take(&body, DER_SEQUENCE, &validity) && take_time(&validity, ret_from) &&
           take_time(&validity, ret_until);
}

struct err *kube_cert_times(const char *pem, size_t n, int64_t *ret_from, int64_t *ret_until)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
    const char *from = memmem(pem, n, begin, sizeof(begin) - 1), *until;
    AUTO(secret_freep) struct secret *bytes = NULL;
    int64_t not_before, not_after;

    if (!from)
        return err_remote(0, "no certificate in PEM format");
    from += sizeof(begin) - 1;
    until = memmem(from, n - (size_t)(from - pem), end, sizeof(end) - 1);
    if (!until)
        return err_remote(0, "the certificate is cut short");
    TRY(base64_decode(from, (size_t)(until - from), &bytes));
    const unsigned char *der = (const unsigned char *)secret_bytes(bytes);
    if (!read_validity((struct der){der, der + secret_n(bytes)}, &not_before, &not_after))
        return err_remote(0, "the certificate has no dates that can be read");
    *ret_from = not_before;
    *ret_until = not_after;
    return NULL;
}
