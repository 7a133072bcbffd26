// Programs whose end is easily taken for something else: `odd MODE HOST PORT`. Their timers fire several times, are set
// beside others or set anew; they are stopped, killed, woken by themselves; what they could do is no news. Exit code 1:
// given up.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static void need(int ok, const char *what) {
    if (ok) return;
    perror(what);
    exit(3);
}

static const char *host;
static int port;

static struct sockaddr_in there(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    need(inet_pton(AF_INET, host, &a.sin_addr) == 1, host);
    return a;
}

static int made(int flags) {
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    need(fd >= 0, "socket");
    return fd;
}

static int connected(void) {
    struct sockaddr_in a = there();
    int fd = made(0);
    need(connect(fd, (void *)&a, sizeof a) == 0, "connect");
    return fd;
}

static int pending(void) {
    struct sockaddr_in a = there();
    int fd = made(SOCK_NONBLOCK);
    need(connect(fd, (void *)&a, sizeof a) < 0 && errno == EINPROGRESS, "connect");
    return fd;
}

static int look(int fd, int events, int ms) {
    struct pollfd p = {fd, events, 0};
    return poll(&p, 1, ms);
}

static void sleep_ms(int ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&t, &t) < 0) {}
}

// Two threads that wake each other, and nothing else.

static int there_and_back[2][2];
enum { TURNS = 300 };

static void *answer_turns(void *unused) {
    char byte;
    for (int i = 0; i < TURNS; i++) {
        read(there_and_back[0][0], &byte, 1);
        write(there_and_back[1][1], "x", 1);
    }
    return unused;
}

static void take_turns(void) {
    pthread_t thread;
    char byte;
    need(pipe(there_and_back[0]) == 0 && pipe(there_and_back[1]) == 0, "pipe");
    need(pthread_create(&thread, NULL, answer_turns, NULL) == 0, "thread");
    for (int i = 0; i < TURNS; i++) {
        write(there_and_back[0][1], "x", 1);
        read(there_and_back[1][0], &byte, 1);
    }
    exit(1);
}

// A timer that goes on firing: the third one is too much.

static volatile int fired;
static void count(int unused) { fired += 1; (void)unused; }

static void three_firings(void) {
    struct itimerval every = {{0, 500000}, {0, 700000}};
    struct sigaction action = {.sa_handler = count};
    int fd = pending();
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
    while (fired < 3) look(fd, POLLOUT, -1);
    exit(1);
}

// Of two timers the first one fires; the other was armed after it.
static void two_timers(void) {
    struct sigaction action = {.sa_handler = count};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    struct itimerspec early = {{0, 0}, {1, 500000000}}, late = {{0, 0}, {60, 0}};
    timer_t first, second;
    int fd = pending();
    sigaction(SIGALRM, &action, NULL);
    need(timer_create(CLOCK_MONOTONIC, &event, &first) == 0, "timer_create");
    need(timer_create(CLOCK_MONOTONIC, &event, &second) == 0, "timer_create");
    timer_settime(first, 0, &early, NULL);
    timer_settime(second, 0, &late, NULL);
    look(fd, POLLOUT, -1);
    exit(1);
}

// A timerfd that is set anew once it has fired.
static void set_anew(void) {
    struct itimerspec now = {{0, 0}, {1, 500000000}}, later = {{0, 0}, {60, 0}};
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct pollfd both[] = {{pending(), POLLOUT, 0}, {timer, POLLIN, 0}};
    timerfd_settime(timer, 0, &now, NULL);
    poll(both, 2, -1);
    timerfd_settime(timer, 0, &later, NULL);
    exit(1);
}

// One thread waits for the peer, another one shuts the connection down.

static void *shut_later(void *fd) {
    sleep_ms(1500);
    shutdown(*(int *)fd, SHUT_RDWR);
    return NULL;
}

static void shut_down(void) {
    char byte;
    pthread_t thread;
    static int fd;
    fd = connected();
    need(pthread_create(&thread, NULL, shut_later, &fd) == 0, "thread");
    exit(recv(fd, &byte, 1, 0) == 0 ? 1 : 3);
}

// Stopped for a while by its child, in the middle of a wait.
static void stopped(int is_until) {
    pid_t parent = getpid();
    int fd = connected();
    if (fork() == 0) {
        sleep_ms(500);
        kill(parent, SIGSTOP);
        sleep_ms(500);
        kill(parent, SIGCONT);
        _exit(0);
    }
    if (is_until) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        t.tv_sec += 3;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    } else {
        look(fd, POLLIN, 3000);
    }
    exit(1);
}

// A wait runs out; that one may send is no news, and neither is it that the connection was accepted.
static void goodbye(void) {
    int fd = connected();
    look(fd, POLLIN, 1500);
    look(fd, POLLOUT, 1500);
    send(fd, "bye", 3, 0);
    exit(1);
}

// Sends to a peer that has closed, and again: SIGPIPE (tcp(7), send(2)).
static void talk_on(void) {
    int fd = connected();
    sleep_ms(1000);
    send(fd, "x", 1, 0);
    sleep_ms(200);
    send(fd, "x", 1, 0);
    exit(3);
}

// Kills itself when its patience is over.
static void end_itself(void) {
    look(connected(), POLLIN, 1500);
    kill(getpid(), SIGKILL);
}

// Asks again and again how its connect is getting on (connect(2), EALREADY).
static void ask_again(void) {
    struct sockaddr_in a = there();
    int fd = pending();
    do look(fd, POLLOUT, 400);
    while (connect(fd, (void *)&a, sizeof a) < 0 && errno == EALREADY);
    perror("connect");
    exit(1);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    host = argc > 2 ? argv[2] : "127.0.0.1";
    port = argc > 3 ? atoi(argv[3]) : 7000;
    if (!strcmp(mode, "take-turns")) take_turns();
    if (!strcmp(mode, "three-firings")) three_firings();
    if (!strcmp(mode, "two-timers")) two_timers();
    if (!strcmp(mode, "set-anew")) set_anew();
    if (!strcmp(mode, "shut-down")) shut_down();
    if (!strcmp(mode, "stopped")) stopped(0);
    if (!strcmp(mode, "stopped-until")) stopped(1);
    if (!strcmp(mode, "goodbye")) goodbye();
    if (!strcmp(mode, "talk-on")) talk_on();
    if (!strcmp(mode, "end-itself")) end_itself();
    if (!strcmp(mode, "ask-again")) ask_again();
    return 3;
}
