/* Programs that use io_uring without a library, one for each first argument. Each exits 0 if what it tried worked, 77 if
 * this kernel cannot do it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Newer than the header may be (linux/io_uring.h of 6.12). */
#define SETUP_NO_MMAP (1U << 14)
#define SETUP_REGISTERED_FD_ONLY (1U << 15)
#define SETUP_NO_SQARRAY (1U << 16)
#define ENTER_EXT_ARG (1U << 3)
#define ENTER_REGISTERED_RING (1U << 4)
#define ENTRIES 8

struct kernel_time { int64_t seconds, nanoseconds; };
struct wait_argument { uint64_t mask; uint32_t mask_size, min_wait_us; uint64_t time; };

static struct io_uring_params params;
static int ring;
static uint32_t enter_flags;
static char *rings;
static struct io_uring_sqe *entries;

static uint32_t *at(uint32_t offset) { return (uint32_t *)(rings + offset); }

static void set_up(uint32_t flags)
{
	params.flags = flags;
	if (flags & SETUP_NO_MMAP) {
		uint64_t address;
		char *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		rings = memory;
		entries = (void *)(memory + 4096);
		address = (uint64_t)(uintptr_t)entries;
		memcpy((char *)&params + 72, &address, 8);
		address = (uint64_t)(uintptr_t)rings;
		memcpy((char *)&params + 112, &address, 8);
	}
	ring = syscall(SYS_io_uring_setup, ENTRIES, &params);
	if (ring < 0)
		exit(77);
	if (flags & SETUP_REGISTERED_FD_ONLY)
		enter_flags = ENTER_REGISTERED_RING;
	if (flags & SETUP_NO_MMAP)
		return;
	rings = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
	entries = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	if (rings == MAP_FAILED || entries == MAP_FAILED)
		exit(3);
}

static struct io_uring_sqe *next(int opcode, int fd, uint64_t mark)
{
	uint32_t tail = *at(params.sq_off.tail), slot = tail & (ENTRIES - 1);
	struct io_uring_sqe *entry = &entries[slot];
	memset(entry, 0, sizeof(*entry));
	entry->opcode = opcode;
	entry->fd = fd;
	entry->user_data = mark;
	if (!(params.flags & SETUP_NO_SQARRAY))
		at(params.sq_off.array)[slot] = slot;
	__atomic_store_n(at(params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	return entry;
}

static struct io_uring_sqe *next_timeout(int opcode, const struct kernel_time *time, uint32_t flags, uint64_t mark)
{
	struct io_uring_sqe *entry = next(opcode, -1, mark);
	entry->addr = (uint64_t)(uintptr_t)time;
	entry->len = 1;
	entry->timeout_flags = flags;
	return entry;
}

static int enter(uint32_t submit, uint32_t wait)
{
	return syscall(SYS_io_uring_enter, ring, submit, wait, (wait ? IORING_ENTER_GETEVENTS : 0) | enter_flags, NULL, 8);
}

/* Takes the next completion; its result, or 1 if there is none. */
static int result(uint64_t mark)
{
	uint32_t head = *at(params.cq_off.head);
	if (head == __atomic_load_n(at(params.cq_off.tail), __ATOMIC_ACQUIRE))
		return 1;
	struct io_uring_cqe *found = (void *)at(params.cq_off.cqes + sizeof(*found) * (head & *at(params.cq_off.ring_mask)));
	int value = found->user_data == mark ? found->res : 1;
	__atomic_store_n(at(params.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return value;
}

static const struct kernel_time soon = { 0, 30000000 }, late = { 100, 0 };

static int timeout_with(uint32_t flags)
{
	set_up(flags);
	next_timeout(IORING_OP_TIMEOUT, &soon, 0, 7);
	return enter(1, 1) == 1 && result(7) == -ETIME ? 0 : 1;
}

static int timeout(void) { return timeout_with(0); }

static int no_mmap(void) { return timeout_with(SETUP_NO_MMAP | SETUP_NO_SQARRAY); }

static int registered_only(void) { return timeout_with(SETUP_NO_MMAP | SETUP_REGISTERED_FD_ONLY); }

static int absolute(void)
{
	struct timespec now;
	set_up(0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	struct kernel_time until = { now.tv_sec, now.tv_nsec + 30000000 };
	until.seconds += until.nanoseconds / 1000000000;
	until.nanoseconds %= 1000000000;
	next_timeout(IORING_OP_TIMEOUT, &until, IORING_TIMEOUT_ABS, 8);
	return enter(1, 1) == 1 && result(8) == -ETIME ? 0 : 1;
}

static int link_timeout_on(int opcode, int fd, const void *address, uint32_t length)
{
	set_up(0);
	struct io_uring_sqe *entry = next(opcode, fd, 1);
	entry->addr = (uint64_t)(uintptr_t)address;
	if (opcode == IORING_OP_CONNECT)
		entry->off = length;
	else
		entry->len = length;
	entry->flags = IOSQE_IO_LINK;
	next_timeout(IORING_OP_LINK_TIMEOUT, &soon, 0, 2);
	if (enter(2, 2) != 2)
		return 1;
	/* Which of the two comes first is not said. */
	for (int i = 0, left = 2; i < 2 && left > 0; i++, left--) {
		uint32_t head = *at(params.cq_off.head);
		struct io_uring_cqe *found = (void *)at(params.cq_off.cqes + 16 * (head & *at(params.cq_off.ring_mask)));
		int expected = found->user_data == 2 ? -ETIME : -ECANCELED;
		if (result(found->user_data) != expected)
			return 2;
	}
	return 0;
}

static int link_recv(void)
{
	static char room[16];
	return link_timeout_on(IORING_OP_RECV, socket(AF_INET, SOCK_DGRAM, 0), room, sizeof(room));
}

static int link_connect(void)
{
	static struct sockaddr_in peer = { .sin_family = AF_INET };
	peer.sin_port = htons(80);
	inet_pton(AF_INET, "10.9.0.2", &peer.sin_addr);
	return link_timeout_on(IORING_OP_CONNECT, socket(AF_INET, SOCK_STREAM, 0), &peer, sizeof(peer));
}

/* A wait for a completion that never comes, limited by the call itself. */
static int wait_limited(void)
{
	struct wait_argument argument = { .time = (uint64_t)(uintptr_t)&soon };
	set_up(0);
	if (!(params.features & (1U << 8)))
		return 77;
	next(IORING_OP_POLL_ADD, socket(AF_INET, SOCK_DGRAM, 0), 3)->poll32_events = 1;
	if (enter(1, 0) != 1)
		return 1;
	int done = syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS | ENTER_EXT_ARG, &argument, sizeof(argument));
	return done == -1 && errno == ETIME ? 0 : 2;
}

static int cancel(void)
{
	set_up(0);
	next_timeout(IORING_OP_TIMEOUT, &late, 0, 4);
	if (enter(1, 0) != 1)
		return 1;
	next(IORING_OP_ASYNC_CANCEL, -1, 5)->addr = 4;
	return enter(1, 2) == 1 ? 0 : 2;
}

/* Two rings at once: each call is about its own. */
static int two(void)
{
	static struct io_uring_params first;
	set_up(0);
	first = params;
	int first_ring = ring;
	char *first_rings = rings;
	struct io_uring_sqe *first_entries = entries;
	memset(&params, 0, sizeof(params));
	set_up(0);
	next_timeout(IORING_OP_TIMEOUT, &soon, 0, 22);
	if (enter(1, 1) != 1 || result(22) != -ETIME)
		return 1;
	params = first, ring = first_ring, rings = first_rings, entries = first_entries;
	next_timeout(IORING_OP_TIMEOUT, &soon, 0, 11);
	return enter(1, 1) == 1 && result(11) == -ETIME ? 0 : 2;
}

static int polled_with(int is_used)
{
	set_up(IORING_SETUP_SQPOLL);
	if (!is_used)
		return 0;
	next_timeout(IORING_OP_TIMEOUT, &soon, 0, 6);
	if (__atomic_load_n(at(params.sq_off.flags), __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
		syscall(SYS_io_uring_enter, ring, 1, 0, IORING_ENTER_SQ_WAKEUP, NULL, 8);
	return enter(0, 1) >= 0 && result(6) == -ETIME ? 0 : 1;
}

static int polled(void) { return polled_with(1); }

static int polled_unused(void) { return polled_with(0); }

/* The ring is handed over under a number that its maker was never told. */
static int moved(void)
{
	set_up(0);
	ring = dup(ring);
	next_timeout(IORING_OP_TIMEOUT, &soon, 0, 9);
	return enter(1, 1) == 1 && result(9) == -ETIME ? 0 : 1;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; int (*run)(void); } programs[] = {
		{ "timeout", timeout }, { "absolute", absolute }, { "link-recv", link_recv }, { "link-connect", link_connect },
		{ "wait-limited", wait_limited }, { "cancel", cancel }, { "two", two }, { "no-mmap", no_mmap },
		{ "registered-only", registered_only }, { "polled", polled }, { "polled-unused", polled_unused },
		{ "moved", moved },
	};
	for (size_t i = 0; argc > 1 && i < sizeof(programs) / sizeof(programs[0]); i++)
		if (strcmp(argv[1], programs[i].name) == 0)
			return programs[i].run();
	return 99;
}
