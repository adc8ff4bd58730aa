/*
 * Address spaces that do at random, all at once, what may touch swap's mmlist: what no script of steps comes to.
 *
 *   random FIRST SECOND SEED SECONDS     FIRST and SECOND: block devices with swap signatures
 *
 * Workers fill, read, page out, merge, move, share and drop memory, fork, exec, start threads and are killed in the middle of it,
 * under names made to deceive; readers look into them; two more swap off and on, and are interrupted. A cgroup, where there is
 * one, keeps them short of memory. The dice are by SEED, the rest is up to the scheduler. Ends with both areas off, and 0.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#endif
#define WORKERS 6
#define READERS 2
#define HUGE_SIZE (2UL << 20)
#define SMALL 192 /* pages of a worker's private memory */
#define SHARED 64

static uint64_t dice;
static size_t page;
static const char *areas[2];

struct part {
	char *at;
	size_t pages;
};

static struct part parts[3]; /* private, shared, huge */

struct board { /* what all of them see */
	pid_t workers[WORKERS];
};
static struct board *board;

static uint32_t below(uint32_t limit) /* xorshift64*; Vigna, An experimental exploration of Marsaglia's xorshift generators */
{
	dice ^= dice >> 12, dice ^= dice << 25, dice ^= dice >> 27;
	return (uint32_t)((dice * 0x2545F4914F6CDD1DULL) >> 32) % limit;
}

static void rest(void)
{
	usleep(below(4) ? below(500) : below(20000));
}

/* --- what a worker does --- */

static void renamed(void)
{
	static const char *const names[] = {
		"a-1 [000] 1.0: ", "mm_init: mm=0x1", "<...>", "x] d..1 2.5: m", "swap_free: e=1", "-1", "a b c", "ends :", "[001]", "#",
		"CPU:0 [LOST 3 E", "=>", "mmput(x <- y)", "\xff\xfe\x80", "\ttab",
	};
	prctl(PR_SET_NAME, names[below(sizeof names / sizeof *names)]);
}

static struct part some(void) /* pages of one of the parts */
{
	struct part all = parts[below(8) < 5 ? 0 : below(2) + 1], one;
	size_t first;

	if (!all.at)
		all = parts[0];
	if (!below(4))
		return all;
	first = below((uint32_t)all.pages);
	one.at = all.at + first * page;
	one.pages = 1 + below((uint32_t)(all.pages - first));
	return one;
}

static void wrote(struct part one)
{
	int alike = !below(4); /* for ksmd to merge */

	for (size_t i = 0; i < one.pages; i++)
		memset(one.at + i * page, alike ? 7 : (int)below(256), below(8) ? 64 : page);
}

static void was_read(struct part one)
{
	volatile char sum = 0;

	for (size_t i = 0; i < one.pages; i++)
		sum += one.at[i * page];
}

static void advised(struct part one)
{
	static const int kinds[] = {
		MADV_PAGEOUT, MADV_PAGEOUT, MADV_PAGEOUT, MADV_COLD, MADV_DONTNEED, MADV_FREE, MADV_MERGEABLE, MADV_UNMERGEABLE,
		MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_WILLNEED, MADV_REMOVE,
	};
	madvise(one.at, one.pages * page, kinds[below(sizeof kinds / sizeof *kinds)]);
}

static void moved(void) /* there and back */
{
	struct part *all = &parts[0];
	char *to = mmap(NULL, all->pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (to == MAP_FAILED)
		return;
	to = mremap(all->at, all->pages * page, all->pages * page, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	if (to != MAP_FAILED)
		all->at = to;
}

static void mapped(int which)
{
	static const int flags[] = {MAP_PRIVATE, MAP_SHARED, MAP_PRIVATE};
	const size_t sizes[] = {SMALL * page, SHARED * page, 2 * HUGE_SIZE};
	char *at;

	if (parts[which].at)
		munmap(parts[which].at, parts[which].pages * page);
	at = mmap(NULL, sizes[which], PROT_READ | PROT_WRITE, flags[which] | MAP_ANONYMOUS, -1, 0);
	parts[which].at = at == MAP_FAILED ? NULL : at;
	parts[which].pages = sizes[which] / page;
	if (which == 2 && parts[2].at) {
		madvise(parts[2].at, sizes[2], MADV_HUGEPAGE);
		memset(parts[2].at, 1, sizes[2]);
	}
}

static void looked_at(pid_t pid) /* takes hold of the mm */
{
	static const char *const files[] = {"maps", "smaps", "status", "cmdline", "environ", "clear_refs", "pagemap"};
	char name[64], bytes[4096];
	int which = (int)below(sizeof files / sizeof *files), file;

	snprintf(name, sizeof name, "/proc/%d/%s", pid, files[which]);
	file = open(name, which == 5 ? O_WRONLY : O_RDONLY);
	if (file < 0)
		return;
	if (which == 5)
		(void)!write(file, "1", 1);
	for (int i = 0; which != 5 && i < 64 && read(file, bytes, sizeof bytes) > 0; i++)
		;
	close(file);
}

static void reached_into(pid_t pid) /* as a debugger does: parts lie at one place after a fork */
{
	char bytes[256];
	struct iovec mine = {bytes, sizeof bytes}, its = {some().at, sizeof bytes};

	if (below(2)) {
		process_vm_readv(pid, &mine, 1, &its, 1, 0);
	} else {
		int pidfd = (int)syscall(434, pid, 0); /* pidfd_open */
		struct iovec at = {parts[0].at, parts[0].pages * page};

		if (pidfd >= 0)
			syscall(440, pidfd, &at, 1UL, MADV_PAGEOUT, 0UL); /* process_madvise */
		close(pidfd);
	}
}

static void steps(int count, int depth);

static void *in_thread(void *depth)
{
	struct part one = some();

	for (uint32_t i = below(4); i; i--) {
		below(2) ? wrote(one) : was_read(one);
		madvise(one.at, one.pages * page, MADV_PAGEOUT);
	}
	return depth;
}

static void with_threads(void)
{
	pthread_t threads[3];
	int count = 0;

	do {
		if (pthread_create(&threads[count], NULL, in_thread, NULL))
			break;
	} while (++count < 3 && below(2));
	while (count)
		pthread_join(threads[--count], NULL);
}

static void forked(int depth)
{
	int kind = (int)below(6);
	pid_t pid = kind == 5 ? vfork() : fork();

	if (!pid) {
		if (kind >= 4)
			execl("/proc/self/exe", "random", "nothing", NULL);
		if (kind < 3)
			renamed(), steps((int)below(12), depth + 1);
		if (kind == 3)
			abort();
		_exit(0);
	}
	if (pid > 0 && !below(3))
		kill(pid, SIGKILL);
	if (pid > 0 && (depth || below(8)))
		waitpid(pid, NULL, 0);
}

static void steps(int count, int depth)
{
	for (; count; count--) {
		switch (below(20)) {
		case 0 ... 5: wrote(some()); break;
		case 6: was_read(some()); break;
		case 7 ... 12: advised(some()); break;
		case 13 ... 14: if (depth < 3) forked(depth); break;
		case 15: with_threads(); break;
		case 16: moved(); break;
		case 17: mapped((int)below(3)); break;
		case 18: renamed(); break;
		case 19: reached_into(board->workers[below(WORKERS)]); break;
		}
		while (!depth && waitpid(-1, NULL, WNOHANG) > 0)
			;
		rest();
	}
}

/* --- who swaps off and on --- */

static void nothing(int signal)
{
	(void)signal;
}

static void swaps(int which)
{
	struct sigaction action = {.sa_handler = nothing}; /* no SA_RESTART */
	struct itimerval timer = {0};

	sigaction(SIGALRM, &action, NULL);
	for (;;) {
		usleep(10000 + below(400000));
		timer.it_value.tv_usec = below(2) ? 0 : 1 + below(30000);
		setitimer(ITIMER_REAL, &timer, NULL);
		swapoff(areas[which]);
		setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
		usleep(below(20000));
		swapon(areas[which], SWAP_FLAG_PREFER | (int)below(3) << SWAP_FLAG_PRIO_SHIFT);
	}
}

/* --- all of them --- */

static pid_t started(int what)
{
	uint64_t its = dice ^ ((uint64_t)below(1 << 30) << 32) ^ (uint64_t)what;
	pid_t pid = fork();

	if (pid)
		return pid;
	dice = its | 1;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (what < 2)
		swaps(what);
	if (what < 2 + READERS)
		for (;; rest())
			looked_at(board->workers[below(WORKERS)]);
	for (int i = 0; i < 3; i++)
		mapped(i);
	for (;;)
		steps(64, 0);
}

static void short_of_memory(void) /* a limit for the workers, where cgroup2 is mounted (Documentation/admin-guide/cgroup-v2.rst) */
{
	static const char *const told[][2] = {
		{"/cgroup/cgroup.subtree_control", "+memory"}, {"/cgroup/random/memory.max", "24M"},
		{"/cgroup/random/memory.high", "16M"}, {"/cgroup/random/cgroup.procs", "0"},
		{"/sys/kernel/mm/ksm/run", "1"}, {"/sys/kernel/mm/ksm/sleep_millisecs", "20"},
	};
	mkdir("/cgroup/random", 0700);
	for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
		int file = open(told[i][0], O_WRONLY);

		if (file >= 0)
			(void)!write(file, told[i][1], strlen(told[i][1]));
		close(file);
	}
}

int main(int argc, char **argv)
{
	pid_t running[2 + READERS + WORKERS];
	const int all = (int)(sizeof running / sizeof *running);
	time_t end;

	if (argc < 5)
		return argc == 2 ? 0 : 1; /* "nothing": what is execed */
	areas[0] = argv[1], areas[1] = argv[2];
	dice = strtoull(argv[3], NULL, 0) * 2 + 1;
	end = time(NULL) + atol(argv[4]);
	page = (size_t)sysconf(_SC_PAGESIZE);
	board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (board == MAP_FAILED || swapon(areas[0], 0) || swapon(areas[1], 0))
		return 1;
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* whose parent was killed ends as ours */
	short_of_memory();
	for (int i = 0; i < all; i++)
		if ((running[i] = started(i)) > 0 && i >= 2 + READERS)
			board->workers[i - 2 - READERS] = running[i];
	while (time(NULL) < end) {
		pid_t gone;

		usleep(100000);
		if (!below(4))
			kill(running[2 + READERS + below(WORKERS)], SIGKILL);
		while ((gone = waitpid(-1, NULL, WNOHANG)) > 0)
			for (int i = 0; i < all; i++)
				if (running[i] == gone && (running[i] = started(i)) > 0 && i >= 2 + READERS)
					board->workers[i - 2 - READERS] = running[i];
	}
	for (int i = 0; i < all; i++)
		kill(running[i], SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
	for (int i = 0; i < 2; i++)
		if (swapoff(areas[i]) && errno != EINVAL)
			return 1;
	printf("random: done\n");
	return 0;
}
