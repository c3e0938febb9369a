/* udev's notes of a device: a value that is found stands in the text, in one line, and is not
 * empty. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "host/udev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"ID_SERIAL", "ID_WWN", "A", ""};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(freep) char *value = udev_value((const char *)data, n, names[i]);

        assert(!value || (*value && strlen(value) < n && !strchr(value, '\n')));
        assert(!value || memmem(data, n, value, strlen(value)));
    }
    return 0;
}
