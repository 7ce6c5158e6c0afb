/* The floor under every WebSocket client: an epoll loop that sends one masked text frame on each of N connections,
 * waits for the echo, counts its latency, and sends the next one.
 *
 *     floor PORT CONNECTIONS PAYLOAD_BYTES ROUND_TRIPS   ->   {"count": …, "cpu_s": …}
 *
 * CPU time is that of the round trips, without the handshakes. Payloads of 126 bytes and more are not supported.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 1024

static double sent_s[MAX_CONNECTIONS];
static long buckets[64];
static unsigned char payload[125];
static int payload_bytes;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int open_websocket(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    char answer[2048] = "", request[] = "GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    int one = 1, size = 0, fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (send(fd, request, sizeof request - 1, 0) < 0) fail("send");
    while (!strstr(answer, "\r\n\r\n")) {
        int got = recv(fd, answer + size, sizeof answer - 1 - size, 0);
        if (got <= 0) fail("handshake");
        size += got;
        answer[size] = 0;
    }
    if (strncmp(answer, "HTTP/1.1 101", 12)) fail("not upgraded");
    return fd;
}

static void send_one(int fd, int connection) {
    unsigned char frame[6 + 125];
    uint32_t key = (uint32_t)random();
    frame[0] = 0x81;
    frame[1] = 0x80 | payload_bytes;
    memcpy(frame + 2, &key, 4);
    for (int i = 0; i < payload_bytes; i++) frame[6 + i] = payload[i] ^ frame[2 + (i & 3)];
    sent_s[connection] = now_s();
    if (send(fd, frame, 6 + payload_bytes, 0) != 6 + payload_bytes) fail("send");
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int port = atoi(argv[1]), connections = atoi(argv[2]), fds[MAX_CONNECTIONS];
    payload_bytes = atoi(argv[3]);
    long wanted = atol(argv[4]), done = 0;
    if (connections > MAX_CONNECTIONS || payload_bytes > 125) return 2;
    memset(payload, 'x', sizeof payload);
    int poll = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        struct epoll_event interest = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        fds[i] = open_websocket(port);
        epoll_ctl(poll, EPOLL_CTL_ADD, fds[i], &interest);
    }
    double begun_s = cpu_s();
    for (int i = 0; i < connections; i++) send_one(fds[i], i);
    while (done < wanted) {
        struct epoll_event ready[128];
        int count = epoll_wait(poll, ready, 128, -1);
        if (count < 0 && errno != EINTR) fail("epoll_wait");
        for (int i = 0; i < count; i++) {
            unsigned char frame[8192];
            int connection = (int)ready[i].data.u32;
            ssize_t got = recv(fds[connection], frame, sizeof frame, 0);
            /* An echo of one small frame comes whole on loopback; anything else is a broken measurement. */
            if (got != 2 + payload_bytes || frame[0] != 0x81 || frame[1] != payload_bytes) fail("not our echo");
            long us = (long)((now_s() - sent_s[connection]) * 1e6);
            buckets[us > 0 ? 63 - __builtin_clzl(us) : 0]++;
            done++;
            send_one(fds[connection], connection);
        }
    }
    printf("{\"count\": %ld, \"cpu_s\": %.6f}\n", done, cpu_s() - begun_s);
    return 0;
}
