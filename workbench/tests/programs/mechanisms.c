// Small programs, one for each mechanism that can end a wait: `mechanisms MODE [ARGUMENTS]` arms it once. What they
// connect to is made by the scenarios of tests/catalogue. `mechanisms with-peer PEER COMMAND…` forks a peer that listens
// on 127.0.0.1 and executes a command beside it.
//
// Raw system calls where glibc would choose another one. Exit codes: 0 an answer came, 1 given up, 77 no such call here.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GIVEN_UP 1
#define NO_SUCH_CALL 77
#define SERVER "10.9.0.2"
#define PEER "127.0.0.1"
#define PEER_PORT 7000

static const struct timespec WAIT = {1, 500000000}; // what each mechanism is armed for, unless it counts whole seconds
static const int WAIT_MS = 1500;

static void need(int ok, const char *what) {
    if (ok) return;
    if (errno == ENOSYS) exit(NO_SUCH_CALL);
    perror(what);
    exit(3);
}

// The end of a wait, by what the call said.
static _Noreturn void end(long result) {
    if (result < 0) perror("given up");
    exit(result < 0 ? GIVEN_UP : 0);
}

// Addresses and sockets.

static socklen_t address(struct sockaddr_storage *a, const char *host, int port) {
    memset(a, 0, sizeof *a);
    struct sockaddr_in *v4 = (void *)a;
    struct sockaddr_in6 *v6 = (void *)a;
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    need(inet_pton(AF_INET6, host, &v6->sin6_addr) == 1, "address");
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    return sizeof *v6;
}

static int new_socket(const char *host, int type) {
    int fd = socket(strchr(host, ':') ? AF_INET6 : AF_INET, type, 0);
    need(fd >= 0, "socket");
    return fd;
}

static int start_connect(int fd, const char *host, int port) {
    struct sockaddr_storage a;
    socklen_t len = address(&a, host, port);
    return connect(fd, (void *)&a, len);
}

// A connect that nobody answers, not waited for.
static int pending(void) {
    int fd = new_socket(SERVER, SOCK_STREAM | SOCK_NONBLOCK);
    need(start_connect(fd, SERVER, 80) < 0 && errno == EINPROGRESS, "connect");
    return fd;
}

static void set(int fd, int level, int option, int value) {
    need(setsockopt(fd, level, option, &value, sizeof value) == 0, "setsockopt");
}

static void set_time(int fd, int option) {
    struct timeval tv = {WAIT.tv_sec, WAIT.tv_nsec / 1000};
    need(setsockopt(fd, SOL_SOCKET, option, &tv, sizeof tv) == 0, "setsockopt");
}

static struct timespec now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t;
}

// Milliseconds until `start` + `ms`, at least 0.
static int left_ms(struct timespec start, int ms) {
    struct timespec t = now();
    long gone = (t.tv_sec - start.tv_sec) * 1000 + (t.tv_nsec - start.tv_nsec) / 1000000;
    return gone < ms ? ms - gone : 0;
}

static void sleep_ms(int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

// Peers: a child that listens on the loopback and does one thing with the first connection.

// From here on the kernel throws away every segment for this socket before TCP sees it (socket(7), SO_ATTACH_FILTER):
// the peer is as good as gone, and nobody says so.
static void deafen(int fd) {
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &drop};
    need(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0, "SO_ATTACH_FILTER");
}

static int listener(int port) {
    int fd = new_socket(PEER, SOCK_STREAM);
    struct sockaddr_storage a;
    socklen_t len = address(&a, PEER, port);
    set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    set(fd, SOL_SOCKET, SO_RCVBUF, 4096); // inherited: a window that is soon full
    need(bind(fd, (void *)&a, len) == 0 && listen(fd, 8) == 0, "listen");
    return fd;
}

static void answer(int fd, const char *text) { need(send(fd, text, strlen(text), MSG_NOSIGNAL) >= 0, "send"); }

// What the peer does with a connection; `ready` is told once it is so.
static void serve(const char *peer, int fd, int ready) {
    char buffer[4096];
    if (!strcmp(peer, "deaf")) deafen(fd);
    write(ready, "r", 1);
    if (!strcmp(peer, "closes")) {
        sleep_ms(500);
        close(fd);
    } else if (!strcmp(peer, "resets")) {
        struct linger at_once = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        sleep_ms(500);
        close(fd);
    } else if (!strcmp(peer, "answers")) {
        sleep_ms(500);
        answer(fd, "hello\n");
    } else if (!strcmp(peer, "drips")) {
        for (;;) {
            sleep_ms(300);
            answer(fd, ".");
        }
    } else if (!strcmp(peer, "full-then-deaf")) {
        sleep_ms(500);
        deafen(fd);
    } else if (!strcmp(peer, "half-http")) { // headers of a body that never comes
        read(fd, buffer, sizeof buffer);
        answer(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    } else if (!strcmp(peer, "rsyncd")) { // a greeting, and silence
        answer(fd, "@RSYNCD: 31.0\n");
    }
    for (;;) pause(); // "silent", and after all others
}

// Forks a peer that listens on this port. If `is_awaited`, returns a pipe that becomes readable when it is ready.
static int fork_peer(const char *peer, int port, int is_awaited) {
    int fd = listener(port), ready[2] = {-1, -1};
    need(!is_awaited || pipe2(ready, O_CLOEXEC) == 0, "pipe");
    pid_t child = fork();
    need(child >= 0, "fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        int connection = accept(fd, NULL, NULL);
        need(connection >= 0, "accept");
        close(fd);
        serve(peer, connection, ready[1]);
    }
    close(fd);
    close(ready[1]);
    return ready[0];
}

// A connection to a peer of this kind, which has done what it does at once.
static int connected(const char *peer) {
    char byte;
    int ready = fork_peer(peer, PEER_PORT, 1);
    int fd = new_socket(PEER, SOCK_STREAM);
    need(start_connect(fd, PEER, PEER_PORT) == 0, "connect");
    need(read(ready, &byte, 1) == 1, "peer");
    close(ready);
    return fd;
}

// Single waits.

static long wait_poll(int fd) {
#ifdef SYS_poll
    struct pollfd p = {fd, POLLOUT, 0};
    return syscall(SYS_poll, &p, 1, WAIT_MS);
#else
    exit(NO_SUCH_CALL);
#endif
}

static long wait_ppoll(int fd) {
    struct pollfd p = {fd, POLLOUT, 0};
    struct timespec t = WAIT;
    return syscall(SYS_ppoll, &p, 1, &t, NULL, 8);
}

static long wait_select(int fd) {
#ifdef SYS_select
    fd_set w;
    struct timeval t = {WAIT.tv_sec, WAIT.tv_nsec / 1000};
    FD_ZERO(&w);
    FD_SET(fd, &w);
    return syscall(SYS_select, fd + 1, NULL, &w, NULL, &t);
#else
    exit(NO_SUCH_CALL);
#endif
}

static long wait_pselect6(int fd) {
    fd_set w;
    struct timespec t = WAIT;
    FD_ZERO(&w);
    FD_SET(fd, &w);
    return syscall(SYS_pselect6, fd + 1, NULL, &w, NULL, &t, NULL);
}

static int epoll_of(int fd, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = fd};
    int ep = epoll_create1(0);
    need(ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0, "epoll");
    return ep;
}

static long wait_epoll_wait(int fd) {
#ifdef SYS_epoll_wait
    struct epoll_event e;
    return syscall(SYS_epoll_wait, epoll_of(fd, EPOLLOUT), &e, 1, WAIT_MS);
#else
    exit(NO_SUCH_CALL);
#endif
}

static long wait_epoll_pwait(int fd) {
    struct epoll_event e;
    return syscall(SYS_epoll_pwait, epoll_of(fd, EPOLLOUT), &e, 1, WAIT_MS, NULL, 8);
}

static long wait_epoll_pwait2(int fd) {
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif
    struct epoll_event e;
    struct timespec t = WAIT;
    return syscall(SYS_epoll_pwait2, epoll_of(fd, EPOLLOUT), &e, 1, &t, NULL, 8);
}

static long wait_nanosleep(int fd) {
    struct timespec t = WAIT;
    return syscall(SYS_nanosleep, &t, NULL);
}

static long wait_clock_nanosleep(int fd) {
    struct timespec t = WAIT;
    return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, NULL);
}

static long wait_clock_nanosleep_abs(int fd) {
    struct timespec t = now();
    t.tv_sec += 2;
    return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static long wait_futex(int fd) {
    static int word;
    struct timespec t = WAIT;
    return syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 0, &t, NULL, 0);
}

static long wait_rt_sigtimedwait(int fd) {
    uint64_t usr1 = 1ull << (SIGUSR1 - 1);
    struct timespec t = WAIT;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    return syscall(SYS_rt_sigtimedwait, &usr1, NULL, &t, 8);
}

static const struct {
    const char *mode;
    long (*wait)(int);
} WAITS[] = {
    {"poll", wait_poll},
    {"ppoll", wait_ppoll},
    {"select", wait_select},
    {"pselect6", wait_pselect6},
    {"epoll_wait", wait_epoll_wait},
    {"epoll_pwait", wait_epoll_pwait},
    {"epoll_pwait2", wait_epoll_pwait2},
    {"nanosleep", wait_nanosleep},
    {"clock_nanosleep", wait_clock_nanosleep},
    {"clock_nanosleep_abs", wait_clock_nanosleep_abs},
    {"futex", wait_futex},
    {"rt_sigtimedwait", wait_rt_sigtimedwait},
};

// 2 s, in slices of 200 ms.
static void many_polls(void) {
    struct timespec start = now();
    struct pollfd p = {pending(), POLLOUT, 0};
    for (int left; (left = left_ms(start, 2000)) > 0;)
        if (poll(&p, 1, left < 200 ? left : 200) > 0) exit(0);
    exit(GIVEN_UP);
}

static void many_sleeps(void) {
    struct timespec start = now();
    int fd = pending();
    while (left_ms(start, 2000) > 0) {
        struct pollfd p = {fd, POLLOUT, 0};
        if (poll(&p, 1, 0) > 0) exit(0);
        sleep_ms(100);
    }
    exit(GIVEN_UP);
}

// 2 s for the whole answer, whatever comes in between.
static void many_polls_data(void) {
    char buffer[64];
    struct pollfd p = {connected("drips"), POLLIN, 0};
    struct timespec start = now();
    for (int left; (left = left_ms(start, 2000)) > 0;)
        if (poll(&p, 1, left) > 0 && recv(p.fd, buffer, sizeof buffer, 0) <= 0) exit(0);
    exit(GIVEN_UP);
}

// Timers that send signals; SIGALRM interrupts the connect.

static void on_signal(int signal) {}

static long connect_until_signal(void) { return start_connect(new_socket(SERVER, SOCK_STREAM), SERVER, 80); }

static void handle_alarm(void) {
    struct sigaction action = {.sa_handler = on_signal}; // no SA_RESTART
    sigaction(SIGALRM, &action, NULL);
}

static void arm_alarm(void) {
#ifdef SYS_alarm
    syscall(SYS_alarm, 2);
#else
    exit(NO_SUCH_CALL);
#endif
}

static void arm_setitimer(void) {
    struct itimerval t = {.it_value = {WAIT.tv_sec, WAIT.tv_nsec / 1000}};
    need(syscall(SYS_setitimer, ITIMER_REAL, &t, NULL) == 0, "setitimer");
}

static void arm_timer_create(void) {
    struct itimerspec t = {.it_value = WAIT};
    int id;
    need(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id) == 0, "timer_create"); // NULL: SIGALRM
    need(syscall(SYS_timer_settime, id, 0, &t, NULL) == 0, "timer_settime");
}

static void give_up_in_thread(union sigval value) { _exit(GIVEN_UP); }

static void arm_timer_create_thread(void) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = give_up_in_thread};
    struct itimerspec t = {.it_value = WAIT};
    timer_t id;
    need(timer_create(CLOCK_MONOTONIC, &event, &id) == 0, "timer_create");
    need(timer_settime(id, 0, &t, NULL) == 0, "timer_settime");
}

// timerfd.

static int timer_descriptor(void) {
    struct itimerspec t = {.it_value = WAIT};
    int fd = timerfd_create(CLOCK_MONOTONIC, 0);
    need(fd >= 0 && timerfd_settime(fd, 0, &t, NULL) == 0, "timerfd");
    return fd;
}

static void timerfd_read(void) {
    uint64_t count;
    int fd = timer_descriptor();
    pending();
    read(fd, &count, sizeof count);
    exit(GIVEN_UP);
}

static void timerfd_poll(void) {
    struct pollfd p[2] = {{timer_descriptor(), POLLIN, 0}, {pending(), POLLOUT, 0}};
    poll(p, 2, -1);
    exit(p[1].revents ? 0 : GIVEN_UP);
}

static void timerfd_epoll(void) {
    int timer = timer_descriptor(), fd = pending(), ep = epoll_of(timer, EPOLLIN);
    struct epoll_event e = {.events = EPOLLOUT, .data.fd = fd};
    need(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) == 0, "epoll_ctl");
    epoll_wait(ep, &e, 1, -1);
    exit(e.data.fd == fd ? 0 : GIVEN_UP);
}

// Threads: one connects, the other waits for it with a timeout.

static void *connect_in_thread(void *nothing) {
    connect_until_signal();
    return NULL;
}

static struct timespec realtime_in(struct timespec wait) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += wait.tv_sec;
    t.tv_nsec += wait.tv_nsec;
    if (t.tv_nsec >= 1000000000) t.tv_sec++, t.tv_nsec -= 1000000000;
    return t;
}

static void cond_timedwait(void) {
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
    pthread_t thread;
    pthread_create(&thread, NULL, connect_in_thread, NULL);
    struct timespec until = realtime_in(WAIT);
    pthread_mutex_lock(&mutex);
    int error = pthread_cond_timedwait(&done, &mutex, &until);
    exit(error == ETIMEDOUT ? GIVEN_UP : 0);
}

static void sem_timed_wait(void) {
    static sem_t done;
    pthread_t thread;
    sem_init(&done, 0, 0);
    pthread_create(&thread, NULL, connect_in_thread, NULL);
    struct timespec until = realtime_in(WAIT);
    end(sem_timedwait(&done, &until));
}

// Socket options.

static void rcvtimeo(const char *call) {
    char buffer[64];
    if (!strcmp(call, "accept")) {
        int fd = listener(PEER_PORT);
        set_time(fd, SO_RCVTIMEO);
        end(accept(fd, NULL, NULL));
    }
    if (!strcmp(call, "udp")) {
        int fd = new_socket(SERVER, SOCK_DGRAM);
        need(start_connect(fd, SERVER, 53) == 0 && send(fd, "?", 1, 0) == 1, "send");
        set_time(fd, SO_RCVTIMEO);
        end(recv(fd, buffer, sizeof buffer, 0));
    }
    int fd = connected("silent");
    set_time(fd, SO_RCVTIMEO);
    end(!strcmp(call, "read") ? read(fd, buffer, sizeof buffer) : recv(fd, buffer, sizeof buffer, 0));
}

// Sends until the call fails.
static _Noreturn void send_all(int fd) {
    static char block[65536];
    long sent;
    while ((sent = send(fd, block, sizeof block, MSG_NOSIGNAL)) > 0) {
    }
    end(sent);
}

static void sndtimeo(const char *call) {
    if (!strcmp(call, "connect")) {
        int fd = new_socket(SERVER, SOCK_STREAM);
        set_time(fd, SO_SNDTIMEO);
        end(start_connect(fd, SERVER, 80));
    }
    // Full before the timed call: one that still moves something returns how much, not that its time is over.
    int fd = connected("silent");
    set(fd, SOL_SOCKET, SO_SNDBUF, 16384);
    set_time(fd, SO_SNDTIMEO);
    static char block[4096];
    while (send(fd, block, sizeof block, MSG_DONTWAIT) > 0) {
    }
    sleep_ms(300); // what is in flight arrives
    while (send(fd, block, sizeof block, MSG_DONTWAIT) > 0) {
    }
    end(send(fd, block, 1, 0));
}

// A peer that sends a datagram every 400 ms. The timeout is looked at only after one has come (recvmmsg(2), BUGS).
static void wait_recvmmsg(void) {
    static char bytes[32][16];
    struct mmsghdr messages[32] = {0};
    struct iovec parts[32];
    struct sockaddr_storage a;
    socklen_t len = address(&a, PEER, PEER_PORT);
    struct timespec t = WAIT;
    int fd = new_socket(PEER, SOCK_DGRAM);
    need(bind(fd, (void *)&a, len) == 0, "bind");
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int from = new_socket(PEER, SOCK_DGRAM);
        for (;;) {
            sleep_ms(400);
            sendto(from, ".", 1, 0, (void *)&a, len);
        }
    }
    for (int i = 0; i < 32; i++) {
        parts[i] = (struct iovec){bytes[i], 16};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    exit(syscall(SYS_recvmmsg, fd, messages, 32, 0, &t) < 32 ? GIVEN_UP : 0);
}

// io_uring, by hand (io_uring(7)).

static struct {
    int fd;
    struct io_uring_params p;
    char *rings;
    struct io_uring_sqe *sqes;
} uring;

static void uring_open(void) {
    uring.fd = syscall(SYS_io_uring_setup, 8, &uring.p);
    if (uring.fd < 0 && errno == EPERM) exit(NO_SUCH_CALL); // kernel.io_uring_disabled
    need(uring.fd >= 0, "io_uring_setup");
    size_t sq = uring.p.sq_off.array + uring.p.sq_entries * sizeof(unsigned);
    size_t cq = uring.p.cq_off.cqes + uring.p.cq_entries * sizeof(struct io_uring_cqe);
    int protection = PROT_READ | PROT_WRITE;
    // IORING_FEAT_SINGLE_MMAP: one mapping holds both rings (since 5.4).
    uring.rings = mmap(NULL, sq > cq ? sq : cq, protection, MAP_SHARED | MAP_POPULATE, uring.fd, IORING_OFF_SQ_RING);
    uring.sqes = mmap(NULL, uring.p.sq_entries * sizeof *uring.sqes, protection, MAP_SHARED | MAP_POPULATE, uring.fd,
                      IORING_OFF_SQES);
    need(uring.rings != MAP_FAILED && uring.sqes != MAP_FAILED, "mmap");
}

static struct io_uring_sqe *uring_entry(int opcode, int fd, const void *pointer) {
    unsigned *tail = (unsigned *)(uring.rings + uring.p.sq_off.tail), index = *tail % uring.p.sq_entries;
    struct io_uring_sqe *sqe = &uring.sqes[index];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = opcode;
    sqe->fd = fd;
    sqe->addr = (uintptr_t)pointer;
    sqe->user_data = *tail + 1;
    ((unsigned *)(uring.rings + uring.p.sq_off.array))[index] = index;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    return sqe;
}

static void uring_mode(const char *mode) {
    struct __kernel_timespec t = {WAIT.tv_sec, WAIT.tv_nsec};
    struct sockaddr_storage a;
    uring_open();
    int fd = new_socket(SERVER, SOCK_STREAM);
    struct io_uring_sqe *sqe = uring_entry(IORING_OP_CONNECT, fd, &a);
    sqe->off = address(&a, SERVER, 80);
    if (!strcmp(mode, "ext-arg")) {
        struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&t};
        int flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
        need(syscall(SYS_io_uring_enter, uring.fd, 1, 0, 0, NULL, 0) == 1, "io_uring_enter");
        end(syscall(SYS_io_uring_enter, uring.fd, 0, 1, flags, &arg, sizeof arg));
    }
    int is_linked = !strcmp(mode, "link-timeout");
    if (is_linked) sqe->flags = IOSQE_IO_LINK;
    uring_entry(is_linked ? IORING_OP_LINK_TIMEOUT : IORING_OP_TIMEOUT, -1, &t)->len = 1;
    long entered = syscall(SYS_io_uring_enter, uring.fd, 2, 1, IORING_ENTER_GETEVENTS, NULL, 0);
    need(entered == 2, "io_uring_enter");
    unsigned head = *(unsigned *)(uring.rings + uring.p.cq_off.head);
    struct io_uring_cqe *cqe = (void *)(uring.rings + uring.p.cq_off.cqes);
    errno = -cqe[head].res;
    end(cqe[head].res);
}

// TCP's own timers.

static void set_alive(int fd) {
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 2);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, 2);
}

static _Noreturn void receive(int fd) {
    char buffer[64];
    end(recv(fd, buffer, sizeof buffer, 0));
}

static _Noreturn void ask_and_receive(int fd) {
    need(send(fd, "?", 1, 0) == 1, "send");
    receive(fd);
}

// Closes with data that nobody acknowledges, and waits until the kernel has given the orphan up: it tells whoever
// subscribed to SKNLGRP_INET_TCP_DESTROY (sock_diag(7)).
static void orphan(void) {
    char message[8192];
    struct sockaddr_nl all = {.nl_family = AF_NETLINK, .nl_groups = 1 << (SKNLGRP_INET_TCP_DESTROY - 1)};
    int fd = connected("deaf"), watch = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
    need(watch >= 0 && bind(watch, (void *)&all, sizeof all) == 0, "netlink");
    need(send(fd, "?", 1, 0) == 1, "send");
    close(fd);
    need(recv(watch, message, sizeof message, 0) > 0, "recv");
    exit(GIVEN_UP);
}

static void connect_to(const char *host, int port) {
    end(start_connect(new_socket(host, SOCK_STREAM), host, port));
}

// Name resolution: files of its own over the lab's, which know no name server.

static void put(const char *over, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/%s", strrchr(over, '/') + 1);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    need(fd >= 0 && write(fd, text, strlen(text)) == (long)strlen(text), path);
    close(fd);
    need(mount(path, over, NULL, MS_BIND, NULL) == 0, over);
}

static void use_dns(const char *server) {
    char text[256];
    need(unshare(CLONE_NEWNS) == 0, "unshare");
    snprintf(text, sizeof text, "nameserver %s\noptions timeout:1 attempts:2\n", server);
    put("/etc/resolv.conf", text);
    put("/etc/nsswitch.conf", "hosts: dns\n");
}

static _Noreturn void resolve(const char *server) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    use_dns(server);
    int error = getaddrinfo("name.example.", "80", &hints, &found);
    fprintf(stderr, "%s\n", gai_strerror(error));
    exit(error ? GIVEN_UP : 0);
}

// A name server that answers every question with this code (RFC 1035, 4.1.1).
static void resolve_answered(int code) {
    struct sockaddr_storage a;
    socklen_t len = address(&a, PEER, 53);
    int fd = new_socket(PEER, SOCK_DGRAM);
    need(bind(fd, (void *)&a, len) == 0, "bind");
    if (fork() == 0) {
        unsigned char question[512];
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            len = sizeof a;
            long n = recvfrom(fd, question, sizeof question, 0, (void *)&a, &len);
            if (n < 12) continue;
            question[2] |= 0x80;       // an answer
            question[3] = 0x80 | code; // recursion available
            sendto(fd, question, n, 0, (void *)&a, len);
        }
    }
    close(fd);
    resolve(PEER);
}

// Several processes.

// As rsync does: a child watches the clock, and the one that was asked exits last.
static void partner(char **argv) {
    int ends[2];
    char byte;
    need(pipe2(ends, O_CLOEXEC) == 0, "pipe");
    if (fork() == 0) {
        char *again[] = {"watcher", "poll", NULL};
        fcntl(ends[1], F_SETFD, 0);
        execv("/proc/self/exe", again);
        _exit(3);
    }
    close(ends[1]);
    read(ends[0], &byte, 1);
    exit(12);
}

// A signal from another process: at once, or when its own wait is over.
static void killed(int is_later) {
    pid_t parent = getpid();
    if (fork() == 0) {
        if (is_later) wait_nanosleep(-1);
        kill(parent, SIGTERM);
        _exit(0);
    }
    connect_until_signal();
    exit(GIVEN_UP);
}

static void with_peer(char **argv) {
    fork_peer(argv[0], PEER_PORT, 0);
    execvp(argv[1], argv + 1);
    need(0, argv[1]);
}

// The modes that are no single wait. 0 if it is another.
static int stream_mode(const char *mode, char **arguments) {
    if (!strcmp(mode, "connect")) connect_to(arguments[0], atoi(arguments[1]));
    if (!strcmp(mode, "recv")) receive(connected(arguments[0]));
    if (!strcmp(mode, "ask")) ask_and_receive(connected(arguments[0]));
    if (!strcmp(mode, "send")) send_all(connected(arguments[0]));
    if (!strcmp(mode, "rcvtimeo")) rcvtimeo(arguments[0]);
    if (!strcmp(mode, "sndtimeo")) sndtimeo(arguments[0]);
    if (!strcmp(mode, "orphan")) orphan();
    if (!strcmp(mode, "bind")) {
        struct sockaddr_storage a;
        socklen_t len = address(&a, arguments[0], 0);
        end(bind(new_socket(arguments[0], SOCK_STREAM), (void *)&a, len));
    }
    if (!strcmp(mode, "syncnt")) {
        int fd = new_socket(SERVER, SOCK_STREAM);
        set(fd, IPPROTO_TCP, TCP_SYNCNT, 1);
        end(start_connect(fd, SERVER, 80));
    }
    if (!strcmp(mode, "ttl")) {
        int fd = new_socket(arguments[0], SOCK_STREAM), is_v6 = strchr(arguments[0], ':') != NULL;
        set(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_UNICAST_HOPS : IP_TTL, 1);
        end(start_connect(fd, arguments[0], 80));
    }
    if (!strcmp(mode, "udp")) {
        int fd = new_socket(arguments[0], SOCK_DGRAM);
        need(start_connect(fd, arguments[0], 80) == 0, "connect");
        ask_and_receive(fd);
    }
    if (!strcmp(mode, "keepalive")) {
        int fd = connected("deaf");
        if (arguments[0]) set(fd, SOL_SOCKET, SO_KEEPALIVE, 1); // times of the sysctls
        else set_alive(fd);
        receive(fd);
    }
    if (!strcmp(mode, "user-timeout")) {
        int is_connect = !strcmp(arguments[0], "connect");
        int fd = is_connect ? new_socket(SERVER, SOCK_STREAM) : connected(arguments[0]);
        set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, WAIT_MS);
        if (is_connect) end(start_connect(fd, SERVER, 80));
        if (!strcmp(arguments[0], "deaf")) ask_and_receive(fd);
        send_all(fd);
    }
    return 0;
}

static void timer_mode(const char *mode, char **arguments) {
    int is_handled = arguments[0] == NULL; // `kill`: the signal's default action ends the process
    if (is_handled) handle_alarm();
    if (!strcmp(mode, "alarm")) arm_alarm();
    else if (!strcmp(mode, "setitimer")) arm_setitimer();
    else if (!strcmp(mode, "timer_create")) arm_timer_create();
    else if (!strcmp(mode, "timer_create-thread")) arm_timer_create_thread();
    else return;
    end(connect_until_signal());
}

int main(int argc, char **argv) {
    char **arguments = argv + 2;
    if (argc < 2) return 2;
    const char *mode = argv[1];
    for (size_t i = 0; i < sizeof WAITS / sizeof *WAITS; i++)
        if (!strcmp(mode, WAITS[i].mode)) {
            long result = WAITS[i].wait(pending());
            need(result >= 0 || errno == ETIMEDOUT || errno == EAGAIN, mode);
            exit(result > 0 ? 0 : GIVEN_UP);
        }
    timer_mode(mode, arguments);
    stream_mode(mode, arguments);
    if (!strcmp(mode, "many-polls")) many_polls();
    if (!strcmp(mode, "many-sleeps")) many_sleeps();
    if (!strcmp(mode, "many-polls-data")) many_polls_data();
    if (!strcmp(mode, "timerfd-read")) timerfd_read();
    if (!strcmp(mode, "timerfd-poll")) timerfd_poll();
    if (!strcmp(mode, "timerfd-epoll")) timerfd_epoll();
    if (!strcmp(mode, "cond")) cond_timedwait();
    if (!strcmp(mode, "sem")) sem_timed_wait();
    if (!strcmp(mode, "recvmmsg")) wait_recvmmsg();
    if (!strcmp(mode, "uring")) uring_mode(arguments[0]);
    if (!strcmp(mode, "resolve")) resolve(arguments[0]);
    if (!strcmp(mode, "resolve-answered")) resolve_answered(atoi(arguments[0]));
    if (!strcmp(mode, "partner")) partner(argv);
    if (!strcmp(mode, "killed")) killed(arguments[0] != NULL);
    if (!strcmp(mode, "exit")) return 0;
    if (!strcmp(mode, "with-peer")) with_peer(arguments);
    fprintf(stderr, "no mode %s\n", mode);
    return 2;
}
