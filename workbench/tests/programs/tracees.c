/* Programs to be traced, one for each first argument. Each exits 0 if what it tried worked. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void *poll_socket(void *timeout_ms)
{
	struct pollfd set = { .fd = socket(AF_INET, SOCK_DGRAM, 0), .events = POLLIN };
	poll(&set, 1, (int)(long)timeout_ms);
	return NULL;
}

static int threads(void)
{
	pthread_t a, b;
	pthread_create(&a, NULL, poll_socket, (void *)11L);
	pthread_create(&b, NULL, poll_socket, (void *)22L);
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	return 0;
}

static int spawn(void)
{
	char *argv[] = { "true", "spawned", NULL };
	pid_t pid;
	int status;
	if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ))
		return 1;
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 2;
}

static void *exec_true(void *unused)
{
	char *argv[] = { "true", "from-a-thread", NULL };
	execve("/bin/true", argv, environ);
	return unused;
}

static int exec_from_thread(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, exec_true, NULL);
	pause();
	return 1;
}

static void ignore(int signal) { (void)signal; }

static int posix_timer(void)
{
	struct sigaction action = { .sa_handler = ignore };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec setting = { .it_value = { .tv_nsec = 20000000 } };
	timer_t timer;
	sigaction(SIGRTMIN, &action, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &setting, NULL);
	return pause() == -1 ? 0 : 1;
}

static int alarm_in_recv(void)
{
	struct sigaction action = { .sa_handler = ignore };
	struct itimerval setting = { .it_value = { .tv_usec = 20000 } };
	char byte;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &setting, NULL);
	return recv(fd, &byte, 1, 0) == -1 ? 0 : 1;
}

static int absolute_waits(void)
{
	struct timespec now, until;
	struct itimerspec setting = { 0 };
	unsigned long long expirations;
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	int fd = timerfd_create(CLOCK_REALTIME, 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	until = now;
	until.tv_sec += now.tv_nsec >= 970000000;
	until.tv_nsec = (now.tv_nsec + 30000000) % 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	clock_gettime(CLOCK_REALTIME, &now);
	setting.it_value = now;
	setting.it_value.tv_sec += now.tv_nsec >= 970000000;
	setting.it_value.tv_nsec = (now.tv_nsec + 30000000) % 1000000000;
	timerfd_settime(fd, TFD_TIMER_ABSTIME, &setting, NULL);
	if (read(fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return 1;
	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += now.tv_nsec >= 970000000;
	now.tv_nsec = (now.tv_nsec + 30000000) % 1000000000;
	pthread_mutex_lock(&mutex);
	pthread_cond_timedwait(&cond, &mutex, &now);
	return 0;
}

/* A number that was a file becomes a socket, and the other way round. */
static int reuse(void)
{
	char bytes[8] = "abcdefg";
	int pair[2];
	int file = open("/dev/zero", O_RDWR);
	if (read(file, bytes, 1) != 1)
		return 1;
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	dup2(pair[0], file);
	if (write(file, "one", 3) != 3 || write(pair[0], "two", 3) != 3)
		return 2;
	close(file);
	if (open("/dev/null", O_RDWR) != file || write(file, "three", 5) != 5)
		return 3;
	return 0;
}

static int many(void)
{
	for (int i = 0; i < 20000; i++)
		close(socket(AF_INET, SOCK_DGRAM, 0));
	return 0;
}

static int foreign(void)
{
#ifdef __x86_64__
	for (int i = 0; i < 3; i++) {
		long pid;
		/* getpid of the 32-bit table. */
		__asm__ volatile("int $0x80" : "=a"(pid) : "a"(20) : "memory", "r8", "r9", "r10", "r11");
		if (pid != getpid())
			return 1;
	}
	return 0;
#else
	return 1;
#endif
}

static int hold(void)
{
	/* Its own child waits too; both are killed in the middle of their calls. */
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char byte;
	if (fork() == 0)
		pause();
	return (int)recv(fd, &byte, 1, 0);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(void); } programs[] = {
		{ "threads", threads }, { "spawn", spawn }, { "exec-from-thread", exec_from_thread },
		{ "posix-timer", posix_timer }, { "alarm-in-recv", alarm_in_recv }, { "absolute-waits", absolute_waits },
		{ "reuse", reuse }, { "many", many }, { "foreign", foreign }, { "hold", hold },
	};
	for (size_t i = 0; argc > 1 && i < sizeof(programs) / sizeof(programs[0]); i++)
		if (strcmp(argv[1], programs[i].name) == 0)
			return programs[i].run();
	return 99;
}
