/* The lab's datagram in place of gossip: fixed layout, little-endian, a magic word in front. */
#include "lab/node/hello.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define MAGIC "agavectl-lab!\n\0\1"

size_t hello_encode(const struct hello *h, uint8_t buf[static HELLO_B])
{
    memset(buf, 0, HELLO_B);
    memcpy(buf, MAGIC, 16);
    memcpy(buf + 16, h->id, 32);
    memcpy(buf + 48, h->leader, 32);
    memcpy(buf + 80, h->vote, 32);
    memcpy(buf + 112, h->genesis_hash, 32);
    put_le16(buf + 144, h->shred_version);
    put_le16(buf + 146, h->repair_port);
    put_le16(buf + 148, h->rpc_port);
    put_le32(buf + 152, h->slot_us);
    return HELLO_B;
}

bool hello_decode(const uint8_t *buf, size_t n, struct hello *ret)
{
    if (n != HELLO_B || memcmp(buf, MAGIC, 16) != 0 || get_le32(buf + 152) == 0)
        return false;
    memcpy(ret->id, buf + 16, 32);
    memcpy(ret->leader, buf + 48, 32);
    memcpy(ret->vote, buf + 80, 32);
    memcpy(ret->genesis_hash, buf + 112, 32);
    ret->shred_version = get_le16(buf + 144);
    ret->repair_port = get_le16(buf + 146);
    ret->rpc_port = get_le16(buf + 148);
    ret->slot_us = get_le32(buf + 152);
    return true;
}

bool hello_ask(const char *host, uint16_t port, uint32_t timeout_ms, struct hello *ret)
{
    AUTO(closep) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t buf[HELLO_B + 1];
    ssize_t n;

    if (fd < 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ||
        send(fd, HELLO_ASK, strlen(HELLO_ASK), 0) < 0 || poll(&p, 1, (int)timeout_ms) <= 0)
        return false;
    n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
    return n > 0 && hello_decode(buf, (size_t)n, ret);
}
