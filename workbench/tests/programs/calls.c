/* Makes every recorded system call at least once, each the same way in every run, for comparison with strace. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/netlink.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const struct timespec brief = { .tv_nsec = 1000000 };

static void ignore(int signal) { (void)signal; }

static void options(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int value = 7;
	struct linger linger = { 1, 3 };
	socklen_t length = sizeof(value);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, sizeof(value));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &value, sizeof(value));
	setsockopt(fd, IPPROTO_IP, IP_TTL, &value, sizeof(value));
	setsockopt(fd, IPPROTO_IP, IP_RECVERR, &value, sizeof(value));
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &value, sizeof(value));
	setsockopt(fd, SOL_SOCKET, 200, &value, sizeof(value));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, 4);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length);
	getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &length);
	length = sizeof(linger);
	getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &length);
	getsockopt(fd, SOL_SOCKET, 200, &value, &length);
	ioctl(fd, FIONBIO, &value);
	fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK | O_APPEND);
	fcntl(fd, F_SETFL, 0);
	close(fcntl(fd, F_DUPFD, 30));
	close(fcntl(fd, F_DUPFD_CLOEXEC, 30));
	close(dup(fd));
	close(dup3(fd, 40, O_CLOEXEC));
	dup2(fd, 41);
	close(41);
	close(41);
	close(fd);
	socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
	socket(AF_UNIX, SOCK_SEQPACKET, 0);
	socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);
	socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	socket(AF_INET, SOCK_STREAM, 99);
	socket(77, 12, 99);
	syscall(SYS_close_range, 3, 60, 0);
}

static void addresses(void)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0x7f000001) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(9), .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_un path = { .sun_family = AF_UNIX, .sun_path = "/no/such \"socket\"\n" };
	struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0name" };
	struct sockaddr_nl netlink = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage got;
	socklen_t length = sizeof(got);
	int tcp = socket(AF_INET, SOCK_STREAM, 0);
	int udp6 = socket(AF_INET6, SOCK_DGRAM, 0);
	int un = socket(AF_UNIX, SOCK_DGRAM, 0);
	int nl = socket(AF_NETLINK, SOCK_RAW, 0);
	connect(tcp, (void *)&v4, sizeof(v4));
	connect(tcp, (void *)&v4, 3);
	connect(tcp, NULL, 16);
	connect(udp6, (void *)&v6, sizeof(v6));
	getpeername(udp6, (void *)&got, &length);
	length = 4;
	getpeername(udp6, (void *)&got, &length);
	getpeername(udp6, NULL, NULL);
	connect(udp6, &unspec, sizeof(unspec));
	connect(un, (void *)&path, sizeof(path));
	connect(un, (void *)&abstract, 7);
	bind(nl, (void *)&netlink, sizeof(netlink));
	sendto(udp6, "q\1\0012\377", 5, MSG_NOSIGNAL | MSG_DONTWAIT, (void *)&v6, sizeof(v6));
	syscall(SYS_close_range, 3, 60, 0);
}

static void streams(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t length = sizeof(any);
	char bytes[100] = "0123456789012345678901234567890123456789";
	struct iovec parts[2] = { { bytes, 3 }, { bytes, 40 } };
	int pair[2];
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	bind(listener, (void *)&any, sizeof(any));
	getsockname(listener, (void *)&any, &length);
	listen(listener, 5);
	connect(client, (void *)&any, sizeof(any));
	length = 100;
	int server = accept4(listener, (void *)&any, &length, SOCK_CLOEXEC);
	send(client, bytes, 40, MSG_NOSIGNAL);
	recv(server, bytes, sizeof(bytes), 0);
	recv(server, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_PEEK);
	write(client, "abc\0011\0zz\177\"\\\t\r\33\v\f", 16);
	read(server, bytes, sizeof(bytes));
	writev(client, parts, 2);
	readv(server, parts, 2);
	shutdown(client, SHUT_WR);
	recvfrom(server, bytes, 10, 0, (void *)&any, &length);
	shutdown(client, 9);
	accept(client, NULL, NULL);
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	int file = open("/dev/zero", O_RDONLY);
	int through[2];
	pipe(through);
	sendfile(pair[0], file, NULL, 10);
	splice(pair[1], NULL, through[1], NULL, 10, SPLICE_F_MOVE);
	close(pair[0]);
	close(pair[1]);
	close(server);
	close(client);
	close(listener);
	syscall(SYS_close_range, 3, 60, 0);
}

static void messages(void)
{
	int pair[2];
	char text[] = "hello", room[64];
	union { struct cmsghdr header; char bytes[CMSG_SPACE(2 * sizeof(int))]; } control = { 0 };
	struct iovec part = { text, 5 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct mmsghdr many[2] = { { .msg_hdr = message }, { .msg_hdr = message } };
	struct timespec wait = { 0 };
	struct sockaddr_un from;
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	control.header = (struct cmsghdr){ CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.header), pair, sizeof(pair));
	sendmsg(pair[0], &message, MSG_NOSIGNAL);
	part.iov_base = room;
	part.iov_len = sizeof(room);
	message.msg_name = &from;
	message.msg_namelen = sizeof(from);
	recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC);
	recvmsg(pair[1], &message, MSG_DONTWAIT);
	part.iov_base = text;
	part.iov_len = 5;
	sendmmsg(pair[0], many, 2, 0);
	recvmmsg(pair[1], many, 2, 0, NULL);
	recvmmsg(pair[1], many, 2, MSG_DONTWAIT, &wait);
	sendmsg(pair[0], NULL, 0);
	syscall(SYS_close_range, 3, 60, 0);
}

static void waits(void)
{
	int pair[2], epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { EPOLLIN | EPOLLET, { .u64 = 0x100000005 } }, events[4];
	struct timeval second = { 1, 0 }, soon = { 0, 1000 };
	sigset_t mask;
	fd_set in, out;
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	struct pollfd set[3] = { { pair[0], POLLIN | POLLPRI, 0 }, { -1, POLLIN, 0 }, { pair[1], POLLOUT, 0 } };
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	poll(set, 1, 1);
	poll(set, 3, 1);
	poll(NULL, 0, 1);
	syscall(SYS_poll, 8, 1, 1);
	ppoll(set, 1, &brief, &mask);
	FD_ZERO(&in);
	FD_SET(pair[0], &in);
	out = in;
	syscall(SYS_select, pair[1] + 1, &in, &out, NULL, &second);
	FD_SET(pair[0], &in);
	syscall(SYS_select, pair[1] + 1, &in, NULL, NULL, &soon);
	pselect(pair[1] + 1, NULL, &out, NULL, NULL, &mask);
	syscall(SYS_epoll_create, 3);
	epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);
	epoll_wait(epoll, events, 4, 1);
	write(pair[1], "x", 1);
	epoll_wait(epoll, events, 4, -1);
	epoll_pwait(epoll, events, 4, 0, &mask);
	syscall(SYS_epoll_pwait2, epoll, events, 4, &brief, NULL, 8);
	event.events = EPOLLOUT | EPOLLONESHOT;
	epoll_ctl(epoll, EPOLL_CTL_MOD, pair[0], &event);
	epoll_ctl(epoll, EPOLL_CTL_DEL, pair[0], NULL);
	epoll_ctl(epoll, EPOLL_CTL_DEL, pair[0], NULL);
	syscall(SYS_io_uring_setup, 0, NULL);
	syscall(SYS_io_uring_enter, -1, 1, 2, 1, NULL, 8);
	syscall(SYS_close_range, 3, 60, 0);
}

static void timers(void)
{
	struct itimerval interval = { { 5, 0 }, { 100, 500 } }, stop = { 0 };
	struct itimerspec setting = { { 0, 0 }, { 100, 5 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct sigaction action = { .sa_handler = ignore };
	struct timespec left;
	sigset_t mask;
	timer_t timer;
	int word = 1, fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	uint64_t count;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_VIRTUAL, &interval, NULL);
	setitimer(ITIMER_VIRTUAL, &stop, NULL);
	alarm(100);
	alarm(0);
	timer_create(CLOCK_REALTIME, &event, &timer);
	timer_settime(timer, 0, &setting, NULL);
	timer_delete(timer);
	timerfd_settime(fd, 0, &setting, NULL);
	read(fd, &count, 8);
	setting.it_value = brief;
	timerfd_settime(fd, 0, &setting, NULL);
	poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, -1);
	read(fd, &count, 8);
	close(fd);
	syscall(SYS_nanosleep, &brief, &left);
	nanosleep(&brief, NULL);
	clock_nanosleep(CLOCK_BOOTTIME, 0, &brief, &left);
	syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &brief, NULL, 0);
	syscall(SYS_futex, &word, FUTEX_WAIT, 2, &brief, NULL, 0);
	interval = (struct itimerval){ { 0, 0 }, { 0, 2000 } };
	setitimer(ITIMER_REAL, &interval, NULL);
	syscall(SYS_pause);
	setitimer(ITIMER_REAL, &interval, NULL);
	sigfillset(&mask);
	sigdelset(&mask, SIGALRM);
	sigsuspend(&mask);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	sigtimedwait(&mask, NULL, &brief);
	kill(getpid(), SIGUSR1);
	siginfo_t info;
	sigtimedwait(&mask, &info, &brief);
	kill(getpid(), 0);
	syscall(SYS_tkill, getpid(), SIGCONT);
	syscall(SYS_tgkill, getpid(), getpid(), SIGWINCH);
}

static void wakes(void)
{
	struct timespec past = { 1, 0 };
	struct sembuf operation = { 0, -1, 0 };
	char room[256] = "";
	uint64_t count = 1;
	sigset_t mask;
	siginfo_t info = { 0 };
	int pair[2], status;
	int event = eventfd(3, EFD_CLOEXEC | EFD_NONBLOCK);
	write(event, &count, 8);
	read(event, &count, 8);
	read(event, &count, 8);
	close(event);
	syscall(SYS_eventfd, 1);
	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	int signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
	read(signals, room, 128);
	syscall(SYS_signalfd, signals, &mask, 8);
	syscall(SYS_pipe, pair);
	pipe2(NULL, 0);
	pipe2(pair, O_CLOEXEC | O_NONBLOCK);
	write(pair[1], "x", 1);
	read(pair[0], room, 16);
	write(pair[1], room, sizeof(room));
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	close(dup(pair[0]));
	int set = semget(IPC_PRIVATE, 1, 0600);
	semtimedop(set, &operation, 1, &brief);
	semtimedop(set, NULL, 1, &brief);
	semctl(set, 0, IPC_RMID);
	if (fork() == 0)
		_exit(3);
	waitpid(-1, &status, 0);
	waitpid(-1, &status, WNOHANG | WUNTRACED);
	if (fork() == 0)
		kill(getpid(), SIGKILL);
	wait4(-1, &status, __WALL, NULL);
	if (fork() == 0)
		_exit(4);
	waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
	syscall(SYS_waitid, P_ALL, 0, &info, WEXITED, NULL);
	syscall(SYS_waitid, P_ALL, 0, NULL, WEXITED | WNOHANG, NULL);
#ifdef SYS_futex_waitv
	uint32_t word = 1;
	struct { uint64_t value, address; uint32_t flags, reserved; } waiter = { 1, (uintptr_t)&word, 2, 0 };
	syscall(SYS_futex_waitv, &waiter, 1, 0, &past, CLOCK_MONOTONIC);
	syscall(SYS_futex_waitv, &waiter, 1, 1, NULL, CLOCK_MONOTONIC);
#endif
	syscall(SYS_mq_timedsend, -1, "hi", 2, 7, &past);
	syscall(SYS_mq_timedreceive, -1, room, 16, NULL, &past);
	syscall(SYS_close_range, 3, 60, 0);
}

int main(void)
{
	options();
	addresses();
	streams();
	messages();
	waits();
	timers();
	wakes();
	execve("/no/such/program", (char *[]){ "argument", NULL }, (char *[]){ "A=1", NULL });
	syscall(SYS_execveat, AT_FDCWD, "/no/such/program", (char *[]){ NULL }, (char *[]){ NULL }, AT_EMPTY_PATH);
	return 0;
}
