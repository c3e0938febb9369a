/* What credential plugins print, and the dates of certificates: whatever the bytes are, an error or
 * credentials that are whole; nothing is read beyond the end. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kube_cert.h"
#include "runtime/kube_exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct kube_credentials c = {0};
    int64_t from, until;
    struct err *e = kube_exec_parse((const char *)data, n, "client.authentication.k8s.io/v1", &c);

    if (!e) {
        assert(c.token || c.cert);
        assert(!c.cert == !c.key);
        assert(!c.token || secret_n(c.token) > 0);
    } else {
        assert(!c.token && !c.cert && !c.key);
    }
    err_free(e);
    kube_credentials_clear(&c);
    err_free(kube_cert_times((const char *)data, n, &from, &until));
    return 0;
}
