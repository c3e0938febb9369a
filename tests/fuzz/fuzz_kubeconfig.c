/* Kubeconfigs and base64: whatever the bytes are, an error or access that is whole. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/base64.h"
#include "runtime/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct kube_access a = {0};
    struct secret *bytes = NULL;
    struct err *e = kubeconfig_parse((const char *)data, n, "config", NULL, &a);

    if (!e) {
        assert(a.server && a.context && a.cluster && a.user && a.path);
        assert(strncmp(a.server, "https://", 8) == 0 || strncmp(a.server, "http://", 7) == 0);
        assert(!a.cert == !a.key);
        assert(!a.token || secret_n(a.token) > 0);
        assert(!a.exec || (a.exec->command && a.exec->api_version && !a.token && !a.cert));
    } else {
        assert(!a.server && !a.key && !a.token && !a.exec);
    }
    err_free(e);
    kube_access_clear(&a);
    e = base64_decode((const char *)data, n, &bytes);
    assert(e ? !bytes : secret_n(bytes) <= n / 4 * 3);
    err_free(e);
    secret_free(bytes);
    return 0;
}
