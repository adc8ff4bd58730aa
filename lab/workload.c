/*
 * What swap's mmlist is there for, in a few hundred steps: address spaces that get swap entries, fork with them, exit
 * with them, exec away from them, are read by others, and swapoffs that find work, find none, and are interrupted.
 *
 *   workload FIRST SECOND [PAGES]     FIRST and SECOND: block devices with swap signatures; PAGES of each hog
 *
 * Prints a line a step; exits with 1 where a step did not do what it is there for. Nothing waits for a clock: hogs are told
 * by pipes what to do, and say when it is done.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#define PRIORITY(p) (SWAP_FLAG_PREFER | ((p) << SWAP_FLAG_PRIO_SHIFT))
#define HOGS 3
#define TRIES 12

static size_t page, pages = 256;
static char *memory;

struct hog {
	pid_t pid;
	int ask, answer;
	char *memory;
};

static struct hog hogs[HOGS];

static void die(const char *what, ...)
{
	va_list list;
	int error = errno;

	va_start(list, what);
	printf("workload: FAILED: ");
	vprintf(what, list);
	printf(" (%s)\n", strerror(error));
	va_end(list);
	exit(1);
}

static void step(const char *what)
{
	printf("workload: %s\n", what);
	fflush(stdout);
}

/* --- what a hog does, each by a letter --- */

static void fill(void)
{
	for (size_t i = 0; i < pages; i++)
		memset(memory + i * page, (int)(i + getpid()) | 1, page);
}

static size_t in_swap(void) /* pages of ours that are swap entries: bit 62 of pagemap (Documentation/admin-guide/mm/pagemap.rst) */
{
	unsigned long long entry;
	size_t count = 0;
	int file = open("/proc/self/pagemap", O_RDONLY);

	for (size_t i = 0; file >= 0 && i < pages; i++) {
		off_t at = (off_t)((uintptr_t)memory / page + i) * 8;
		count += pread(file, &entry, 8, at) == 8 && entry >> 62 & 1;
	}
	close(file);
	return count;
}

static void let_go(void) /* of all entries, and stay on mmlist */
{
	if (madvise(memory, pages * page, MADV_DONTNEED))
		die("MADV_DONTNEED");
}

static void pageout(void)
{
	if (madvise(memory, pages * page, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
}

static int is_out(void) /* a few pages may wait in a batch of the CPU that we ran on before, out of pageout's reach */
{
	for (int tried = 0; tried < TRIES && !in_swap(); tried++)
		fill(), pageout();
	return in_swap() > 0;
}

static void children(void) /* forks of a swapped mm: one exits as it is, one reads a third, one forks again, one execs */
{
	for (int kind = 0; kind < 4; kind++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			volatile char sum = 0;

			if (kind == 1)
				for (size_t i = 0; i < pages; i += 3)
					sum += memory[i * page];
			if (kind == 2 && !(pid = fork()))
				_exit(0);
			if (kind == 2)
				waitpid(pid, NULL, 0);
			if (kind == 3)
				execl("/proc/self/exe", "workload", "nothing", NULL);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void *in_thread(void *nothing) /* CLONE_VM: a second task of the mm */
{
	pageout();
	return nothing;
}

static void thread(void)
{
	pthread_t other;

	if (pthread_create(&other, NULL, in_thread, NULL) || pthread_join(other, NULL))
		die("pthread_create");
}

static void shared(void) /* entries that no mm holds: shmem */
{
	size_t size = 16 * page;
	char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		die("mmap");
	memset(at, 7, size);
	madvise(at, size, MADV_PAGEOUT); /* stays mapped */
}

static void hog_does(struct hog *hog)
{
	char what, done = 'k';

	while (read(hog->ask, &what, 1) == 1) {
		switch (what) {
		case 'w': fill(); break;
		case 'p': pageout(); break;
		case 'P': done = is_out() ? 'k' : 'n'; break;
		case 'd': let_go(); break;
		case 'f': children(); break;
		case 't': thread(); break;
		case 's': shared(); break;
		case 'x': _exit(0);
		}
		if (write(hog->answer, &done, 1) != 1)
			_exit(1);
		done = 'k';
	}
	_exit(0);
}

/* --- what the one does that tells them --- */

static void start(struct hog *hog)
{
	int ask[2], answer[2];

	if (pipe(ask) || pipe(answer))
		die("pipe");
	hog->memory = memory;
	hog->pid = fork();
	if (hog->pid < 0)
		die("fork");
	if (!hog->pid) {
		hog->ask = ask[0], hog->answer = answer[1];
		close(ask[1]), close(answer[0]);
		hog_does(hog);
	}
	close(ask[0]), close(answer[1]);
	hog->ask = ask[1], hog->answer = answer[0];
}

static char tell(struct hog *hog, char what)
{
	char done = 0;

	if (write(hog->ask, &what, 1) != 1 || (what != 'x' && read(hog->answer, &done, 1) != 1))
		die("hog %d is gone at %c", hog->pid, what);
	return done;
}

static void all(const char *what)
{
	for (; *what; what++)
		for (int i = 0; i < HOGS; i++)
			if (hogs[i].pid && tell(&hogs[i], *what) != 'k')
				die("hog %d has nothing in swap", hogs[i].pid);
}

static void end(struct hog *hog)
{
	tell(hog, 'x');
	waitpid(hog->pid, NULL, 0);
	close(hog->ask), close(hog->answer);
	hog->pid = 0;
}

static void look_at(pid_t pid) /* borrows the mm: get_task_mm, mm_access */
{
	static const char *const files[] = {"maps", "smaps", "status", "stat", "cmdline", "environ", "mem"};
	char name[64], bytes[4096];

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		snprintf(name, sizeof name, "/proc/%d/%s", pid, files[i]);
		int file = open(name, O_RDONLY);

		if (file < 0)
			die("%s", name);
		while (read(file, bytes, sizeof bytes) > 0)
			;
		close(file);
	}
}

static void pageout_of(struct hog *hog) /* from outside, where the kernel has process_madvise (5.10) */
{
	struct iovec at = {hog->memory, pages * page};
	int pidfd = (int)syscall(434, hog->pid, 0); /* pidfd_open */

	if (pidfd >= 0)
		syscall(440, pidfd, &at, 1UL, MADV_PAGEOUT, 0UL); /* process_madvise */
	close(pidfd);
}

static void on(const char *path, int priority)
{
	if (swapon(path, PRIORITY(priority)))
		die("swapon %s", path);
}

static void off(const char *path)
{
	if (swapoff(path))
		die("swapoff %s", path);
}

static void nothing(int signal)
{
	(void)signal;
}

static void interrupted(const char *path) /* the signal comes sooner each time, until it comes before the walk is over */
{
	struct sigaction action = {.sa_handler = nothing}; /* no SA_RESTART */
	struct itimerval timer = {.it_value.tv_usec = 40000};

	sigaction(SIGALRM, &action, NULL);
	for (int tried = 0; tried < TRIES; tried++) {
		all("wpP");
		setitimer(ITIMER_REAL, &timer, NULL);
		int error = swapoff(path) ? errno : 0;

		setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
		if (error == EINTR)
			return;
		if (error)
			die("swapoff %s", path);
		timer.it_value.tv_usec = timer.it_value.tv_usec * 2 / 3;
		on(path, 5);
	}
	errno = 0;
	die("swapoff %s was not interrupted in %d tries", path, TRIES);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return argc == 2 ? 0 : 1; /* "nothing": what is execed */
	if (argc > 3)
		pages = (size_t)atol(argv[3]);
	page = (size_t)sysconf(_SC_PAGESIZE);
	memory = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	madvise(memory, pages * page, MADV_NOHUGEPAGE);

	step("two areas, pageout, forks, a thread, readers");
	on(argv[1], 10), on(argv[2], 5);
	for (int i = 0; i < HOGS; i++)
		start(&hogs[i]);
	all("wpPf");
	tell(&hogs[0], 't'), tell(&hogs[1], 's');
	look_at(hogs[0].pid);
	pageout_of(&hogs[2]);

	step("swapoff of the first, busy");
	off(argv[1]);
	all("wpPf");

	step("swapoff of the second, interrupted");
	interrupted(argv[2]);
	all("wpPf");
	end(&hogs[0]);

	step("swapoff of the last, busy");
	off(argv[2]);

	step("swapoff, idle");
	on(argv[1], 10);
	all("wpPd");
	off(argv[1]);

	step("exits with entries, and swapoff of what they leave");
	on(argv[1], 10), on(argv[2], 10);
	all("wpPf");
	for (int i = 1; i < HOGS; i++)
		end(&hogs[i]);
	off(argv[1]), off(argv[2]);
	step("done");
	return 0;
}
